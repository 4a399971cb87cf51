import ast
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo.errors import HaloError
from halo.split import alignment, audit, audit_search, audit_units
from halo.split.audit import Auditor
from halo.split.settings import AuditSettings, Rule
from made_proteins import mutated, protein_table, random_sequence


def proteins(sequences, accessions=None):
    ids = [f"p{number}" for number in range(len(sequences))]
    return protein_table(sequences, ids, "" if accessions is None else accessions)


def assigned(table, *folds):
    """Assignments; each fold is one letter a protein: t(rain), v(al), T(est), r(emoved)."""
    names = {"t": "train", "v": "val", "c": "cal", "T": "test", "r": "removed"}
    parts = {f"part_{i}": [names[letter] for letter in fold] for i, fold in enumerate(folds)}
    return pd.DataFrame({"id": table["id"]} | parts)


def audited(table, assignments, folder, rule=None):
    return Auditor(table, rule or Rule(), AuditSettings(), 1, folder).examine(assignments)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def homologs(rng):
    """Six strangers, then a pair with 45 % identity: p6 and p7."""
    parent = random_sequence(rng, 220)
    strangers = [random_sequence(rng, 180) for _ in range(6)]
    return proteins([*strangers, parent, mutated(rng, parent, 0.45)])


def test_proteins_similar_to_some_are_searched_among_all(homologs, tmp_path):
    assignments = assigned(homologs, "tttttttT")
    of_the_test = np.arange(len(homologs)) == 7
    auditor = Auditor(homologs, Rule(), AuditSettings(), 1, tmp_path, of_the_test)
    every = audited(homologs, assignments, tmp_path)
    found = auditor.examine(assignments)
    assert found.n_leaking_tests == every.n_leaking_tests == 1
    assert found.leaks[["id_a", "id_b"]].equals(every.leaks[["id_a", "id_b"]])


def test_a_wrong_assignment_is_caught(homologs, tmp_path):
    findings = audited(homologs, assigned(homologs, "tttttttT", "tttttvtt"), tmp_path)
    assert not findings.clean
    leak = findings.leaks.iloc[0]
    assert {leak["id_a"], leak["id_b"]} == {"p6", "p7"}
    assert leak["identity"] == pytest.approx(0.45, abs=0.05)
    assert leak["folds"] == "0"
    assert (findings.n_leaking, findings.n_leaking_tests) == (2, 1)
    identity = findings.identity.set_index("id")["max_cross_identity"]
    assert identity.dropna().index.tolist() == ["p6", "p7"]


def test_a_coverage_that_equals_the_rule_s_counts(rng, tmp_path):
    parent = random_sequence(rng, 120)
    twin = parent[:40] + mutated(rng, parent[40:80], 0.5) + parent[80:]
    table = proteins([*(random_sequence(rng, 150) for _ in range(3)), parent, twin])
    findings = audited(table, assigned(table, "ttttT"), tmp_path, Rule(coverage=1.0))
    assert findings.n_leaking == 2
    identity = findings.identity.set_index("id")["max_cross_identity"]
    assert identity.dropna().index.tolist() == ["p3", "p4"]


@pytest.mark.parametrize("fold", ["tttttttt", "ttttttTT", "tttttttr", "ttttttrt", "TTTTTTrr"])
def test_a_right_assignment_is_clean(homologs, tmp_path, fold):
    findings = audited(homologs, assigned(homologs, fold), tmp_path)
    assert findings.clean
    assert findings.n_leaking == 0


def test_training_and_validation_must_be_apart_too(homologs, tmp_path):
    findings = audited(homologs, assigned(homologs, "tttttttv"), tmp_path)
    assert len(findings.leaks) == 1
    assert findings.n_leaking_tests == 0


def test_identical_sequences_apart_are_seen(rng, tmp_path):
    sequence = random_sequence(rng, 100)
    table = proteins([sequence, sequence, random_sequence(rng, 100)])
    assert audited(table, assigned(table, "tTt"), tmp_path).n_identical_apart == 1
    assert audited(table, assigned(table, "ttT"), tmp_path).clean


def test_copies_apart_count_as_similar(rng, tmp_path):
    """They are not aligned, and passed for proteins without a hit in another part."""
    sequence, alone, short = (random_sequence(rng, length) for length in (100, 100, 9))
    table = proteins([sequence] * 2 + [alone, sequence, short, short, short, alone])
    findings = audited(table, assigned(table, "tTttvTrt"), tmp_path)
    identity = findings.identity.set_index("id")
    for name in ("max_cross_identity", "max_local_identity"):
        highest = identity[name].dropna()
        assert highest.index.tolist() == ["p0", "p1", "p3", "p4", "p5"]
        assert (highest == 1).all()
    assert (findings.n_leaking, findings.n_leaking_tests) == (5, 2)
    assert (len(findings.leaks), findings.n_identical_apart) == (0, 2)


