"""The page of predictions with two groups of labels, in a real browser."""

import json
from pathlib import Path

import pytest

from halo.predict.run import predict
from halo.proteins.settings import GroupLabels
from predict_bundle import OFFLINE, make_small_run, queries, read_small_run, write_fasta

pytestmark = pytest.mark.browser
TYPES = {"Soluble", "Transmembrane"}


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """Predictions of locations, and of a membrane type for each protein."""
    folder = tmp_path_factory.mktemp("groups")
    groups = {"membrane": GroupLabels(label="membrane", task="singlelabel")}
    (folder / "run").mkdir()
    make_small_run(folder / "run", count=40, groups=groups)
    bundle = read_small_run(folder / "run").bundle(folder / "bundle")
    fasta = write_fasta(folder / "in.fasta", queries(6))
    predict(fasta, bundle, folder / "out", OFFLINE)
    return folder / "out/predictions.html"


def records(page: Path) -> list[dict]:
    return json.loads(page.with_suffix(".json").read_text())["proteins"]


def kind_of(record: dict) -> str:
    [kind] = record["groups"]["membrane"]["labels"]
    return kind


def test_labels_of_all_groups_are_shown(opened, page):
    labels = opened.execute_script("return DATA.labels")
    assert set(labels) > TYPES
    for row, record in enumerate(records(page)):
        opened.execute_script("location.hash = arguments[0]; fromHash()", f"p{row + 1}")
        text = opened.find_element("id", "bars").text
        assert all(label in text for label in labels)
        ticked = {label for label in labels if f"✓ {label}" in text}
        assert ticked == {*record["labels"], kind_of(record)}
        assert f"membrane: {kind_of(record)}." in opened.find_element("id", "verdict").text
    assert opened.get_log("browser") == []
    assert opened.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_proteins_are_found_by_a_label_of_a_further_group(opened, page):
    for kind in TYPES:
        opened.execute_script(
            "const by = document.getElementById('by-label'); by.value = arguments[0];"
            "by.dispatchEvent(new Event('input'))",
            kind,
        )
        assert opened.execute_script("return document.getElementById('by-label').value") == kind
        shown = opened.execute_script("return DATA.proteins.filter((_, i) => !rows[i].hidden)")
        wanted = [record["id"] for record in records(page) if kind_of(record) == kind]
        assert [protein["id"] for protein in shown] == wanted
