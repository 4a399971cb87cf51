"""`snakemake benchmark`: several runs as one workflow, and their table."""

import random
import re

import pandas as pd

from pipeline import SMALL, snakemake

RANDOM = random.Random(2)
PROTEINS = [(f"p{i}", "".join(RANDOM.choices("ACDEFGHIKLMNPQRSTVWY", k=50))) for i in range(60)]
CONFIG = SMALL | {
    "benchmark": {
        "name": "both",
        "runs": {
            "one": {"title": "First labels", "dataset": {"proteins": "one.csv"}},
            "two": {
                "title": "Second labels",
                "dataset": {"proteins": "two.csv"},
                "evaluation": {"main": "majority"},
            },
        },
    },
    "structures": {"sources": []},
    "methods": {"halo": {"class": "network"}, "majority": {"class": "majority"}},
}


def tables(folder) -> None:
    for name, modulus in (("one", 2), ("two", 3)):
        rows = [f"{i},{text},{n % modulus == 0:d}\n" for n, (i, text) in enumerate(PROTEINS)]
        (folder / f"{name}.csv").write_text("id,sequence,A\n" + "".join(rows))


def test_runs_side_by_side(tmp_path):
    tables(tmp_path)
    outcome = snakemake(tmp_path, CONFIG)
    assert outcome.status == 0, outcome.output
    assert "all, at most" in outcome.output  # what it will take, before it starts
    table = pd.read_csv(tmp_path / "results/both/table.csv", keep_default_na=False)
    assert set(table["run"]) == {"one", "two"}
    assert set(table["method"]) == {"halo", "majority"}
    compared = table[table["difference"] != ""]
    assert dict(zip(compared["run"], compared["method"], strict=True)) == {
        "one": "majority",
        "two": "halo",  # its main method is another
    }
    text = (tmp_path / "results/both/table.md").read_text()
    assert text.index("## First labels") < text.index("## Second labels")
    for file in ("both/macro_f1.svg", "both/provenance.json", "both-one/report.html"):
        assert (tmp_path / "results" / file).stat().st_size
    assert snakemake(tmp_path, CONFIG).nothing_to_do


def test_a_profile_holds_for_the_rules_of_every_run(tmp_path):
    """A run's rules have names of their own, which no profile knows."""
    tables(tmp_path)
    resources = ["language_model:mem_mb=1234", "two_language_model:mem_mb=4321"]
    outcome = snakemake(tmp_path, CONFIG, "--dry-run", "--set-resources", *resources)
    assert outcome.status == 0, outcome.output
    asked = re.findall(
        r"(?:rule|checkpoint) (\w+_language_model):.*?mem_mb=(\d+)", outcome.output, re.DOTALL
    )
    assert dict(asked) == {"one_language_model": "1234", "two_language_model": "4321"}


def test_a_fault_of_one_run_ends_all_before_the_first_job(tmp_path):
    tables(tmp_path)
    (tmp_path / "two.csv").unlink()
    outcome = snakemake(tmp_path, CONFIG)
    assert outcome.status != 0
    assert "benchmark.runs.two: the configuration has errors" in outcome.output
    assert not (tmp_path / "results").exists()
