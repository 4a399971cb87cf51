"""A fault of the configuration stops before any job, with the key and the fix."""

import pytest

from halo.config import merged
from pipeline import SMALL, snakemake

GOOD = merged(SMALL, {"run": "faulty", "dataset": {"proteins": "proteins.csv"}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sede": [1]}, "sede: unknown key, did you mean 'seeds'"),
        ({"graphs": {"radius": "10"}}, "graphs.radius: '10' is text, but a number is wanted"),
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
