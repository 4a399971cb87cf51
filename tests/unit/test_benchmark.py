"""The benchmark: its runs, estimates, and table of results."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from halo.benchmark.figure import draw
from halo.benchmark.matrix import matrix_text, size_of, sizes_of
from halo.benchmark.runs import benchmark_runs
from halo.benchmark.table import METRICS, Measured, long_table, markdown, read_published
from halo.config import key_lines, load_yaml
from halo.errors import HaloError

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "resources/published_results.csv"
REGISTRY = load_yaml(ROOT / "resources/datasets.yaml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a configuration for runs to start from."""
    (tmp_path / "start.yaml").write_text(
        yaml.safe_dump({"run": "start", "dataset": {"registry": "hpa"}, "seeds": [7], "shards": 4})
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(**runs) -> dict:
    return {"benchmark": {"name": "all", "runs": runs}}


def test_layers_of_a_run(folder):
    """Its configfile, over it what holds for all, over that its own keys."""
    given = config(
        one={"title": "One", "configfile": "start.yaml", "published": "hpa"},
        two={"title": "Two", "configfile": "start.yaml", "seeds": [1, 2], "shards": 8},
    )
    given |= {"seeds": [3], "split": {"folds": 4}}
    name, runs = benchmark_runs(given, ROOT)
    assert name == "all"
    assert list(runs) == ["one", "two"]
    one, two = runs["one"], runs["two"]
    assert (one.title, one.published, two.published) == ("One", "hpa", None)
    assert one.config["run"] == "all-one"
    assert (one.config["seeds"], two.config["seeds"]) == ([3], [1, 2])
    assert (one.config["shards"], two.config["shards"]) == (4, 8)
    assert two.config["split"]["folds"] == 4
    assert two.config["dataset"]["sequence"] == "fasta"  # of the registry


def test_methods_take_the_place_of_those_before(folder):
    """Merged with the defaults, none could be left out."""
    given = config(one={"title": "One", "configfile": "start.yaml"})
    given["methods"] = {"mine": {"class": "majority"}}
    _, runs = benchmark_runs(given, ROOT)
    assert runs["one"].config["methods"] == {"mine": {"class": "majority"}}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"title": "x", "configfile": "no.yaml"}, "one: configfile: there is no file 'no.yaml'"),
        ({"title": "x", "configfile": "start.yaml", "sead": 1}, "one: .*sead: unknown key"),
        ({"configfile": "start.yaml"}, "runs.one.title: missing"),
        (
            {"title": "x", "configfile": "start.yaml", "published": "deeploc-2"},
            "one: published: .* of 'deeploc-2' in .*; correct the name, one of .*deeploc2, hpa",
        ),
    ],
)
def test_faults_name_the_run(folder, run, words):
    with pytest.raises(HaloError, match=re.compile(words, re.DOTALL)):
        benchmark_runs(config(one=run), ROOT)


def test_faults_of_all_runs_and_their_lines(folder):
    file = folder / "all.yaml"
    file.write_text(
        "benchmark:\n  name: all\n  runs:\n    one: {title: One, configfile: start.yaml, sead: 1}\n"
        "    two:\n      title: Two\n      network: {hidden: 30}\nshards: 999\n"
    )
    with pytest.raises(HaloError) as error:
        benchmark_runs(load_yaml(file), ROOT, key_lines([file]))
    for words, line in (("sead: unknown key", 4), ("network.hidden: 30", 7), ("shards: 999", 8)):
        said = next(text for text in str(error.value).splitlines() if words in text)
        assert said.endswith(f"[{file}, line {line}]")
    assert "benchmark.runs.one: " in str(error.value)
    assert "benchmark.runs.two: " in str(error.value)


