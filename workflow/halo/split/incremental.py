"""Growth: new proteins join an earlier assignment, in which nobody moves."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.split.cutting import cover, cut
from halo.split.folds import (
    PARTS,
    REMOVED,
    TEST,
    TRAIN,
    Homology,
    deal,
    kfold_shares,
    part_shares,
    training_shares,
)
from halo.split.settings import SplitSettings

log = logging.getLogger(__name__)

MOST_NAMED = 10  # pairs that a message names
CHANGED = (
    "a sequence has changed since: remove the rows of such proteins from a copy of the base, and "
    "they get a place like new ones, or set split.base to null for a new split"
)
NEW = 255  # the part of a protein that is not in the base


def read_base(path: Path, ids: np.ndarray, n_folds: int) -> np.ndarray:
    """Parts of an earlier ``assignments.csv``.

    Parameters
    ----------
    path : the file
    ids : text [n_records], of the proteins of this run
    n_folds : folds that it must have

    Returns
    -------
    uint8 [n_records, n_folds], indices of `PARTS`, or `NEW` for the ids that it does not have
    """
    try:
        base = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("id")
        columns = base[[f"part_{fold}" for fold in range(n_folds)]]
    except (OSError, KeyError, ValueError) as error:
        raise HaloError(
            f"{path}: not an assignments.csv of {n_folds} fold(s) ({error}); mend split.base, or "
            "use the mode and the number of folds that it was made with"
        ) from None
    if f"part_{n_folds}" in base.columns or base.index.has_duplicates:
        raise HaloError(
            f"{path}: has more than {n_folds} fold(s), or an id twice; mend split.base or "
            "split.folds"
        )
    codes = columns.map(lambda part: PARTS.index(part) if part in PARTS else NEW)
    unknown = np.argwhere((codes == NEW).to_numpy())
    if len(unknown):
        row, column = unknown[0]
        raise HaloError(
            f"{path}: {base.index[row]} has the part {columns.iat[row, column]!r}; known are "
            f"{', '.join(PARTS)}"
        )
    found = codes.reindex(ids, fill_value=NEW).to_numpy(dtype=np.uint8)
    known = int((found != NEW).all(axis=1).sum())
    if not known:
        raise HaloError(
            f"{path}: has none of the {len(ids):,} proteins of this run; its ids are like "
            f"{base.index[0]!r}, those of the run like {ids[0]!r}: correct split.base, or set it "
            "to null for a new split"
        )
    log.info("split.base has a place for %s of %s proteins", f"{known:,}", f"{len(ids):,}")
    return found


def require_same_place(
    path: Path, ids: np.ndarray, sequences: np.ndarray, base: np.ndarray
) -> None:
    """HaloError where the base has one sequence in two places.

    Its ids then had different sequences when the base was made. `ids` and `sequences` are text
    [n_records], the latter of any kind that identifies a sequence.
    """
    first: dict[str, int] = {}
    for row in np.flatnonzero((base != NEW).all(axis=1)):
        other = first.setdefault(sequences[row], row)
        if (base[row] != base[other]).any():
            raise HaloError(
                f"{path}: {ids[other]} and {ids[row]} have the same sequence, but different "
                f"places; {CHANGED}"
            )


def require_apart(path: Path, homology: Homology, base: np.ndarray, names: np.ndarray) -> None:
    """HaloError where similar sequences of the base have different parts.

    Parameters
    ----------
    base : uint8 [n_sequences, n_folds], see `sequence_parts`
    names : text [n_sequences], an id of each sequence
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
            f"{pairs}{more}\nProteins of split.base do not move. It was made by another rule, or "
            f"{CHANGED}"
        )


