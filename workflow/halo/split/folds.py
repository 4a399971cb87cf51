"""The modes: which part every protein has in every fold."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from halo.split.cutting import cut
from halo.split.groups import components
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

    def relatives(self, chosen: np.ndarray) -> np.ndarray:
        """Sequences similar to one of the `chosen` ones, and these; bool [n_sequences]."""
        return chosen | (self.adjacency.astype(np.int64) @ chosen.astype(np.int64) > 0)

    def of_sequences(self, records: np.ndarray) -> np.ndarray:
        """Sequences that have one of the `records`, a bool array; bool [n_sequences]."""
        counts = np.bincount(self.sequence_of, weights=records, minlength=len(self.weights))
        return counts > 0


def make_parts(homology: Homology, given: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Part of each record in each fold.

    Parameters
    ----------
    homology : see there
    given : int64 [n_records], partition that the authors gave (modes ``predefined`` and
        ``external``), see `halo.split.given`; of no use to the other modes
    settings : the stage's

    Returns
    -------
    uint8 [n_records, n_folds], values are indices of `PARTS`
    """
    match settings.mode:
        case "kfold":
            parts = _kfold(homology, settings)[homology.sequence_of]
        case "fractions":
            parts = _fractions(homology, settings)[homology.sequence_of]
        case _:
            parts = _given(homology, given, settings)
    return parts


def _kfold(homology: Homology, settings: SplitSettings) -> np.ndarray:
    shares = np.full(settings.folds, 1 / settings.folds)
    sizes = homology.weights[:, 0]
    kept = ~cut(homology.adjacency, sizes, sizes.sum() / settings.folds)
    fold_of = deal(homology, kept, shares, settings.seed)
    parts = np.full((len(sizes), settings.folds), REMOVED, dtype=np.uint8)
    for fold in range(settings.folds):
        others = kept & (fold_of != fold)
        parts[others, fold] = _training(homology, others, settings)[others]
        parts[fold_of == fold, fold] = TEST
    return parts


def _fractions(homology: Homology, settings: SplitSettings) -> np.ndarray:
    wanted = settings.fractions
    shares = np.array([wanted.train, wanted.val, wanted.cal, wanted.test])
    sizes = homology.weights[:, 0]
    kept = ~cut(homology.adjacency, sizes, sizes.sum() * shares.max())
    part = deal(homology, kept, shares, settings.seed)
    return np.where(kept, part, REMOVED).astype(np.uint8)[:, None]


def _given(homology: Homology, given: np.ndarray, settings: SplitSettings) -> np.ndarray:
    raise NotImplementedError


def _training(homology: Homology, chosen: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Train, val or cal for each of the `chosen` sequences, by whole groups."""
    val, cal = settings.val_fraction, settings.cal_fraction
    return deal(homology, chosen, np.array([1 - val - cal, val, cal]), settings.seed)


def deal(
    homology: Homology, chosen: np.ndarray, shares: np.ndarray, seed: int
) -> np.ndarray:
    """Deal the groups among the `chosen` sequences to bins with the given `shares`.

    Returns
    -------
    int64 [n_sequences], the bin, or `NOT_DEALT`
    """
    group = components(homology.adjacency, chosen)
    names, group_of = np.unique(group[chosen], return_inverse=True)
    weights = np.zeros((len(names), homology.weights.shape[1]))
    np.add.at(weights, group_of, homology.weights[chosen])
    bins = np.full(len(chosen), NOT_DEALT, dtype=np.int64)
    bins[chosen] = pack(weights, shares, seed)[group_of]
    return bins