@pytest.mark.parametrize("file", ["benchmark.yaml", "benchmark_small.yaml"])
def test_the_benchmarks_of_the_repository(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = load_yaml(ROOT / "config" / file)
    _, runs = benchmark_runs(given, ROOT)
    published = set(read_published(PUBLISHED)["dataset"])
    assert {run.published for run in runs.values()} <= published
    assert {run.config["dataset"]["registry"] for run in runs.values()} == {"deeploc2", "protgps"}
    assert all(list(run.config["methods"]) == list(given["methods"]) for run in runs.values())
    text = matrix_text(sizes_of(runs, ROOT))
    assert "?" not in text
    assert all(name in text for name in runs)


def test_sizes_grow_with_what_is_asked(folder):
    given = config(one={"title": "One", "configfile": "start.yaml"})
    given |= {"finetune": {"model": "pretrained"}, "split": {"folds": 5}}
    one = benchmark_runs(given, ROOT)[1]["one"].config
    small = size_of(one, REGISTRY)
    assert size_of(one | {"folds": ["0"]}, REGISTRY).hours < small.hours
    assert size_of(one | {"seeds": [1, 2]}, REGISTRY).jobs > small.jobs
    assert size_of(one | {"dataset": {**one["dataset"], "registry": None}}, REGISTRY).disk is None
    sampled = size_of(one | {"dataset": {**one["dataset"], "sample": 171}}, REGISTRY)
    assert sampled.disk == pytest.approx(small.disk / 10, rel=0.01)
    # 505,084 residues of HPA, in float16 of 1,280 numbers, and 302 bytes of structure and graph.
    assert small.disk == 505_084 * (1280 * 2 + 42 + 260)


COMPARED = set(METRICS) - {"macro_average_precision"}


def estimates(value: float) -> dict:
    return {m: {"value": value, "low": value - 0.01, "high": value + 0.01} for m in METRICS}


def run(published: str | None = None) -> Measured:
    """HALO at 0.5, one method worse than it, one as good and one better."""
    values = {"halo": 0.5, "worse": 0.4, "same": 0.495, "ahead": 0.6}
    metrics = {
        "main": "halo",
        "proteins": 1200,
        "groups": 900,
        "labels": ["A", "B", "C"],
        "labels_averaged": ["A", "C"],
        "methods": {name: {"overall": estimates(value)} for name, value in values.items()},
        "differences": {
            name: {"overall": {m: e for m, e in estimates(0.5 - value).items() if m in COMPARED}}
            for name, value in values.items()
            if name != "halo"
        },
    }
    return Measured("A title", published, metrics, 3)


def test_the_table_has_every_method_and_the_published_figures():
    runs = {"mine": run("hpa"), "other": run()}
    published = read_published(PUBLISHED)
    table = long_table(runs, published)
    ours = table[table["source"] == ""]
    assert len(ours) == 2 * 4 * len(METRICS)
    worse = ours[(ours["method"] == "worse") & (ours["run"] == "mine")].set_index("metric")
    assert worse.loc["jaccard", "value"] == 0.4
    assert worse.loc["jaccard", "difference"] == pytest.approx(0.1)
    assert np.isnan(worse.loc["macro_average_precision", "difference"])
    theirs = table[table["source"] != ""]
    assert set(theirs["run"]) == {"mine"}
    expected = published[(published["dataset"] == "hpa") & published["metric"].isin(METRICS)]
    assert sorted(theirs["value"]) == sorted(expected["value"].astype(float))


def test_losses_are_shown_as_openly_as_wins():
    runs = {"mine": run("hpa")}
    lines = markdown(runs, long_table(runs, read_published(PUBLISHED))).splitlines()
    words = {line.split("|")[1].strip(): line.split("|")[-2] for line in lines if "|" in line}
    assert words["worse"].endswith("0.110): better ")
    assert words["same"].endswith(": not different ")
    assert words["ahead"].endswith("-0.090): worse ")
    assert words["halo"].strip() == ""
    text = "\n".join(lines)
    assert "## A title" in text
    assert "2 of 3 labels (A, C)" in text
    assert "have a similar one in training: 3." in text
    assert "*DeepLoc 2.0 ProtT5*, published (Thumuluri 2022" in text


def test_a_value_without_an_interval_is_neither_better_nor_worse():
    alone = run()
    for content in (alone.metrics["methods"], alone.metrics["differences"]):
        for method in content.values():
            for estimate in method["overall"].values():
                estimate.update(low=None, high=None)
    runs = {"mine": alone}
    text = markdown(runs, long_table(runs, read_published(PUBLISHED)))
    assert "| worse | 0.400 |" in text
    assert "| 0.100: interval not defined |" in text
    assert not re.search("nan|: better|: worse|: not different", text)


def test_published_figures_name_their_source():
    table = read_published(PUBLISHED)
    assert (table["source"].str.len() > 5).all()
    assert pd.to_numeric(table["value"]).between(0, 1).all()
    with pytest.raises(HaloError, match=r"the columns .*source.* are missing"):
        read_published(ROOT / "resources/demo/proteins.csv")


@pytest.mark.parametrize("value", ["", "0.66±0.01", "nan"])
def test_a_published_value_that_is_no_number(tmp_path, value):
    file = tmp_path / "published.csv"
    file.write_text(
        "dataset,method,metric,value,sd,labels,split,source\n"
        f"hpa,A,macro_f1,0.5,,10,,x\nhpa,B,macro_f1,{value},,10,,x\n",
        encoding="utf-8",
    )
    words = rf"published\.csv, line 3: the value '{value}' is no number; write one such as 0\.66"
    with pytest.raises(HaloError, match=words):
        read_published(file)


def test_the_figure_shows_every_method(tmp_path):
    runs = {"mine": run("hpa"), "other": run()}
    table = long_table(runs, read_published(PUBLISHED))
    draw(runs, table, tmp_path / "macro_f1.svg")
    text = " ".join(ET.parse(tmp_path / "macro_f1.svg").getroot().itertext())
    for method in table[table["metric"] == "macro_f1"]["method"]:
        assert method in text
    assert "A title" in text