def extend_assignment(homology: Homology, base: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Parts of all sequences, given those of some: uint8 [n_sequences, n_folds].

    In every fold by itself, a new sequence takes the part of its relatives, or of their
    relatives: that which most of the nearest have. Where it is then similar to a sequence in
    another part it is removed from that fold, and of two new ones one. What has no relative
    in the base is dealt to where there is room, by whole groups.

    Parameters
    ----------
    homology : of all sequences
    base : uint8 [n_sequences, n_folds], indices of `PARTS`, or `NEW`
    settings : the stage's
    """
    new = (base == NEW).any(axis=1)
    parts = np.stack([_spread(homology, column) for column in base.T], axis=1)
    fresh = (parts == NEW).all(axis=1)
    if settings.mode == "kfold":
        parts = _deal_to_folds(homology, parts, fresh, settings)
    else:
        parts = _deal_to_parts(homology, parts, fresh, settings)
    parts[parts == NEW] = TRAIN  # related to the base by way of a removed protein only
    edges = _edges(homology)
    for column in parts.T:
        a, b = column[edges].T
        clash = edges[(a != b) & (a != REMOVED) & (b != REMOVED)]
        column[cover(clash, fixed=~new)] = REMOVED
    return parts


def sequence_parts(homology: Homology, records: np.ndarray) -> np.ndarray:
    """Parts of sequences from those of records, `NEW` where all records are new."""
    parts = np.full((len(homology.weights), records.shape[1]), NEW, dtype=np.uint8)
    known = (records != NEW).all(axis=1)
    parts[homology.sequence_of[known]] = records[known]
    return parts


def _edges(homology: Homology) -> np.ndarray:
    entries = homology.adjacency.tocoo()
    once = entries.row < entries.col
    return np.stack([entries.row[once], entries.col[once]], axis=1).astype(np.int64)


def _spread(homology: Homology, column: np.ndarray) -> np.ndarray:
    """Let new sequences take the part that most of their assigned relatives have."""
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
    """What is in each bin, given the bin of each sequence; other values are no bin."""
    occupied = np.zeros((n_bins, homology.weights.shape[1]))
    inside = codes < n_bins
    np.add.at(occupied, codes[inside].astype(np.int64), homology.weights[inside])
    return occupied


def _deal_to_parts(
    homology: Homology, parts: np.ndarray, fresh: np.ndarray, settings: SplitSettings
) -> np.ndarray:
    shares = part_shares(settings)
    kept = fresh & ~_outgrown(homology, fresh, shares.max())
    dealt = deal(
        homology, kept, shares, settings.seed, _occupied(homology, parts[:, 0], len(shares))
    )
    parts = parts.copy()
    parts[fresh, 0] = np.where(kept, dealt, REMOVED)[fresh]
    return parts


def _deal_to_folds(
    homology: Homology, parts: np.ndarray, fresh: np.ndarray, settings: SplitSettings
) -> np.ndarray:
    shares = kfold_shares(settings)
    kept = fresh & ~_outgrown(homology, fresh, shares[0])
    tested = np.where((parts == TEST).any(axis=1), (parts == TEST).argmax(axis=1), len(shares))
    occupied = _occupied(homology, tested, len(shares))
    fold_of = deal(homology, kept, shares, settings.seed, occupied)
    parts = parts.copy()
    parts[fresh & ~kept] = REMOVED
    for fold in range(settings.folds):
        others = kept & (fold_of != fold)
        wanted = training_shares(settings)
        occupied = _occupied(homology, parts[:, fold], len(wanted))
        dealt = deal(homology, others, wanted, settings.seed + fold, occupied)
        parts[others, fold] = dealt[others]
        parts[kept & (fold_of == fold), fold] = TEST
    return parts


def _outgrown(homology: Homology, fresh: np.ndarray, share: float) -> np.ndarray:
    """Fresh sequences to remove, since their group is larger than a bin."""
    sizes = np.where(fresh, homology.sizes, 0)
    nodes = np.flatnonzero(fresh)
    removed = np.zeros(len(fresh), dtype=bool)
    part = homology.adjacency[nodes][:, nodes]
    removed[nodes] = cut(part, sizes[nodes], homology.sizes.sum() * share)
    return removed
