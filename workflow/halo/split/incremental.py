"""Incremental split: assign new proteins and keep the assignment of earlier ones."""

import logging
from pathlib import Path

import numpy as np

from halo.errors import HaloError
from halo.fold_parts import read_assignments
from halo.split.cutting import cover, cut
from halo.split.folds import (
    PARTS,
    REMOVED,
    TEST,
    TRAIN,
    Homology,
    assign_groups,
    kfold_shares,
    part_shares,
    training_shares,
)
from halo.split.settings import SplitSettings

log = logging.getLogger(__name__)

MOST_NAMED = 10  # pairs that a message lists
CHANGED = (
    "a sequence has changed since: remove the rows of such proteins from a copy of the base, so "
    "that they are assigned like new ones, or set split.base to null for a new split"
)
NEW = 255  # part of a protein that is not in the base


def read_base(path: Path, ids: np.ndarray, n_folds: int) -> np.ndarray:
    """Parts of an earlier ``assignments.csv``.

    Parameters
    ----------
    path : the file
    ids : text [n_records], proteins of this run
    n_folds : number of folds that the file must have

    Returns
    -------
    uint8 [n_records, n_folds], indices of `PARTS`, or `NEW` for ids that are not in the file

    Raises
    ------
    HaloError
        if the file is no assignment of `n_folds` folds, or has none of the `ids`
    """
    try:
        base = read_assignments(path)
        columns = base[[f"part_{fold}" for fold in range(n_folds)]]
    except (OSError, KeyError, ValueError) as error:
        raise HaloError(
            f"{path}: not an assignments.csv of {n_folds} fold(s) ({error}); fix split.base, or "
            "use the mode and the number of folds that it was made with"
        ) from None
    if f"part_{n_folds}" in base.columns or base.index.has_duplicates:
        raise HaloError(
            f"{path}: has more than {n_folds} fold(s), or an id twice; fix split.base or "
            "split.folds"
        )
    if base.empty:
        raise HaloError(f"{path}: holds no protein; fix split.base, or set it to null")
    codes = columns.map(lambda part: PARTS.index(part) if part in PARTS else NEW)
    unknown = np.argwhere((codes == NEW).to_numpy())
    if len(unknown):
        row, column = unknown[0]
        raise HaloError(
            f"{path}: {base.index[row]} has the unknown part {columns.iat[row, column]!r}; "
            f"correct it to one of {', '.join(PARTS)}"
        )
    parts = codes.reindex(ids, fill_value=NEW).to_numpy(dtype=np.uint8)
    known = int((parts != NEW).all(axis=1).sum())
    if not known:
        raise HaloError(
            f"{path}: has none of the {len(ids):,} proteins of this run; its ids are like "
            f"{base.index[0]!r}, those of the run like {ids[0]!r}: correct split.base, or set it "
            "to null for a new split"
        )
    log.info("split.base assigns %s of %s proteins", f"{known:,}", f"{len(ids):,}")
    return parts


def require_same_parts(
    path: Path, ids: np.ndarray, sequences: np.ndarray, base: np.ndarray
) -> None:
    """Require that the base assigns proteins with the same sequence to the same parts.

    `ids` and `sequences` are text [n_records]; the latter may be any identifier of a sequence.

    Raises
    ------
    HaloError
        if parts differ: the ids had different sequences when the base was made
    """
    first: dict[str, int] = {}
    for row in np.flatnonzero((base != NEW).all(axis=1)).tolist():
        other = first.setdefault(sequences[row], row)
        if (base[row] != base[other]).any():
            raise HaloError(
                f"{path}: {ids[other]} and {ids[row]} have the same sequence, but different "
                f"parts; {CHANGED}"
            )


def require_similar_together(
    path: Path, homology: Homology, base: np.ndarray, names: np.ndarray
) -> None:
    """Require that the base assigns similar sequences to the same parts.

    Parameters
    ----------
    path : the base
    homology : similarity graph
    base : uint8 [n_sequences, n_folds], see `sequence_parts`
    names : text [n_sequences], an id of each sequence

    Raises
    ------
    HaloError
        if it does not
    """
    edges = _edges(homology)
    a, b = base[edges[:, 0]], base[edges[:, 1]]
    stay = (a != NEW) & (b != NEW) & (a != REMOVED) & (b != REMOVED)
    clash = edges[(stay & (a != b)).any(axis=1)]
    if len(clash):
        pairs = "\n".join(f"  {names[i]} and {names[j]}" for i, j in clash[:MOST_NAMED])
        more = f"\n  and {len(clash) - MOST_NAMED:,} more" if len(clash) > MOST_NAMED else ""
        raise HaloError(
            f"{path}: {len(clash):,} pairs of similar proteins are in different parts:\n"
            f"{pairs}{more}\nProteins keep their part of split.base. It was made by another rule, "
            f"or {CHANGED}"
        )


