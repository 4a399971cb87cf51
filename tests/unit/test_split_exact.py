"""The split has no leaks, verified by an independent loop: see ``tests/all_pairs.py``."""

import math
from dataclasses import replace
from functools import cache
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from all_pairs import apart, biopython, measured, similar_pairs
from halo.errors import HaloError
from halo.proteins.table import Proteins
from halo.split import run
from halo.split.alignment import (
    align,
    align_with_all,
    evalue,
    least_identical,
    most_identical,
    optimal_alignments,
    pair_tasks,
    total_residues,
)
from halo.split.audit import Auditor
from halo.split.run import split
from halo.split.settings import AuditSettings, Rule, SplitSettings
from made_proteins import RESIDUES, protein_table, random_sequence

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
CASES = SHARED / "cases/proteins"
DEEPLOC = SHARED / "data/deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
DEMO = ROOT / "resources/demo/proteins.csv"
SEARCHED = AuditSettings(exact=10)  # a sample of ten: what is found is found by the search
both_ways = pytest.mark.parametrize(
    "audit",
    [
        pytest.param(AuditSettings(), id="all pairs"),
        pytest.param(SEARCHED, id="searched", marks=pytest.mark.slow),
    ],
)
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the failing inputs are not there")
needs_deeploc = pytest.mark.skipif(not DEEPLOC.exists(), reason="DeepLoc 2.0 is not there")


def proteins_of(sequences, given="", names=None):
    ids = names if names is not None else [f"p{number:04d}" for number in range(len(sequences))]
    table = protein_table(sequences, ids, split=given)
    labels = np.random.default_rng(0).random((len(table), 3)) < (0.5, 0.3, 0.2)
    return Proteins(table, ("A", "B", "C"), labels.astype(np.uint8), "multilabel")


def mutated(rng, text, identity):
    letters = np.array(list(text))
    change = rng.random(len(letters)) > identity
    return "".join(np.where(change, rng.choice(RESIDUES, len(letters)), letters))


# The definition


sequences = st.text("ARNDWY", min_size=1, max_size=40) | st.text("QG", min_size=1, max_size=12)


@given(sequences, sequences)
@settings(max_examples=150, deadline=None)
def test_what_is_measured_is_an_optimal_alignment(first, second):
    every = biopython().align(first, second)
    found = [
        (f.identical, f.columns, f.covered_a, f.covered_b)
        for f in optimal_alignments(first, second)
    ]
    assert len(found) == (6 if every.score > 0 else 0)
    if found and len(every) <= 3000:
        optimal = {measured(one, first, second) for one in islice(every, 3000)}
        assert set(found[:4]) <= optimal
        # Of an equal score, but with ends that score 0 in all, which Biopython leaves out.
        assert found[4][0] >= max(identical for identical, *_ in optimal)
        assert found[5][0] <= found[4][0]


def test_the_e_value_is_karlins_and_altschuls():
    assert evalue(100, 500, 10**6) == pytest.approx(0.041 * 500 * 1e6 * math.exp(-26.7))
    assert total_residues(["MKV", "MKV", "MK"]) == 5


def one_pair(first, second, rule):
    table = align([first, second], [(0, [1])], rule, len(first) + len(second), 1)
    return table.iloc[0]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_an_extension_that_scores_nothing_counts(turned, swapped):
    """The first optimal alignment found may be far below the coverage that another one has."""
    core = random_sequence(np.random.default_rng(5), 30)
    pair = core + "W" * 30 + "A" * 15, core + "G" * 30 + "A" * 15  # 30 * -2 + 15 * 4 = 0
    pair = tuple(text[::-1] if turned else text for text in pair)
    found = one_pair(*(reversed(pair) if swapped else pair), Rule())
    assert found["similar"]
    assert found["coverage"] == 1
    assert found["identity"] == pytest.approx(45 / 75)


RULES = [
    Rule(evalue=1e9),
    Rule(evalue=1e9, coverage_of="both"),
    Rule(evalue=1e9, identity_of="shorter", coverage=0.0),
    Rule(evalue=1e9, identity_of="shorter", coverage=0.5, coverage_of="both"),
]


