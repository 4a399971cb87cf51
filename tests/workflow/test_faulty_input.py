"""A fault of the configuration stops the run before any job, with key and fix."""

import re

import pytest

from halo.config import merged
from pipeline import SMALL, snakemake

GOOD = merged(SMALL, {"run": "faulty", "dataset": {"proteins": "proteins.csv"}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sede": [1]}, "sede: unknown key, did you mean 'seeds'"),
        ({"graphs": {"radius": "10"}}, "graphs.radius: '10' is text, but a number is expected"),
        (
            {"dataset": {"proteins": "gone.csv"}},
            "there is no file or folder 'gone.csv'",
        ),
    ],
)
def test_faults_of_the_configuration(tmp_path, change, words):
    (tmp_path / "proteins.csv").write_text("id,sequence,A\nx,MKV,1\n")
    outcome = snakemake(tmp_path, merged(GOOD, change), "-n")
    assert outcome.status != 0
    assert words in outcome.output
    assert not outcome.rules


def test_a_fault_of_the_table_is_shown_before_any_job(tmp_path):
    (tmp_path / "proteins.csv").write_text("id,sequence,A\nx,MKV,1,7\n")
    outcome = snakemake(tmp_path, GOOD, "-n")
    assert outcome.status != 0
    assert "proteins.csv: line 2 has 4 fields, the header has 3" in outcome.output
    assert "Traceback" not in outcome.output


def test_values_of_the_command_line_are_yaml(tmp_path):
    """Numbers, booleans, lists and null, which Snakemake itself reads as text in braces."""
    (tmp_path / "proteins.csv").write_text("id,sequence,A\nx,MKV,1\ny,MKK,0\n")
    values = ['split={"folds": 4, "name": null}', "dataset={simulated: true, sample: 2}"]
    outcome = snakemake(tmp_path, {**GOOD, "folds": None}, "-n", "--config", *values)
    assert outcome.status == 0, outcome.output
    assert re.search(r"^train +4$", outcome.output, re.MULTILINE)


def test_several_faults_and_where_they_stand(tmp_path):
    (tmp_path / "proteins.csv").write_text("id,sequence,A\nx,MKV,1\n")
    change = {"methods": {"halo": {"class": "network", "network": {"hiden": 8}}}}
    outcome = snakemake(tmp_path, merged(GOOD, change), "-n", "--config", "split={folds: four}")
    assert outcome.status != 0
    assert "methods.halo.network.hiden: unknown key, did you mean 'hidden'" in outcome.output
    assert "config.yaml, line" in outcome.output
    assert re.search(r"split\.folds: 'four' is text.*\[--config\]", outcome.output)
    assert "Traceback" not in outcome.output
