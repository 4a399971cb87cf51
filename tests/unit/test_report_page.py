"""The report: complete, self-contained, well-formed, with correct numbers."""

import html
import re
import shutil
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo.cascade.stage import CascadeSettings, join_fold
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.files import read_json, write_json
from halo.model_key import ModelKey
from halo.report import formatting
from halo.report.figures import _group_figures, _result_figures
from halo.report.inputs import RunResults
from halo.report.page import fold_table, render
from halo.report.plots_data import label_shares, structure_coverage
from halo.report.plots_results import _heat_map, confusion
from halo.report.style import new_figure, save, style
from halo.report.svg import inline_svg
from simulated_run import SimulatedRun, make_report, make_run, read_results, write_evaluation

VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """Tags of a page, checked to be balanced; its text, its ids and the attributes of its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> SimulatedRun:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def text(run) -> str:
    return make_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def results(run, text) -> RunResults:
    """What the page was made of."""
    return read_results(run)


def without_figures(results: RunResults, **changed) -> str:
    """The page of results of which some are changed."""
    return render(replace(results, **changed), [], Path())


def test_the_page_has_every_part(page):
    sections = [attributes["id"] for attributes in page.all("section")]
    assert sections == [
        "overview", "data", "split", "structures", "training", "labels", "thresholds",
        "modalities", "groups", "runtime", "provenance",
    ]  # fmt: skip
    links = [a["href"] for a in page.all("a")]
    assert links == [f"#{section}" for section in sections]
    assert len(page.all("svg")) == 13


def test_every_id_is_there_once(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_references_inside_of_figures_are_kept(text, page):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    used = set(re.findall(r"url\(#([^)]+)\)|xlink:href=\"#([^\"]+)\"", text))
    assert used
    assert {a or b for a, b in used} <= ids


def test_the_page_asks_for_nothing(text):
    """No address but the names of XML's namespaces, no script."""
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "://" not in without_names
    assert "<script" not in text
    assert "@import" not in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)