def test_identical_residues_that_an_alignment_needs():
    assert [least_identical(rule, (200, 100)) for rule in RULES] == [24, 48, 30, 30]


@given(sequences, sequences)
def test_the_most_identical_residues_of_optimal_alignments(first, second):
    every = list(optimal_alignments(first, second))
    if every:
        score = round(biopython().score(first, second))
        assert most_identical(first, second, score) == max(one.identical for one in every)


@given(sequences, sequences, st.sampled_from(RULES))
@settings(max_examples=300, deadline=None)
def test_a_pair_is_similar_if_one_of_the_optimal_alignments_is(first, second, rule):
    lengths = len(first), len(second)

    def meets(one):
        same = one.identical / (one.columns if rule.identity_of == "aligned" else min(lengths))
        covered = [one.covered_a, one.covered_b]
        if rule.coverage_of == "both":
            spanned = min(covered)
        else:
            spanned = max(covered) if lengths[0] == lengths[1] else covered[np.argmin(lengths)]
        return same >= rule.identity and spanned >= rule.coverage

    expected = any(meets(one) for one in optimal_alignments(first, second))
    table = align([first, second], [(0, [1])], rule, sum(lengths), 1)
    assert table["similar"].any() == expected  # without a positive score there is no row


def test_identity_and_coverage_are_of_the_shorter(tmp_path):
    rng = np.random.default_rng(2)
    part = random_sequence(rng, 100)
    whole = random_sequence(rng, 150) + part + random_sequence(rng, 150)
    for first, second in ((part, whole), (whole, part)):
        for identity_of in ("aligned", "shorter"):
            pair = one_pair(first, second, Rule(identity_of=identity_of))
            assert (pair["identity"], pair["coverage"], pair["similar"]) == (1, 1, True)
            expected = 0.041 * 400 * 500 * math.exp(-0.267 * pair["score"])
            assert pair["evalue"] == pytest.approx(expected)
        both = one_pair(first, second, Rule(coverage_of="both"))
        assert both["coverage"] == pytest.approx(0.25)
        assert not both["similar"]
    # 40 of 100 residues: of the aligned columns all are identical, of the shorter protein 40 %.
    share = random_sequence(rng, 300) + part[:40]
    pair = one_pair(part, share, Rule(identity_of="shorter", coverage=0))
    assert pair["identity"] == pytest.approx(0.4, abs=0.03)
    assert one_pair(part, share, Rule(coverage=0))["identity"] > 0.9
    assert one_pair(part, share, Rule())["coverage"] == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("rule", [Rule(identity_of="shorter", coverage=0.0), Rule()])
def test_the_audit_measures_by_the_shorter(rule, tmp_path):
    rng = np.random.default_rng(3)
    part = random_sequence(rng, 120)
    whole = random_sequence(rng, 400) + mutated(rng, part, 0.5)
    strangers = [random_sequence(rng, 200) for _ in range(12)]
    table = proteins_of([part, whole, *strangers]).table
    assignments = pd.DataFrame({"id": table["id"], "part_0": ["test"] + ["train"] * 13})
    for audit in (AuditSettings(), SEARCHED):
        leaks = Auditor(table, rule, audit, 1, tmp_path).examine(assignments).leaks
        assert leaks[["id_a", "id_b"]].to_numpy().ravel().tolist() in (
            ["p0000", "p0001"],
            ["p0001", "p0000"],
        )
        assert leaks["identity"].iloc[0] == pytest.approx(0.5, abs=0.1)


def test_pairs_are_the_same_however_they_are_asked_for():
    rng = np.random.default_rng(4)
    texts = [random_sequence(rng, 80) for _ in range(4)]
    texts += [mutated(rng, text, 0.6) for text in texts]
    residues = total_residues(texts)
    every = np.array(list(combinations(range(8), 2)))
    pairs = align(texts, pair_tasks(every[:, ::-1]), Rule(), residues, 1)
    assert pairs.loc[pairs["similar"], ["a", "b"]].to_numpy().tolist() == [
        [i, i + 4] for i in range(4)
    ]
    for queries in (range(8), range(4), range(4, 8)):
        asked = align_with_all(texts, np.array(queries), Rule(), residues, 2)
        pd.testing.assert_frame_equal(asked, pairs)