def extend_assignment(homology: Homology, base: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Parts of all sequences, given those of the base: uint8 [n_sequences, n_folds].

    Each fold is treated separately. A new sequence takes the most frequent part of its assigned
    neighbours in the similarity graph, and passes it on to its own unassigned neighbours. If it is
    then similar to a sequence in another part, it is removed from that fold; of two similar new
    ones, one is removed. If it would be the test of several folds, it is that of the first, and
    removed from the others. New groups without a similar sequence in the base are assigned as a
    whole, to the parts that are below their share.

    Parameters
    ----------
    homology : similarity graph of all sequences
    base : uint8 [n_sequences, n_folds], indices of `PARTS`, or `NEW`
    settings : settings of the stage
    """
    new = (base == NEW).any(axis=1)
    parts = np.stack([_propagate(homology, column) for column in base.T], axis=1)
    fresh = (parts == NEW).all(axis=1)
    if settings.mode == "kfold":
        parts = _assign_to_folds(homology, parts, fresh, settings)
    else:
        parts = _assign_to_parts(homology, parts, fresh, settings)
    parts[parts == NEW] = TRAIN  # connected to the base through removed proteins only
    edges = _edges(homology)
    for column in parts.T:
        a, b = column[edges].T
        clash = edges[(a != b) & (a != REMOVED) & (b != REMOVED)]
        column[cover(clash, fixed=~new)] = REMOVED
    # The neighbours that it takes the part of can differ by fold, as one is removed from some.
    tests = parts == TEST
    parts[tests & (tests.cumsum(axis=1) > 1) & new[:, None]] = REMOVED
    return parts


def sequence_parts(homology: Homology, records: np.ndarray) -> np.ndarray:
    """Parts of sequences from those of their records; `NEW` if all records are new."""
    parts = np.full((len(homology.weights), records.shape[1]), NEW, dtype=np.uint8)
    known = (records != NEW).all(axis=1)
    parts[homology.sequence_of[known]] = records[known]
    return parts


def _edges(homology: Homology) -> np.ndarray:
    entries = homology.adjacency.tocoo()
    once = entries.row < entries.col
    return np.stack([entries.row[once], entries.col[once]], axis=1).astype(np.int64)


def _propagate(homology: Homology, column: np.ndarray) -> np.ndarray:
    """Propagate the most frequent part of assigned neighbours to new sequences."""
    column = column.copy()
    adjacency = homology.adjacency.astype(np.int64)
    while True:
        holders = (column[:, None] == np.arange(REMOVED)).astype(np.int64)
        votes = adjacency @ holders
        reached = (column == NEW) & (votes.sum(axis=1) > 0)
        if not reached.any():
            return column
        column[reached] = votes[reached].argmax(axis=1)


def _occupied(homology: Homology, codes: np.ndarray, n_bins: int) -> np.ndarray:
    """Weights in each bin, given the bin of each sequence; values >= `n_bins` are no bin."""
    occupied = np.zeros((n_bins, homology.weights.shape[1]))
    inside = codes < n_bins
    np.add.at(occupied, codes[inside].astype(np.int64), homology.weights[inside])
    return occupied


def _assign_to_parts(
    homology: Homology, parts: np.ndarray, fresh: np.ndarray, settings: SplitSettings
) -> np.ndarray:
    shares = part_shares(settings)
    kept = fresh & ~_outgrown(homology, fresh, shares.max())
    assigned = assign_groups(
        homology, kept, shares, settings.seed, _occupied(homology, parts[:, 0], len(shares))
    )
    parts = parts.copy()
    parts[fresh, 0] = np.where(kept, assigned, REMOVED)[fresh]
    return parts


def _assign_to_folds(
    homology: Homology, parts: np.ndarray, fresh: np.ndarray, settings: SplitSettings
) -> np.ndarray:
    shares = kfold_shares(settings)
    kept = fresh & ~_outgrown(homology, fresh, shares[0])
    tested = np.where((parts == TEST).any(axis=1), (parts == TEST).argmax(axis=1), len(shares))
    occupied = _occupied(homology, tested, len(shares))
    fold_of = assign_groups(homology, kept, shares, settings.seed, occupied)
    parts = parts.copy()
    parts[fresh & ~kept] = REMOVED
    for fold in range(settings.folds):
        others = kept & (fold_of != fold)
        wanted = training_shares(settings)
        occupied = _occupied(homology, parts[:, fold], len(wanted))
        assigned = assign_groups(homology, others, wanted, settings.seed + fold, occupied)
        parts[others, fold] = assigned[others]
        parts[kept & (fold_of == fold), fold] = TEST
    return parts


def _outgrown(homology: Homology, fresh: np.ndarray, share: float) -> np.ndarray:
    """Fresh sequences to remove because their group is larger than a bin."""
    sizes = np.where(fresh, homology.sizes, 0)
    nodes = np.flatnonzero(fresh)
    removed = np.zeros(len(fresh), dtype=bool)
    part = homology.adjacency[nodes][:, nodes]
    removed[nodes] = cut(part, sizes[nodes], homology.sizes.sum() * share)
    return removed
