"""The modes: which part every protein has in every fold."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from halo.split.author_partitions import AuthorFold
from halo.split.cutting import cut
from halo.split.groups import components, graph
from halo.split.packing import pack
from halo.split.settings import SplitSettings

PARTS = ("train", "val", "cal", "test", "removed")
TRAIN, VAL, CAL, TEST, REMOVED = range(len(PARTS))
NOT_DEALT = -1


@dataclass(frozen=True)
class Homology:
    """Distinct sequences, who is similar to whom, and what hangs on each.

    Attributes
    ----------
    adjacency
        bool [n_sequences, n_sequences], symmetric: similar, or otherwise to stay together.
    weights
        float [n_sequences, 1 + n_labels]: records of each sequence, and records with each label.
    sequence_of
        int64 [n_records], the sequence of each record.
    """

    adjacency: csr_array
    weights: np.ndarray
    sequence_of: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Records of each sequence, float [n_sequences]."""
        return self.weights[:, 0]

    def joined(self, pairs: np.ndarray) -> "Homology":
        """With more `pairs` of sequences that must stay together, int64 [n_pairs, 2]."""
        more = graph(len(self.weights), pairs)
        return replace(self, adjacency=(self.adjacency + more).tocsr())

    def relatives(self, chosen: np.ndarray) -> np.ndarray:
        """Sequences similar to one of the `chosen` ones, and these; bool [n_sequences]."""
        return chosen | (self.adjacency.astype(np.int64) @ chosen.astype(np.int64) > 0)

    def having(self, records: np.ndarray) -> np.ndarray:
        """Sequences with one of the chosen `records`, a bool array; bool [n_sequences]."""
        return np.bincount(self.sequence_of, weights=records, minlength=len(self.weights)) > 0


def deal(
    homology: Homology,
    chosen: np.ndarray,
    shares: np.ndarray,
    seed: int,
    occupied: np.ndarray | None = None,
) -> np.ndarray:
    """Deal the groups among the `chosen` sequences to bins with the given `shares`.

    `occupied` is what is in the bins already; see `halo.split.packing.pack`.

    Returns
    -------
    int64 [n_sequences], the bin, or `NOT_DEALT`
    """
    group = components(homology.adjacency, chosen)
    names, group_of = np.unique(group[chosen], return_inverse=True)
    weights = np.zeros((len(names), homology.weights.shape[1]))
    np.add.at(weights, group_of, homology.weights[chosen])
    bins = np.full(len(chosen), NOT_DEALT, dtype=np.int64)
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
    """Shares of train, val and cal in what is not test."""
    val, cal = settings.val_fraction, settings.cal_fraction
    return np.array([1 - val - cal, val, cal])


def kfold(homology: Homology, settings: SplitSettings) -> np.ndarray:
    """k folds, each the test once: uint8 [n_sequences, n_folds], indices of `PARTS`."""
    shares = kfold_shares(settings)
    kept = ~cut(homology.adjacency, homology.sizes, homology.sizes.sum() * shares[0])
    fold_of = deal(homology, kept, shares, settings.seed)
    parts = np.full((len(kept), settings.folds), REMOVED, dtype=np.uint8)
    for fold in range(settings.folds):
        others = kept & (fold_of != fold)
        dealt = deal(homology, others, training_shares(settings), settings.seed + fold)
        parts[others, fold] = dealt[others]
        parts[fold_of == fold, fold] = TEST
    return parts


def fractions(homology: Homology, settings: SplitSettings) -> np.ndarray:
    """One division by fractions: uint8 [n_sequences, 1], indices of `PARTS`."""
    shares = part_shares(settings)
    kept = ~cut(homology.adjacency, homology.sizes, homology.sizes.sum() * shares.max())
    part = deal(homology, kept, shares, settings.seed)
    return np.where(kept, part, REMOVED).astype(np.uint8)[:, None]


def as_given(
    homology: Homology, folds: list[AuthorFold], safe: bool, settings: SplitSettings
) -> np.ndarray:
    """The folds of the authors, with a validation: uint8 [n_records, n_folds].

    With `safe`, what is similar to the test leaves the training and the validation, and what
    is similar to the authors' validation leaves the training; the test stays whole.
    """
    columns = [
        _given_fold(homology, fold, safe, settings, number) for number, fold in enumerate(folds)
    ]
    return np.stack(columns, axis=1)


def _given_fold(
    homology: Homology, fold: AuthorFold, safe: bool, settings: SplitSettings, number: int
) -> np.ndarray:
    parts = np.full(len(fold.test), REMOVED, dtype=np.uint8)
    parts[fold.test] = TEST
    barred = np.zeros(len(homology.weights), dtype=bool)
    if safe:
        barred |= homology.relatives(homology.having(fold.test))
    seed = settings.seed + number
    val, cal, train = (
        records & ~barred[homology.sequence_of] for records in (fold.val, fold.cal, fold.train)
    )
    given = homology.having(val | cal)
    if safe:
        train &= ~homology.relatives(given)[homology.sequence_of]
    parts[cal] = CAL
    _, val_share, cal_share = training_shares(settings)
    if fold.cal.any() or (fold.val.any() and cal_share == 0):
        parts[val], parts[train] = VAL, TRAIN
    elif fold.val.any():
        shares = np.array([0, val_share, cal_share]) / (val_share + cal_share)
        parts[val] = deal(homology, homology.having(val), shares, seed)[homology.sequence_of][val]
        parts[train] = TRAIN
    else:
        dealt = deal(homology, homology.having(train), training_shares(settings), seed)
        parts[train] = dealt[homology.sequence_of][train]
    return parts