@pytest.mark.parametrize("name", ["identity", "coverage", "evalue"])
def test_a_rule_that_is_no_number_is_refused(name):
    with pytest.raises(HaloError, match=rf"split\.{name}: nan"):
        SplitSettings(**{name: math.nan})


# Nothing similar is apart


@pytest.fixture
def searched(monkeypatch):
    """Both the partitioner and the audit search, however few the proteins are."""
    monkeypatch.setattr(run, "NOT_SEARCHED", 0)


@pytest.fixture(scope="module")
def demo():
    table = pd.read_csv(DEMO)
    given = np.where(np.arange(len(table)) % 4 == 0, "test", "train")
    proteins = proteins_of(table["sequence"].tolist(), given, table["id"].tolist())
    return proteins, similar_pairs(table["sequence"].tolist())


@pytest.mark.parametrize(
    "mode",
    [
        "kfold",
        pytest.param("fractions", marks=pytest.mark.slow),
        pytest.param("external", marks=pytest.mark.slow),
        "predefined",
        pytest.param("incremental", marks=pytest.mark.slow),
    ],
)
def test_the_demo(demo, mode, tmp_path):
    proteins, similar = demo
    base = SplitSettings(folds=3, val_fraction=0.2, cal_fraction=0.1)
    chosen = {
        "kfold": base,
        "fractions": replace(base, mode="fractions"),
        "external": replace(base, mode="external"),
        "predefined": replace(base, mode="predefined", folds=1, repair=True),
        "incremental": base,
    }[mode]
    if mode == "incremental":
        some = np.random.default_rng(1).random(len(proteins)) < 0.8
        table = proteins.table[some].reset_index(drop=True)
        part = replace(proteins, table=table, labels=proteins.labels[some])
        file = tmp_path / "base.csv"
        split(part, base, 1, tmp_path).assignments.to_csv(file, index=False)
        chosen = replace(base, base=str(file))
    result = split(proteins, chosen, 1, tmp_path)
    assert len(similar) > 100
    assert apart(proteins.ids, similar, result.assignments) == []
    assert result.leakage["pairs_above_threshold"] == 0


@pytest.mark.slow
@needs_deeploc
@pytest.mark.parametrize("which", ["random", "hard"])
def test_real_proteins(which, searched, tmp_path):
    sequences = pd.read_csv(DEEPLOC)["Sequence"]
    sequences = sequences[sequences.str.len() <= 1000]
    if which == "random":
        chosen = sequences.sample(250, random_state=3).tolist()
    else:  # the ones of fewest different residues
        letters = sequences.str.slice(0, 1000).map(lambda text: len(set(text[10:90])))
        chosen = sequences.iloc[np.argsort(letters.to_numpy(), kind="stable")[:90]].tolist()
    proteins = proteins_of(list(dict.fromkeys(chosen)))
    result = split(proteins, SplitSettings(folds=3, audit=SEARCHED), 1, tmp_path)
    similar = similar_pairs(proteins.table["sequence"].tolist())
    assert similar
    assert apart(proteins.ids, similar, result.assignments) == []


# Cases that were missed


known_pairs = cache(similar_pairs)  # each case is audited in two ways


def read_fasta(file):
    records = file.read_text().split(">")[1:]
    return {name: "".join(rest) for name, *rest in (record.split("\n") for record in records)}


@needs_cases
@both_ways
def test_homologs_in_training_and_test_are_reported(audit, tmp_path):
    table = pd.read_csv(CASES / "leak_pairs.csv")
    proteins = proteins_of(table["sequence"].tolist(), table["part"].tolist(), table["id"].tolist())
    chosen = SplitSettings(mode="predefined", folds=1, audit=audit)
    result = split(proteins, chosen, 1, tmp_path)
    similar = known_pairs(tuple(table["sequence"]))
    found_apart = apart(proteins.ids, similar, result.assignments)
    names = {frozenset(proteins.ids[list(pair)]) for pair in found_apart}
    found = {frozenset(pair) for pair in result.leaks[["id_a", "id_b"]].to_numpy()}
    assert len(names) >= 11
    assert found == names
    assert result.leakage["max_cross_identity"] > 0.6


