"""The split modes: assign each protein a part in each fold."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from halo.proteins.table import Proteins
from halo.split.author_partitions import AuthorFold
from halo.split.cutting import cut
from halo.split.groups import components, graph
from halo.split.packing import pack
from halo.split.settings import SplitSettings

PARTS = ("train", "val", "cal", "test", "removed")
TRAIN, VAL, CAL, TEST, REMOVED = range(len(PARTS))
UNASSIGNED = -1


@dataclass(frozen=True)
class Homology:
    """The similarity graph of distinct sequences.

    Attributes
    ----------
    adjacency
        bool [n_sequences, n_sequences], symmetric: sequences that must stay in one part, because
        they are similar or isoforms.
    weights
        float [n_sequences, 1 + n_labels]: number of records of each sequence, and number of its
        records with each label.
    sequence_of
        int64 [n_records], sequence of each record.
    """

    adjacency: csr_array
    weights: np.ndarray
    sequence_of: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Number of records of each sequence, float [n_sequences]."""
        return self.weights[:, 0]

    def joined(self, pairs: np.ndarray) -> "Homology":
        """The graph with additional edges, int64 [n_pairs, 2]."""
        more = graph(len(self.weights), pairs)
        return replace(self, adjacency=(self.adjacency + more).tocsr())

    def with_similar(self, chosen: np.ndarray) -> np.ndarray:
        """The `chosen` sequences and all that are similar to one of them; bool [n_sequences]."""
        return chosen | (self.adjacency.astype(np.int64) @ chosen.astype(np.int64) > 0)

    def having(self, records: np.ndarray) -> np.ndarray:
        """Sequences of the chosen `records` (bool [n_records]); bool [n_sequences]."""
        return np.bincount(self.sequence_of, weights=records, minlength=len(self.weights)) > 0


def by_sequence(proteins: Proteins) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """The proteins in the order of sequence hash and id, and their distinct sequences.

    Returns
    -------
    table : the table of the proteins in this order, with a new index
    first : int64 [n_sequences], row of the first protein with each sequence, sorted by hash
    sequence_of : int64 [n_proteins], sequence of each row
    weights : float64 [n_sequences, 1 + n_labels], see `Homology`
    """
    order = np.lexsort((proteins.ids.astype(str), proteins.table["seq_hash"].to_numpy(str)))
    table = proteins.table.iloc[order].reset_index(drop=True)
    _, first, sequence_of = np.unique(
        table["seq_hash"].to_numpy(dtype=object), return_index=True, return_inverse=True
    )
    weights = np.zeros((len(first), 1 + proteins.labels.shape[1]))
    np.add.at(weights[:, 0], sequence_of, 1)
    np.add.at(weights[:, 1:], sequence_of, proteins.labels[order])
    return table, first, sequence_of, weights


def assign_groups(
    homology: Homology,
    chosen: np.ndarray,
    shares: np.ndarray,
    seed: int,
    occupied: np.ndarray | None = None,
) -> np.ndarray:
    """Assign the homology groups of the `chosen` sequences to bins with the given `shares`.

    `occupied` is the current content of the bins; see `halo.split.packing.pack`.

    Returns
    -------
    int64 [n_sequences], bin of each sequence, or `UNASSIGNED`
    """
    group = components(homology.adjacency, chosen)
    names, group_of = np.unique(group[chosen], return_inverse=True)
    weights = np.zeros((len(names), homology.weights.shape[1]))
    np.add.at(weights, group_of, homology.weights[chosen])
    bins = np.full(len(chosen), UNASSIGNED, dtype=np.int64)
    bins[chosen] = pack(weights, shares, seed, occupied)[group_of]
    return bins


def kfold_shares(settings: SplitSettings) -> np.ndarray:
    """Share of each fold."""
    return np.full(settings.folds, 1 / settings.folds)


def part_shares(settings: SplitSettings) -> np.ndarray:
    """Shares of train, val, cal and test in the mode ``fractions``."""
    wanted = settings.fractions
    return np.array([wanted.train, wanted.val, wanted.cal, wanted.test])


def training_shares(settings: SplitSettings) -> np.ndarray:
    """Shares of train, val and cal among the proteins that are not test."""
    val, cal = settings.val_fraction, settings.cal_fraction
    return np.array([1 - val - cal, val, cal])


def kfold(homology: Homology, settings: SplitSettings) -> np.ndarray:
    """Parts of a k-fold split: uint8 [n_sequences, n_folds], indices of `PARTS`."""
    shares = kfold_shares(settings)
    kept = ~cut(homology.adjacency, homology.sizes, homology.sizes.sum() * shares[0])
    fold_of = assign_groups(homology, kept, shares, settings.seed)
    parts = np.full((len(kept), settings.folds), REMOVED, dtype=np.uint8)
    for fold in range(settings.folds):
        others = kept & (fold_of != fold)
        assigned = assign_groups(homology, others, training_shares(settings), settings.seed + fold)
        parts[others, fold] = assigned[others]
        parts[fold_of == fold, fold] = TEST
    return parts


def fractions(homology: Homology, settings: SplitSettings) -> np.ndarray:
    """Parts of a single split by fractions: uint8 [n_sequences, 1], indices of `PARTS`."""
    shares = part_shares(settings)
    kept = ~cut(homology.adjacency, homology.sizes, homology.sizes.sum() * shares.max())
    part = assign_groups(homology, kept, shares, settings.seed)
    return np.where(kept, part, REMOVED).astype(np.uint8)[:, None]


def author_parts(
    homology: Homology, folds: list[AuthorFold], safe: bool, settings: SplitSettings
) -> np.ndarray:
    """Parts by the authors' partitions, with a validation set: uint8 [n_records, n_folds].

    With `safe`, proteins similar to the test are removed from the other parts, those similar to
    the authors' validation from calibration and training, and those similar to the calibration
    from training. The test is unchanged.
    """
    columns = [
        _author_fold_parts(homology, fold, safe, settings, number)
        for number, fold in enumerate(folds)
    ]
    return np.stack(columns, axis=1)


def _author_fold_parts(
    homology: Homology, fold: AuthorFold, safe: bool, settings: SplitSettings, number: int
) -> np.ndarray:
    parts = np.full(len(fold.test), REMOVED, dtype=np.uint8)
    parts[fold.test] = TEST
    excluded = np.zeros(len(homology.weights), dtype=bool)
    if safe:
        excluded |= homology.with_similar(homology.having(fold.test))
    seed = settings.seed + number
    val, cal, train = (
        records & ~excluded[homology.sequence_of] for records in (fold.val, fold.cal, fold.train)
    )
    if safe:
        cal &= ~homology.with_similar(homology.having(val))[homology.sequence_of]
    held_out = homology.having(val | cal)
    if safe:
        train &= ~homology.with_similar(held_out)[homology.sequence_of]
    parts[cal] = CAL
    _, val_share, cal_share = training_shares(settings)
    if fold.cal.any() or (fold.val.any() and cal_share == 0):
        parts[val], parts[train] = VAL, TRAIN
    elif fold.val.any():
        shares = np.array([0, val_share, cal_share]) / (val_share + cal_share)
        parts[val] = assign_groups(homology, homology.having(val), shares, seed)[
            homology.sequence_of
        ][val]
        parts[train] = TRAIN
    else:
        assigned = assign_groups(homology, homology.having(train), training_shares(settings), seed)
        parts[train] = assigned[homology.sequence_of][train]
    return parts