def test_tables_and_figures_can_be_read_aloud(page):
    assert all(th.get("scope") in ("col", "row", "rowgroup") for th in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert len(svg["aria-label"]) > 40
    assert page.all("html") == [{"lang": "en"}]


def test_the_numbers_are_those_of_the_metrics(run, page):
    metrics = read_json(run.path("evaluation/metrics.json"))
    for method in metrics["methods"].values():
        for name in ("macro_f1", "exact_match", "calibration_error"):
            for number in method["overall"][name].values():
                assert formatting.score(number) in page.text
    chosen = metrics["threshold_sweep"]["halo"]["chosen"]
    assert f"{chosen['threshold']:.2f} (chosen)" in page.text
    for number in chosen["micro_mcc"].values():
        assert formatting.score(number) in page.text
    assert "Similar pairs across parts: 0." in page.text
    assert "illegal residue letters" in page.text


def test_the_banner_is_there_for_simulated_data_alone(results, text):
    assert "The data of this run are simulated." in text
    config = results.provenance["config"] | {"dataset": {"simulated": False}}
    other = without_figures(results, provenance=results.provenance | {"config": config})
    assert "are simulated" not in other
    assert 'class="banner"' not in other


@pytest.mark.slow
def test_the_same_run_gives_the_same_figures(run, tmp_path):
    make_report(run)
    first = {f.name: f.read_bytes() for f in run.path("evaluation/figures").iterdir()}
    shutil.rmtree(run.path("evaluation/figures"))
    make_report(run)
    assert {f.name: f.read_bytes() for f in run.path("evaluation/figures").iterdir()} == first


def test_values_of_the_data_are_escaped_in_html(results):
    rejected = results.rejected.assign(reason="<script>alert(1)</script>")
    text = without_figures(results, rejected=rejected)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_copies_and_isoforms_apart_are_told(results, page):
    """They are no pairs of similar sequences, of which there may be none."""
    apart = {"identical_sequences_apart": 113, "isoform_families_apart": 2}
    found = Page(without_figures(results, leakage=results.leakage | apart)).text
    assert "Sequences with copies in different parts: 113." in found
    assert "Families of isoforms in different parts: 2." in found
    assert "in different parts:" not in page.text


def test_regions_have_a_section(results, text):
    assert 'id="regions"' not in text
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    names = dict.fromkeys(formatting.REGION_METRICS, estimate)
    none = {name: {"value": None, "low": None, "high": None} for name in names}
    kinds = {
        "signal peptide": {
            "proteins": 1200, "with": 300, **names, "mcc": {**estimate, "value": 0.875},
        },
        "<transit>": {"proteins": 1200, "with": 0, **none},
    }  # fmt: skip
    strata = {"kingdom": {"Fungi": kinds, "Metazoa": kinds}}
    regions = {"near": 3, "methods": {"halo": {"kinds": kinds, "strata": strata}}}
    found = Page(without_figures(results, metrics=results.metrics | {"regions": regions}))
    assert "0.875" in found.text
    assert "300 of 1,200" in found.text
    assert "<transit>" in found.text  # a text, not a tag
    assert "within 3 residues" in found.text
    assert found.text.count("Metazoa") >= 2
    assert any(each.get("href") == "#regions" for each in found.all("a"))


@pytest.mark.slow
def test_a_run_of_single_labels_with_further_groups(tmp_path):
    run = make_run(tmp_path, task="singlelabel", seeds=(1,), grouped=True)
    page = Page(make_report(run).read_text())
    assert "there are no thresholds" in page.text
    sections = [str(attributes["id"]) for attributes in page.all("section")]
    assert sections[5:8] == ["labels", "group-membrane", "group-modification"]
    assert [a["href"] for a in page.all("a")] == [f"#{section}" for section in sections]
    figures = [figure["id"] for figure in page.all("figure")]
    assert len(figures) == len(set(figures))
    assert {"figure-label_f1_membrane", "figure-threshold_sweep_modification"} <= set(figures)
    own = read_json(run.path("evaluation/metrics.json"))["label_groups"]["membrane"]
    known = int(run.proteins.known[:, run.proteins.further[0].first].sum())
    assert own["proteins"] == known < len(run.proteins)
    assert f"has exactly one; they are known of {known} proteins." in page.text
    assert f"{known} test proteins in {own['groups']} homology groups are annotated" in page.text
    before, _, after = page.text.partition("Labels of the group membrane")
    part = after.partition("Thresholds")[0]
    assert formatting.score(own["methods"]["halo"]["overall"]["exact_match"]["value"]) in part
    assert "Transmembrane" in part
    assert "Soluble" not in before.partition("Metrics by label")[2]


def test_a_small_run_without_a_network(tmp_path, page):
    run = make_run(tmp_path, n=75)  # at most 25 homology groups
    baselines = [path for path in run.models if path.parts[-2] != "halo"]
    small = Page(
        make_report(SimulatedRun(tmp_path, run.proteins, run.assignments, baselines)).read_text()
    )
    assert len(small.all("svg")) == 9
    assert "majority against homology" in small.text
    assert "The test is small: 2" in small.text
    assert "The test is small" not in page.text
    # Several labels, and no method with learned thresholds.
    assert "the label with the highest probability" not in small.text
    assert "No method here has learned thresholds" in small.text
    assert "No method here has learned thresholds" not in page.text


def test_a_group_without_a_label_in_the_test(results, tmp_path):
    """All of its labels are known, and no test protein has one."""
    run = make_run(tmp_path, n=75, n_folds=2, seeds=(1,), grouped=True)
    group = run.proteins.further[1]
    columns = slice(group.first, group.first + len(group.labels))
    labels, known = run.proteins.labels.copy(), run.proteins.known.copy()
    labels[:, columns], known[:, columns] = 0, True
    proteins = replace(run.proteins, labels=labels, known=known)
    metrics, table = evaluate(
        proteins, run.assignments.set_index("id"), run.models, {}, EvaluationSettings(resamples=20)
    )
    write_json(tmp_path / "metrics.json", metrics)
    own = metrics["label_groups"][group.name]
    assert own["labels_averaged"] == []
    own["methods"]["halo"]["conformal"] = {"nominal": 0.9, "observed": None, "size": 1.0}
    few = replace(results, metrics=results.metrics | {"label_groups": {group.name: own}})
    with style():
        drawn = list(_group_figures(replace(few, predictions=table), group.name, own))
        for figure in drawn:
            figure.figure.canvas.draw()
    assert [figure.name for figure in drawn] == [
        f"threshold_sweep_{group.name}",
        f"calibration_{group.name}",
    ]
    assert "an observed one of –" in Page(without_figures(few)).text


def test_without_a_calibration_part_no_threshold_was_chosen(results, page):
    assert "The threshold was chosen by" in page.text
    assert "on the calibration part, which neither" in page.text
    metrics = deepcopy(results.metrics)
    for sweep in metrics["threshold_sweep"].values():
        sweep["chosen"] = None
    for compared in metrics["thresholds"].values():
        del compared["overall"]["tuned"]
    text = Page(without_figures(results, metrics=metrics)).text
    assert "no threshold could be chosen" in text
    assert "on the calibration part, which neither" not in text
    with style():
        captions = [each.caption for each in _result_figures(metrics, results.predictions)]
    assert not [caption for caption in captions if "best macro-F1" in caption]


def test_few_homology_groups_of_a_group_of_labels_are_named(results):
    main = {key: value for key, value in results.metrics.items() if key != "label_groups"}
    assert main["groups"] >= 30
    metrics = main | {"label_groups": {"enough": main, "few": main | {"groups": 29}}}
    text = Page(without_figures(results, metrics=metrics)).text
    assert "The test (few) is small: 29 homology groups." in text
    assert text.count("is small: ") == 1


def test_a_label_with_the_name_of_the_last_row(results):
    names = ("proteins", *results.proteins.label_names[1:])
    table = fold_table(replace(results, proteins=replace(results.proteins, label_names=names)))
    usual = fold_table(results)
    assert list(table.index) == [*names, "proteins"]
    assert table.to_numpy().tolist() == usual.to_numpy().tolist()


def test_a_label_without_proteins_has_no_share_of_structures(results):
    labels = results.proteins.labels.copy()
    labels[:, 0] = 0
    figure = structure_coverage(replace(results.proteins, labels=labels), results.structures)
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(shown) == sorted(results.proteins.label_names[1:])


def test_figures_show_names_as_they_are(results, tmp_path):
    """A name between two dollar signs was a formula, or ended in a traceback."""
    names = ("$\\bad$", "a$b", "$Golgi$", r"x\y", "<b>")
    renamed = replace(results.proteins, label_names=names)
    for draw in (
        lambda: label_shares(renamed, results.assignments),
        lambda: structure_coverage(renamed, results.structures),
        lambda: _named(names),
    ):
        with style():
            file = tmp_path / "figure.svg"
            save(draw(), file)
        text = html.unescape(file.read_text(encoding="utf-8"))
        assert all(f">{name}</text>" in text for name in names)


def _named(names):
    figure = new_figure(3)
    _heat_map(figure.subplots(), np.eye(len(names)), list(names))
    return figure


def test_a_fold_that_knows_no_label_has_no_share(results):
    known = results.proteins.known.copy()
    fold = results.assignments["fold"].reindex(results.proteins.ids).to_numpy()
    known[fold == "0", 0] = False
    labels = results.proteins.labels * known
    figure = label_shares(
        replace(results.proteins, labels=labels, known=known), results.assignments
    )
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    assert [int(np.isnan(shares).sum()) for shares in drawn] == [1, 0, 0]


def test_labels_of_a_protein_are_counted_where_all_are_known(results, page):
    assert "labels are known" not in page.text
    labels, known = results.proteins.labels.copy(), np.ones_like(results.proteins.known)
    labels[:2], labels[2:] = [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]
    known[2:, 1:] = False
    some = replace(results, proteins=replace(results.proteins, labels=labels, known=known))
    assert (
        "has 2.00 of them on average, and 0.0 % have one, counted in 2 proteins of which all "
        "labels are known.\n"
    ) in Page(without_figures(some)).text
    known[:2, 4] = False
    none = replace(results, proteins=replace(results.proteins, labels=labels, known=known))
    assert "5 labels; no protein has all of them known.\n" in Page(without_figures(none)).text


def test_labels_that_go_together_are_known():
    """Of the proteins with a and a known b all have b; of none with b is c known."""
    predictions = pd.DataFrame(
        {
            "method": "halo",
            "labels": ["a;b"] * 2 + ["a"] * 8,
            "unknown": ["c"] * 2 + ["b"] * 8,
            "decisions": "a",
        }
    )
    metrics = {"main": "halo", "labels_averaged": ["a", "b", "c"]}
    metrics["support"] = {"a": 10, "b": 2, "c": 0}
    with style():
        together, predicted = (
            confusion(predictions, metrics, column).axes[0].collections[0].get_array()
            for column in ("labels", "decisions")
        )
    assert together[0].tolist() == [1, 1, 0]
    assert together[1].tolist() == [1, 1, None]
    assert predicted[:2].tolist() == [[1, 0, 0]] * 2


def test_a_difference_without_an_interval(results):
    metrics = deepcopy(results.metrics)
    for estimate in metrics["differences"]["homology"]["overall"].values():
        estimate.update(value=0.25, low=None, high=None)
    found = Page(without_figures(results, metrics=metrics)).text
    assert (
        "against homology: not defined.\nIts macro-F1 differs by +0.250,\nits MCC by +0.250.\n"
        in found
    )


def test_ids_of_a_figure_get_its_name():
    svg = (
        '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg width="10pt" height="5pt" viewBox="0 0 10 5">'
        '<metadata>when</metadata><defs><path id="m1"/></defs><use xlink:href="#m1"/>'
        '<g clip-path="url(#c2)"/></svg>\n'
    )
    assert inline_svg(svg, "fig", 'A "title"') == (
        '<svg viewBox="0 0 10 5" role="img" aria-label="A &quot;title&quot;">'
        '<defs><path id="fig-m1"/></defs><use xlink:href="#fig-m1"/>'
        '<g clip-path="url(#fig-c2)"/></svg>'
    )


def test_numbers_in_words():
    assert formatting.score(None) == "–"
    assert formatting.score(-0.25) == "\N{MINUS SIGN}0.250"
    assert formatting.signed(0.1) == "+0.100"
    assert formatting.verdict({"value": 0.1, "low": 0.02, "high": 0.2}) == "better"
    assert formatting.verdict({"value": -0.1, "low": -0.2, "high": -0.01}) == "worse"
    assert formatting.verdict({"value": 0.1, "low": -0.1, "high": 0.2}) == "no clear difference"
    assert formatting.count(1, "proteins") == "1 protein"
    assert formatting.count(28303, "proteins") == "28,303 proteins"
    assert formatting.duration(3.21) == "3.2 s"
    assert formatting.duration(61) == "1 min 1 s"
    assert formatting.duration(3 * 3600 + 120) == "3 h 2 min"
    assert formatting.size(35.6e9) == "35.6 GB"


def test_two_methods_together_have_a_section(tmp_path, page):
    assert "Two methods together" not in page.text
    run = make_run(tmp_path)
    assignments = run.assignments.set_index("id")
    homology = {path.parts[-4]: path for path in run.models if path.parts[-2] == "homology"}
    paths = []
    for path in (path for path in run.models if path.parts[-2] == "halo"):
        fold, seed = path.parts[-4:-2]
        for kind in ("cascade", "average"):
            folder = path.parents[1] / kind
            folder.mkdir()
            key = ModelKey("kfold", fold, int(seed), kind)
            members = [path, homology[fold]]
            settings = CascadeSettings()
            join_fold(run.proteins, assignments, members, kind, key, settings, folder)
            paths.append(folder / "predictions.csv")
    run = replace(run, models=[*run.models, *paths])
    write_evaluation(run)
    found = Page(without_figures(read_results(run)))
    joined = read_json(run.path("evaluation/metrics.json"))["methods"]["cascade"]["joining"]
    text = " ".join(found.text.split())
    assert "cascade uses halo for proteins outside its band of uncertainty" in text
    assert f"homology for those in it: {formatting.percent(joined['asked'])}" in text
    corrected, broken = (
        formatting.number(joined[f"labels_{what}"]) for what in ("corrected", "broken")
    )
    assert f"{corrected} decisions on a label became right and {broken} wrong" in text
    assert "average is the mean of halo and homology" in text
    for row in ("halo, always", "homology, always"):
        assert row in found.text
    assert "nominal coverage of 90.0 %" in text


def test_the_gain_with_homologues_has_a_section(results, page):
    assert "known labels of a homologue" not in page.text
    values = {"macro_f1": {"value": 0.25, "low": 0.125, "high": 0.375}}
    ways = dict.fromkeys(("alone", "homologue", "joined"), values)
    gain = dict.fromkeys(("alone", "homologue"), values)
    bins = {"0.4 to 0.6": {"proteins": 1234, "groups": 9, **ways, "gain": gain}}
    metrics = deepcopy(results.metrics)
    metrics["methods"]["halo"]["homologues"] = {"rules": [], "bins": bins}
    found = Page(without_figures(results, metrics=metrics))
    assert [a["id"] for a in found.all("section")].count("homologues") == 1
    for words in ("0.4 to 0.6", "1,234", "0.250"):
        assert words in found.text