def test_the_identity_of_a_test_protein_is_to_what_is_outside_of_its_test(rng, tmp_path):
    """The pair is tested in the same fold; in another one it is trained and validated on."""
    parent = random_sequence(rng, 200)
    copy, other = random_sequence(rng, 90), random_sequence(rng, 150)
    table = proteins(
        [parent, mutated(rng, parent, 0.8), other, mutated(rng, other, 0.8), copy, copy]
    )
    # p0 and p1 are tested together; p2 without p3, and the copies p4 and p5 in different folds.
    findings = audited(table, assigned(table, "TTtttT", "tvTttt", "ttttTt"), tmp_path)
    identity = findings.identity.set_index("id")
    assert identity["max_cross_identity"].notna().all()
    assert identity["max_test_identity"].dropna().index.tolist() == ["p2", "p4", "p5"]
    assert identity.loc["p2", "max_test_identity"] == identity.loc["p2", "max_cross_identity"]


def test_isoforms_apart_are_seen(rng, tmp_path):
    sequences = [random_sequence(rng, 100) for _ in range(3)]
    table = proteins(sequences, ["P12345", "P12345-2", "Q99999"])
    assert audited(table, assigned(table, "tTt"), tmp_path).n_isoforms_apart == 1
    assert audited(table, assigned(table, "ttT"), tmp_path).clean


def test_one_auditor_examines_several_assignments(homologs, tmp_path):
    auditor = Auditor(homologs, Rule(), AuditSettings(), 1, tmp_path)
    leaks = [
        len(auditor.examine(assigned(homologs, fold)).leaks) for fold in ("tttttttT", "ttttttTT")
    ]
    assert leaks == [1, 0]


def test_an_upper_bound_is_that_of_clopper_and_pearson(homologs, tmp_path, monkeypatch):
    """Of 4 sampled of 8, with none missed, (1 - p)^4 = 0.05."""
    monkeypatch.setattr(audit, "search", lambda *_: np.empty((0, 2), dtype=np.int64))
    auditor = Auditor(homologs, Rule(), AuditSettings(exact=4), 1, tmp_path)
    sure = auditor.miss_rate(0)
    assert (sure["proteins"], sure["of"], sure["missed"], sure["rate"]) == (4, 8, 0, 0)
    assert sure["upper_bound"] == pytest.approx(1 - 0.05 ** (1 / 4))
    one = auditor.miss_rate(1)["upper_bound"]  # of 4, at most 1 with a probability of 5 %
    assert (1 - one) ** 4 + 4 * one * (1 - one) ** 3 == pytest.approx(0.05)
    assert auditor.miss_rate(4)["upper_bound"] == 1
    assert Auditor(homologs, Rule(), AuditSettings(), 1, tmp_path).miss_rate(0) is None


@pytest.mark.parametrize("proposes", [True, False])
def test_what_the_sample_has_beyond_the_search_is_counted(
    homologs, tmp_path, monkeypatch, proposes
):
    pairs = np.array(list(combinations(range(8), 2)))
    monkeypatch.setattr(audit, "search", lambda *_: pairs if proposes else pairs[:0])
    auditor = Auditor(homologs, Rule(), AuditSettings(exact=7), 1, tmp_path)
    assignments = assigned(homologs, "tttttttT")
    findings = auditor.examine(assignments)
    assert len(findings.leaks) == 1
    sampled = auditor.sampled[auditor.place[[6, 7]]].sum()
    assert findings.n_missed == (0 if proposes else sampled) <= 2
    assert len(auditor.examine(assignments, sample=False).leaks) == proposes
    assert len(auditor.similar_pairs(sample=False)) == proposes
    assert len(auditor.similar_pairs()) == 1
    assert auditor.examine(assigned(homologs, "ttttttTT")).n_missed == 0


def test_a_search_that_finds_nothing_is_an_error(rng, tmp_path, monkeypatch):
    sequences = np.array([random_sequence(rng, 150) for _ in range(3)], dtype=object)
    monkeypatch.setattr(audit_search, "run_mmseqs", lambda *_: None)
    with pytest.raises(HaloError, match="the audit's search found nothing"):
        audit_search.search(sequences, np.arange(3), 6.5, 1, tmp_path)
    short = np.array(["MKV", "MKL"], dtype=object)
    assert audit_search.search(short, np.arange(2), 6.5, 1, tmp_path).shape == (0, 2)


def test_the_audit_shares_no_code_with_the_partitioner():
    allowed = {"binary", "settings", "alignment", "pairs", "audit_search", "audit_units"}
    for module in (audit, audit_search, audit_units, alignment):
        tree = ast.parse(Path(module.__file__).read_text())
        imported = {
            node.module.removeprefix("halo.split.")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("halo.split")
        }
        assert imported <= allowed
