import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from halo.files import sha256_of_text
from halo.split import alignment, audit, audit_search, audit_units
from halo.split.audit import Auditor
from halo.split.settings import AuditSettings, Rule

RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_sequence(rng, length):
    return "".join(rng.choice(RESIDUES, length))


def mutated(rng, sequence, identity):
    letters = np.array(list(sequence))
    change = rng.choice(len(letters), round((1 - identity) * len(letters)), replace=False)
    for place in change:
        letters[place] = rng.choice(RESIDUES[letters[place] != RESIDUES])
    return "".join(letters)


def proteins(sequences, accessions=None):
    return pd.DataFrame(
        {
            "id": [f"p{number}" for number in range(len(sequences))],
            "accession": accessions or [""] * len(sequences),
            "sequence": sequences,
            "seq_hash": [sha256_of_text(text) for text in sequences],
        }
    )


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


def test_relatives_of_some_are_sought_among_all(homologs, tmp_path):
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


def test_the_audit_shares_no_code_with_the_partitioner():
    allowed = {"binary", "settings", "alignment", "audit_search", "audit_units"}
    for module in (audit, audit_search, audit_units, alignment):
        tree = ast.parse(Path(module.__file__).read_text())
        imported = {
            node.module.removeprefix("halo.split.")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("halo.split")
        }
        assert imported <= allowed
