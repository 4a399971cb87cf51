"""What the page of predictions says is what was computed."""

from collections import Counter

import numpy as np
import pytest
import torch

from halo.label_groups import all_groups
from halo.predict.attribution import _centred
from halo.predict.bundle import read_bundle
from halo.predict.description import Member, Model
from halo.predict.page import (
    BASELINES,
    OWN,
    UNITS,
    ExplainedMethod,
    explained_method,
    page_data,
    render,
)

HALO = ExplainedMethod("halo", "network")


def header(task: str, labels: list[str], **more) -> dict:
    return {"labels": labels, "task": task, "region_kinds": None, **more}


def model_of(*classes: str) -> Model:
    members = [
        Member.model_construct(method=f"my_{name}", method_class=name, folder="")
        for name in classes
    ]
    return Model.model_construct(members=members)


@pytest.mark.parametrize(
    ("classes", "explained"),
    [
        (["esm"], "esm"),
        (["esm", "network"], "network"),
        (["network", "esm"], "network"),
        (["light_attention", "mean_embedding"], "mean_embedding"),
        (["esm", "esm"], "esm"),
    ],
)
def test_a_joined_method_has_the_baseline_of_the_member_that_is_explained(classes, explained):
    """A cascade with the mean embedding was said to be compared with average residues."""

    class Bundle:
        models = (model_of(*classes),)

    method = explained_method(Bundle)
    assert method == ExplainedMethod(f"my_{explained}", explained, len(classes) > 1)
    data = page_data(header("multilabel", ["a"]), [], method)
    assert data["alone"] == (f"my_{explained}" if len(classes) > 1 else None)
    assert (data["baseline"] == OWN) == (explained in ("esm", "mean_embedding"))


def test_a_bundle_has_its_explained_method(small_bundle):
    method = explained_method(read_bundle(small_bundle).description)
    assert method == ExplainedMethod("halo", "network", joined=True)


def test_every_network_has_a_baseline():
    texts = {name: page_data(header("multilabel", ["a"]), [], ExplainedMethod("", name))["baseline"]
             for name in ("network", "reference", *BASELINES)}  # fmt: skip
    assert "average residues" in texts["network"]
    assert "zeros" in texts["reference"]
    assert len(set(texts.values())) == 4
    assert page_data(header("multilabel", ["a"]), [], HALO)["contacts"]
    assert not page_data(header("multilabel", ["a"]), [], ExplainedMethod("", "esm"))["contacts"]


def test_the_unit_of_a_score_is_that_of_the_task():
    """Scores of a softmax are relative to the mean logit: +1 is not the 2.7-fold odds."""
    of_group = {"states": {"task": "singlelabel", "labels": ["x", "y"]}}
    data = page_data(header("multilabel", ["a", "x", "y"], groups=of_group), [], HALO)
    tasks = {"a": "multilabel", "x": "singlelabel", "y": "singlelabel"}
    assert data["units"] == {label: UNITS[task] for label, task in tasks.items()}
    assert data["exclusive"] == ["x", "y"]
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    p = torch.softmax(logits, dim=1)
    scores = _centred(logits, all_groups("abc", "singlelabel", ()))
    np.testing.assert_allclose(scores.exp(), p / p.log().mean().exp(), rtol=1e-5)


def test_a_protein_with_one_of_several_labels_has_no_threshold():
    assert "threshold" in page_data(header("multilabel", ["a"]), [], HALO)["unclear"]
    assert "threshold" not in page_data(header("singlelabel", ["a", "b"]), [], HALO)["unclear"]


def test_a_label_is_chosen_with_all_its_spaces():
    """Without a value, a browser joins the spaces of an option, and no protein has the label."""
    label = 'Inner  "membrane" <1>'
    about = header("multilabel", [label], thresholds={}, set_misses=None, simulated=False)
    about["bundle"] = {"name": "n", "version": "1", "method": "m", "sha256": "0" * 64}
    protein = {"id": "one", "labels": [label], "far": False}
    text = render(about, Counter(proteins=1), [protein], HALO)
    assert '<option value="Inner  &#34;membrane&#34; &lt;1&gt;">' in text
    assert "<1>" not in text
