import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.split.author_partitions import author_folds
from halo.split.folds import (
    CAL,
    REMOVED,
    TEST,
    TRAIN,
    VAL,
    Homology,
    author_parts,
    fractions,
    kfold,
    part_shares,
    training_shares,
)
from halo.split.groups import accession_base, components, graph, pairs_of_equals
from halo.split.incremental import NEW, extend_assignment, read_base
from halo.split.settings import Fractions, SplitSettings
from halo.split.tables import assignment_table

KFOLD = SplitSettings(folds=3, val_fraction=0.2, cal_fraction=0.1)


def random_homology(seed, n=60, density=0.02, n_labels=3):
    """Sequences with one or two records each, in random families."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(np.triu(rng.random((n, n)) < density, 1))
    records = np.sort(np.concatenate([np.arange(n), rng.integers(0, n, n // 5)]))
    labels = rng.random((len(records), n_labels)) < 0.3
    weights = np.zeros((n, 1 + n_labels))
    np.add.at(weights, records, np.column_stack([np.ones(len(records)), labels]))
    return Homology(graph(n, pairs), weights, records)


def similar_apart(homology, parts):
    """Number of similar pairs of sequences in different parts, over all folds."""
    entries = homology.adjacency.tocoo()
    a, b = parts[entries.row], parts[entries.col]
    return int(((a != b) & (a != REMOVED) & (b != REMOVED)).sum() // 2)


seeds = st.integers(0, 10_000)
densities = st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.2])


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=seeds, density=densities)
def test_kfold_keeps_the_similar_together_and_tests_everyone_once(seed, density):
    homology = random_homology(seed, density=density)
    parts = kfold(homology, KFOLD)
    assert similar_apart(homology, parts) == 0
    gone = (parts == REMOVED).all(axis=1)
    np.testing.assert_array_equal((parts == TEST).sum(axis=1), np.where(gone, 0, 1))
    assert ((parts == REMOVED).any(axis=1) == gone).all()
    group = components(homology.adjacency, ~gone)
    several = np.bincount(group)[group] > 1
    totals = np.bincount(group, weights=homology.sizes)[group][several]
    assert totals.max(initial=0) <= homology.sizes.sum() / KFOLD.folds


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=seeds, density=densities)
def test_fractions_keep_the_similar_together(seed, density):
    homology = random_homology(seed, density=density)
    settings = SplitSettings(mode="fractions")
    parts = fractions(homology, settings)
    assert similar_apart(homology, parts) == 0
    kept = parts[:, 0] != REMOVED
    sizes = np.bincount(components(homology.adjacency, kept)[kept], homology.sizes[kept])
    assert sizes.max() <= homology.sizes.sum() * part_shares(settings).max()


def test_shares_of_the_training_sum_to_one():
    assert training_shares(KFOLD) == pytest.approx([0.7, 0.2, 0.1])


def test_an_edge_that_is_given_again_stays():
    pairs = np.array([(0, 1), (1, 2)])
    joined = Homology(graph(4, pairs[:1]), np.ones((4, 1)), np.arange(4)).joined(pairs)
    assert np.argwhere(joined.adjacency.toarray()).tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]


def test_fractions_are_met():
    homology = random_homology(1, n=1000, density=0.0)
    settings = SplitSettings(fractions=Fractions(0.5, 0.2, 0.1, 0.2))
    parts = fractions(homology, settings)
    for part, share in ((TRAIN, 0.5), (VAL, 0.2), (CAL, 0.1), (TEST, 0.2)):
        found = homology.sizes[parts[:, 0] == part].sum() / homology.sizes.sum()
        assert found == pytest.approx(share, abs=0.005)


def test_every_fold_has_a_validation_and_a_calibration():
    homology = random_homology(2, n=600, density=0.0005)
    for column in kfold(homology, KFOLD)[homology.sequence_of].T:
        others = column[column != TEST]
        assert (others == VAL).mean() == pytest.approx(0.2, abs=0.03)
        assert (others == CAL).mean() == pytest.approx(0.1, abs=0.03)


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=seeds, density=densities)
def test_an_external_test_stays_whole_and_only_proteins_similar_to_it_are_removed(seed, density):
    homology = random_homology(seed, density=density)
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(len(homology.sequence_of)) < 0.2, "test", "rest").astype(object)
    values[0], values[-1] = "test", "rest"
    settings = SplitSettings(mode="external")
    parts = author_parts(homology, author_folds(values, settings), True, settings)[:, 0]
    is_test = values == "test"
    assert (parts[is_test] == TEST).all()
    tested = homology.having(is_test)
    related = tested | (homology.adjacency.astype(int) @ tested.astype(int) > 0)
    np.testing.assert_array_equal(
        parts[~is_test] == REMOVED, related[homology.sequence_of][~is_test]
    )


def test_given_partitions_become_folds_and_keep_their_records():
    homology = random_homology(3)
    values = np.array([str(i % 3) for i in range(len(homology.sequence_of))], dtype=object)
    settings = SplitSettings(mode="predefined", folds=3)
    parts = author_parts(homology, author_folds(values, settings), False, settings)
    for fold in range(3):
        np.testing.assert_array_equal(parts[:, fold] == TEST, values == str(fold))
    assert not (parts == REMOVED).any()
    assert {VAL, CAL} <= set(np.unique(parts))


@pytest.mark.parametrize("safe", [False, True])
def test_the_authors_validation_is_shared_between_val_and_cal(safe):
    homology = random_homology(4, n=200, density=0.004)
    names = np.array(["train", "train", "dev", "test"], dtype=object)
    values = names[np.arange(len(homology.sequence_of)) % 4]
    settings = SplitSettings(mode="predefined", folds=1)
    parts = author_parts(homology, author_folds(values, settings), safe, settings)[:, 0]
    assert (parts[values == "test"] == TEST).all()
    assert set(parts[values == "train"]) <= {TRAIN, REMOVED}
    assert set(parts[values == "dev"]) == ({VAL, CAL, REMOVED} if safe else {VAL, CAL})
    assert (parts == VAL).sum() > (parts == CAL).sum()
    if safe:
        entries = homology.adjacency.tocoo()
        sequence_part = np.full(len(homology.weights), REMOVED)
        sequence_part[homology.sequence_of[parts != REMOVED]] = parts[parts != REMOVED]
        a, b = sequence_part[entries.row], sequence_part[entries.col]
        assert not ((a != b) & (a != REMOVED) & (b != REMOVED)).any()


@pytest.mark.parametrize("safe", [False, True])
def test_the_authors_calibration_is_kept(safe):
    """Similar to the calibration is the second training protein, to the validation the last cal."""
    names = np.array(["train", "train", "val", "cal", "test"], dtype=object)
    values = np.repeat(names, 4)
    homology = Homology(graph(20, np.array([(1, 12), (8, 15)])), np.ones((20, 1)), np.arange(20))
    settings = SplitSettings(mode="predefined", folds=1)
    parts = author_parts(homology, author_folds(values, settings), safe, settings)[:, 0]
    expected = np.repeat([TRAIN, TRAIN, VAL, CAL, TEST], 4)
    if safe:
        expected[[1, 15]] = REMOVED
    assert parts.tolist() == expected.tolist()


@pytest.mark.parametrize(("mode", "safe"), [("external", True), ("predefined", False)])
def test_chosen_partitions_are_test_and_validation(mode, safe):
    homology = random_homology(5, n=200, density=0.004)
    values = np.array([str(i % 5) for i in range(len(homology.sequence_of))], dtype=object)
    settings = SplitSettings(mode=mode, folds=1, test=("4",), val=("3",))
    parts = author_parts(homology, author_folds(values, settings), safe, settings)
    assert parts.shape[1] == 1
    assert (parts[values == "4", 0] == TEST).all()
    removed = {REMOVED} if safe else set()
    assert set(parts[values == "3", 0]) == {VAL, CAL} | removed
    assert set(parts[np.isin(values, list("012")), 0]) == {TRAIN} | removed


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (
            ["1", "2", "3"],
            SplitSettings(mode="external", test=("3",), val=("4",)),
            r"split.val: no protein is in 4; .*name those of the validation",
        ),
        (
            ["1", "2", ""],
            SplitSettings(mode="predefined", folds=1, test=("2",), val=("1",)),
            "nothing is left to train on",
        ),
        (["", ""], SplitSettings(mode="predefined"), "name their column in dataset.split"),
        (["a", "b"], SplitSettings(mode="external"), "no protein is in test.*name those of the"),
        (["a", "b"], SplitSettings(mode="external", test=("a", "c")), "no protein is in c; .*'a'"),
        (["a", "a"], SplitSettings(mode="external", test=("a",)), "nothing is left to train on"),
        (
            ["train", "test", "tets"],
            SplitSettings(mode="external"),
            r"'tets' \(1 protein\).*'test'",
        ),
        (["a", "b"], SplitSettings(mode="predefined"), "split.folds: 5, but the column .* 2 part"),
        (
            ["0", "0", "1", "1", "l"],
            SplitSettings(mode="predefined", folds=2),
            r"3 partitions: 'l' \(1 protein\), .* where one of them is misspelt",
        ),
        (
            ["train", "test", "tets", "val"],
            SplitSettings(mode="predefined", folds=4),
            r"dataset.split: its column has 'tets' \(1 protein\), .*did you mean 'test'",
        ),
        (
            ["train", "train", "1"],
            SplitSettings(mode="predefined", folds=2),
            "'1' .* is none of train",
        ),
        (["train", "dev"], SplitSettings(mode="predefined", folds=1), "no protein is in test"),
        (["train", "test"], SplitSettings(mode="predefined"), "set it to 1"),
    ],
)
def test_unsuitable_partitions_are_an_error(values, settings, message):
    with pytest.raises(HaloError, match=message):
        author_folds(np.array(values, dtype=object), settings)


def test_partitions_with_names_of_odd_digits_are_folds():
    names = ["10", "9", "²", "7" * 5000]
    folds = author_folds(np.array(names, dtype=object), SplitSettings(mode="predefined", folds=4))
    assert [np.flatnonzero(fold.test).tolist() for fold in folds] == [[1], [0], [3], [2]]


def test_isoforms_of_an_accession_are_linked_and_other_ids_are_not():
    names = ["P12345-2", "P12345", "Q99999", "", "", "ENSP0001", "P12345-3"]
    keys = [accession_base(name) for name in names]
    group = components(graph(len(names), pairs_of_equals(keys)))
    assert group[0] == group[1] == group[6]
    assert len(set(group)) == 5


def part_of(homology, chosen):
    """The homology among the first `chosen` sequences."""
    inside = homology.sequence_of < chosen
    rows = homology.adjacency[:chosen][:, :chosen]
    return Homology(rows, homology.weights[:chosen], homology.sequence_of[inside])


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=seeds, density=densities, old=st.integers(5, 55))
def test_incremental_split_moves_no_protein_and_keeps_similar_ones_together(seed, density, old):
    homology = random_homology(seed, density=density)
    before = kfold(part_of(homology, old), KFOLD)
    base = np.full((60, KFOLD.folds), NEW, dtype=np.uint8)
    base[:old] = before
    after = extend_assignment(homology, base, KFOLD)
    np.testing.assert_array_equal(after[:old], before)
    assert similar_apart(homology, after) == 0
    assert ((after == TEST).sum(axis=1) <= 1).all()
    assert (after <= REMOVED).all()


def test_a_new_protein_joins_similar_ones():
    homology = Homology(graph(4, np.array([(0, 2), (2, 3)])), np.ones((4, 1)), np.arange(4))
    base = np.array([[TEST, TRAIN], [TRAIN, TEST], [NEW, NEW], [NEW, NEW]], dtype=np.uint8)
    parts = extend_assignment(homology, base, SplitSettings(folds=2))
    assert parts[2].tolist() == parts[3].tolist() == [TEST, TRAIN]


def test_a_new_protein_between_two_partitions_is_kept_where_they_agree():
    homology = Homology(graph(3, np.array([(0, 2), (1, 2)])), np.ones((3, 1)), np.arange(3))
    base = np.array([[TEST, TRAIN, TRAIN], [TRAIN, TEST, TRAIN], [NEW] * 3], dtype=np.uint8)
    parts = extend_assignment(homology, base, SplitSettings(folds=3))
    assert parts[2].tolist() == [REMOVED, REMOVED, TRAIN]


def test_a_new_protein_is_in_the_test_of_one_fold_only():
    """Each of its neighbours is removed from the fold of which the other is test."""
    homology = Homology(graph(3, np.array([(0, 2), (1, 2)])), np.ones((3, 1)), np.arange(3))
    base = np.array([[TEST, REMOVED], [REMOVED, TEST], [NEW, NEW]], dtype=np.uint8)
    parts = extend_assignment(homology, base, SplitSettings(folds=2))
    assert parts.tolist() == [[TEST, REMOVED], [REMOVED, TEST], [TEST, REMOVED]]


def test_new_families_go_where_there_is_room():
    n = 90
    homology = Homology(graph(n), np.ones((n, 1)), np.arange(n))
    base = np.full((n, 3), NEW, dtype=np.uint8)
    base[:30] = [TEST, TRAIN, TRAIN]
    parts = extend_assignment(homology, base, KFOLD)
    assert (parts == TEST).sum(axis=0).tolist() == [30, 30, 30]


def test_the_base_is_read_by_id_and_checked(tmp_path):
    parts = np.array([[TEST, TRAIN], [VAL, TEST]], dtype=np.uint8)
    path = tmp_path / "assignments.csv"
    table = assignment_table(np.array(["b", "a"], dtype=object), np.array([0, 1]), parts)
    table.to_csv(path, index=False)
    read = read_base(path, np.array(["a", "new", "b"], dtype=object), 2)
    assert read.tolist() == [[VAL, TEST], [NEW, NEW], [TEST, TRAIN]]
    with pytest.raises(HaloError, match=r"not an assignments\.csv of 3 fold"):
        read_base(path, np.array(["a"], dtype=object), 3)
    with pytest.raises(HaloError, match=r"none of the 2 proteins.* like 'a', .* like 'sp\|a\|A'"):
        read_base(path, np.array(["sp|a|A", "sp|b|B"], dtype=object), 2)
    with pytest.raises(HaloError, match="more than 1 fold"):
        read_base(path, np.array(["a"], dtype=object), 1)
    table[:0].to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(HaloError, match=r"none\.csv: holds no protein; fix split\.base"):
        read_base(tmp_path / "none.csv", np.array(["a"], dtype=object), 2)
    pd.read_csv(path).replace("val", "vla").to_csv(path, index=False)
    with pytest.raises(HaloError, match="a has the unknown part 'vla'"):
        read_base(path, np.array(["a"], dtype=object), 2)