@needs_cases
@both_ways
def test_repeats_of_low_complexity_stay_together(audit, searched, tmp_path):
    records = read_fasta(CASES / "low_complexity_pairs.fasta")
    rng = np.random.default_rng(6)
    more = {f"s{i}": random_sequence(rng, 200) for i in range(40)}
    proteins = proteins_of([*records.values(), *more.values()], names=[*records, *more])
    # Whether what is of one kind is one group or several depends on the kind; in no fold may a
    # similar pair be apart, and no pair of the file.
    chosen = SplitSettings(folds=3, val_fraction=0.2, cal_fraction=0.1, audit=audit)
    result = split(proteins, chosen, 1, tmp_path)
    similar = known_pairs(tuple(proteins.table["sequence"]))
    assert len(similar) >= 20
    assert apart(proteins.ids, similar, result.assignments) == []


def repeats(rng, unit, length=120, identity=0.95):
    return mutated(rng, (unit * length)[:length], identity)


@both_ways
def test_six_kinds_of_repeats_are_seen_by_the_audit(audit, tmp_path):
    rng = np.random.default_rng(8)
    units = ["SR", "GGGGS", "Q", "DE", "QN", "PPG"]
    sequences = [repeats(rng, unit) for unit in units for _ in range(2)]
    table = proteins_of(sequences + [random_sequence(rng, 150) for _ in range(12)]).table
    parts = ["test", "train"] * 6 + ["train"] * 12
    assignments = pd.DataFrame({"id": table["id"], "part_0": parts})
    findings = Auditor(table, Rule(), audit, 1, tmp_path).examine(assignments)
    found = {frozenset(pair) for pair in findings.leaks[["id_a", "id_b"]].to_numpy()}
    assert {frozenset(table["id"][i : i + 2]) for i in range(0, 12, 2)} <= found


@pytest.mark.slow
@pytest.mark.parametrize("length", [20_000, 70_000])
def test_long_proteins_are_aligned_to_their_end(length, searched, tmp_path):
    rng = np.random.default_rng(9)
    long = random_sequence(rng, length)
    # The copy of the longer one is a part of it, and ends where it ends.
    copy = mutated(rng, long if length == 20_000 else long[-3000:], 0.95)
    strangers = [random_sequence(rng, 150) for _ in range(30)]
    proteins = proteins_of([long, copy, *strangers])
    chosen = SplitSettings(folds=3, val_fraction=0.2, cal_fraction=0.1, audit=SEARCHED)
    result = split(proteins, chosen, 1, tmp_path)
    parts = result.assignments.set_index("id").loc[["p0000", "p0001"]].filter(like="part_")
    assert len(parts.drop_duplicates()) == 1
    hit = result.hits.set_index(["query", "target"]).loc[("p0000", "p0001")]
    assert hit["shorter_coverage"] > 0.99
    assert hit["identity"] == pytest.approx(0.9525, abs=0.02)


def test_peptides_are_protected_where_they_are_identical_and_counted(tmp_path):
    rng = np.random.default_rng(10)
    peptides = [random_sequence(rng, length) for length in range(4, 12)]
    strangers = [random_sequence(rng, 150) for _ in range(40)]
    proteins = proteins_of([*peptides, *peptides, *strangers])
    result = split(proteins, SplitSettings(folds=3), 1, tmp_path)
    groups = result.assignments.set_index("id")["group"].loc[proteins.ids[:16]].to_numpy()
    assert (groups[:8] == groups[8:]).all()
    matrix, residues = biopython().substitution_matrix, sum(map(len, peptides + strangers))
    scores = [sum(matrix[letter, letter] for letter in text) for text in peptides]
    short = [
        0.041 * len(text) * residues * math.exp(-0.267 * score) > 1e-3
        for text, score in zip(peptides, scores, strict=True)
    ]
    assert 2 <= sum(short) < len(short)
    assert result.leakage["n_too_short"] == 2 * sum(short)
    told = result.identity.set_index("id")["too_short"].loc[proteins.ids[:16]]
    assert told.tolist() == 2 * short
