"""Labels of a similar training protein are part of the prediction, and the files say so."""

import json
import lzma
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from halo.errors import HaloError
from halo.evaluation.models import read_model
from halo.homologues import rule as rule_module
from halo.homologues.pairs import fit_to_models, similar_hits
from halo.homologues.rule import Evidence, HomologueRule
from halo.predict.bundle import read_bundle
from halo.predict.description import parse_description
from halo.predict.model_card import _homologues
from halo.predict.nearest import TrainingSequences
from halo.predict.run import predict, predict_sequences
from halo.split.alignment import align
from halo.split.settings import Rule
from predict_bundle import FOLDS, OFFLINE, SEARCH, write_fasta

RESIDUES = list("ACDEFGHIKLMNPQRSTVWY")


@pytest.fixture(scope="module")
def small(small_run):
    return small_run


@pytest.fixture(scope="module")
def hits(small) -> pd.DataFrame:
    """Each protein is similar to the next one."""
    ids = list(small.assignments.index)
    rng = np.random.default_rng(0)
    rows = [
        (one, other, rng.uniform(0.3, 1), 0.9, 1, 1e-9, rng.uniform(50, 300))
        for one, other in zip(ids, ids[1:] + ids[:1], strict=True)
    ]
    columns = ["query", "target", "identity", "shorter_coverage", "similar", "evalue", "bits"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def bundle(small, hits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule_module, "FEWEST", 5)
        return small.bundle(folder / "known", "plain", hits)


@pytest.fixture(scope="module")
def trained(small) -> pd.DataFrame:
    seen = (small.assignments == "train").any(axis=1)
    table = small.proteins.table.set_index("id")
    labels = pd.DataFrame(small.proteins.labels, small.proteins.ids, small.proteins.label_names)
    return table.join(labels).loc[seen]


def changed(sequence: str, share: float, seed: int = 0) -> str:
    """The sequence with a share of its residues replaced."""
    rng = np.random.default_rng(seed)
    letters = np.array(list(sequence))
    places = rng.random(len(letters)) < share
    letters[places] = rng.choice(RESIDUES, places.sum())
    return "".join(letters)


@pytest.fixture(scope="module")
def queries(trained) -> dict[str, str]:
    rng = np.random.default_rng(7)
    near = {
        f"near_{name}": changed(trained.loc[name, "sequence"], 0.3) for name in trained.index[:3]
    }
    same = trained.index[4]
    unrelated = "".join(rng.choice(RESIDUES, 90))
    return {**near, f"near_{same}": trained.loc[same, "sequence"], "unrelated": unrelated}


@pytest.fixture(scope="module")
def predicted(bundle, queries, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    predict(write_fasta(out / "q.fasta", queries), bundle, out / "here", OFFLINE)
    content = json.loads((out / "here/predictions.json").read_text())
    table = pd.read_csv(out / "here/predictions.csv", keep_default_na=False).set_index("id")
    return content, table, (out / "here/predictions.html").read_text()


def test_the_bundle_has_the_rule_of_its_models(small, bundle, hits, monkeypatch):
    monkeypatch.setattr(rule_module, "FEWEST", 5)
    paths = [small.folder / f"kfold/{fold}/1/plain/predictions.csv" for fold in FOLDS]
    models = [read_model(path, small.proteins, small.assignments) for path in paths]
    similar = similar_hits(hits)
    expected = fit_to_models(models, small.proteins, small.assignments, similar, 0.3, 0.2)
    assert HomologueRule(**read_bundle(bundle).description.homologues.model_dump()) == expected


def test_the_labels_are_part_of_the_prediction(bundle, predicted, trained):
    content, table, _ = predicted
    rule = HomologueRule(**read_bundle(bundle).description.homologues.model_dump())
    labels = content["labels"]
    for entry in content["proteins"]:
        own = np.array([entry["probabilities"][name] for name in labels])
        near, row = entry["nearest_training"], table.loc[entry["id"]]
        if entry["id"] == "unrelated":
            assert entry["decided_by"] == "plain"
            assert entry["probabilities_alone"] is None
            assert near is None
            assert entry["thresholds"] == content["thresholds"]
            assert (entry["similar"], entry["far"]) == (False, True)
            assert (bool(row["similar"]), bool(row["far"])) == (False, True)
            assert entry["homologue"] is None
            continue
        assert entry["decided_by"] == table.loc[entry["id"], "decided_by"] == "plain;homology"
        assert near["id"] == entry["id"].removeprefix("near_")
        assert near["similar"]
        assert entry["similar"]
        assert entry["homologue"] == row["homologue"] == near["id"]
        assert float(row["nearest_query_coverage"]) == near["query_coverage"] >= 0.8
        assert float(row["nearest_training_coverage"]) == near["training_coverage"]
        assert near["length"] == trained.loc[near["id"], "length"]
        assert row["remarks"] == "; ".join(entry["remarks"])
        alone = np.array([entry["probabilities_alone"][name] for name in labels])
        known = trained.loc[near["id"], labels].to_numpy(dtype=bool)
        evidence = Evidence(
            np.array([near["identity"]]), known[None], np.ones((1, len(labels)), bool)
        )
        joint = rule(alone[None], evidence, content["task"])
        np.testing.assert_allclose(own, joint[0], atol=2e-5)
        assert not np.allclose(own, alone, atol=1e-3)
        assert set(entry["thresholds"].values()) == {rule.threshold}
        assert [float(row[f"threshold:{name}"]) for name in labels] == [rule.threshold] * len(
            labels
        )
        given = [n for n in labels if entry["probabilities"][n] >= entry["thresholds"][n]]
        assert (
            entry["labels"]
            == given
            == [n for n in labels if joint[0][labels.index(n)] >= rule.threshold]
        )
        assert entry["set"] == [n for n, p in zip(labels, joint[0], strict=True) if p >= rule.cut]


def test_similar_and_aligned_proteins_are_counted_apart(predicted):
    content, _, page = predicted
    similar = sum(entry["similar"] for entry in content["proteins"])
    counts = {"proteins": 5, "similar": similar, "not_similar": 5 - similar, "far": 1}
    assert content["counts"] == counts
    cards = dict(re.findall(r"<div[^>]*><dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert cards["not similar to a training protein"] == str(counts["not_similar"])
    assert cards["of them aligned with none"] == "1"
    assert "no similar training protein" not in page


def test_a_part_and_a_fusion_are_remarked(bundle, trained, queries):
    whole = trained["sequence"].iloc[4]
    found = predict_sequences(
        {
            "part": whole[20:], "whole": whole, "tiny": "MK",
            "fusion": queries["unrelated"] * 4 + whole,
        },
        bundle, OFFLINE,
    ).set_index("id")  # fmt: skip
    assert "differ in extent" in found.loc["part", "remarks"]
    assert "differ in extent" in found.loc["fusion", "remarks"]
    assert found.loc["whole", "remarks"] == ""
    assert "2 residues, fewer than any training protein" in found.loc["tiny", "remarks"]
    assert found.loc["fusion", "nearest_query_coverage"] < 0.8
    assert found.loc["part", "nearest_training_coverage"] < 1


def test_the_card_says_what_it_does(bundle):
    card = (bundle / "README.md").read_text()
    assert "its labels are part of the decision" in card
    metrics = json.loads((bundle / "metrics.json").read_text())
    values = {name: {"value": 0.5, "low": 0.25, "high": 0.75} for name in ("macro_f1",)}
    found = {"proteins": 1200, **dict.fromkeys(("alone", "homologue", "joined"), values)}
    metrics["homologues"] = {"bins": {"0.3 to 0.4": found}}
    description = {"homologues": {}, **json.loads((bundle / "bundle.json").read_text())}
    table = _homologues(metrics, description)
    assert "| 0.3 to 0.4 | 1,200 | 0.500 (0.250–0.750) |" in table
    assert "no rule for them" in _homologues(metrics, {"homologues": None})


def test_the_json_is_that_of_its_schema(predicted, root):
    schema = json.loads((root / "workflow/schemas/predictions.schema.json").read_text())
    assert not list(Draft202012Validator(schema).iter_errors(predicted[0]))


def test_the_page_says_it(predicted):
    assert "plain;homology" in predicted[2]
    assert "probabilities_alone" in predicted[2]


def test_without_a_rule_the_models_decide_alone(small, hits, bundle, queries, predicted, tmp_path):
    for name, change in (("off", {"homologues": False}), ("few", {})):
        made = small.bundle(tmp_path / name, "plain", hits, **change)
        assert read_bundle(made).description.homologues is None
    found = predict_sequences(queries, made, OFFLINE).set_index("id")
    assert set(found["decided_by"]) == {"plain"}
    for entry in predicted[0]["proteins"]:
        alone = entry["probabilities_alone"] or entry["probabilities"]
        values = [found.loc[entry["id"], f"p:{name}"] for name in predicted[0]["labels"]]
        np.testing.assert_allclose(values, list(alone.values()), atol=1e-5)


def test_the_exact_alignment_decides(bundle, trained, tmp_path):
    """Of a protein that MMseqs2 finds, too short a part is not similar."""
    sequences = TrainingSequences(read_bundle(bundle).training, SEARCH, tmp_path / "db", 1)
    first = trained.iloc[0]
    rng = np.random.default_rng(1)
    tail = "".join(rng.choice(RESIDUES, len(first["sequence"]) * 2))
    part = first["sequence"][: len(first["sequence"]) // 2] + tail
    [near], far, [same] = sequences.nearest(
        [changed(first["sequence"], 0.3), part, first["sequence"]]
    )
    text = changed(first["sequence"], 0.3)
    residues = sum(trained.drop_duplicates("seq_hash")["length"])
    [exact] = align(
        [text, first["sequence"]], [(0, [1])], Rule(), residues, processes=1
    ).itertuples()
    assert (near.id, near.similar) == (first.name, True)
    assert near.identity == round(exact.identity, 3)
    assert near.evalue == pytest.approx(exact.evalue)
    assert (same.id, same.identity, same.similar) == (first.name, 1.0, True)
    assert not any(one.similar for one in far)


def test_unknown_labels_of_the_homologue_are_in_the_bundle(small, hits, queries, trained, tmp_path):
    known = np.ones_like(small.proteins.labels, dtype=bool)
    name = trained.index[0]
    row = list(small.proteins.ids).index(name)
    known[row, 0] = False
    proteins = type(small.proteins)(
        small.proteins.table, small.proteins.label_names,
        small.proteins.labels * known.astype(np.uint8), small.proteins.task, known,
    )  # fmt: skip
    partly = type(small)(small.folder, proteins, small.assignments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rule_module, "FEWEST", 5)
        made = partly.bundle(tmp_path / "partly", "plain", hits)
    text = lzma.decompress((made / "training.fasta.xz").read_bytes()).decode()
    headers = [line.split("\t") for line in text.splitlines() if line.startswith(">")]
    label = small.proteins.label_names[0]
    assert [parts[2] for parts in headers if len(parts) == 3] == [label]
    out = tmp_path / "out"
    predict(write_fasta(tmp_path / "q.fasta", queries), made, out, OFFLINE)
    content = json.loads((out / "predictions.json").read_text())
    entry = next(entry for entry in content["proteins"] if entry["id"] == f"near_{name}")
    assert entry["nearest_training"]["unknown"] == [label]
    assert entry["probabilities"][label] == entry["probabilities_alone"][label]
    assert entry["thresholds"][label] == content["thresholds"][label]


def test_a_damaged_rule_is_refused(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    content = json.loads((copy / "bundle.json").read_text())
    content["homologues"]["present"] = -1.0
    with pytest.raises(ValueError, match=r"^homologues\.present"):
        parse_description(json.dumps(content))
    (copy / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(HaloError, match=r"bundle.json: damaged"):
        read_bundle(copy)
