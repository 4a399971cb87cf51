"""The parts of the fold `ALL`, in which all proteins are used and none is a test."""

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.fold_parts import ALL
from halo.homologues.pairs import similar_hits
from halo.proteins.table import Proteins
from halo.split.folds import (
    PARTS,
    Homology,
    assign_groups,
    by_sequence,
    part_shares,
    training_shares,
)
from halo.split.groups import accession_base, components, graph, pairs_of_equals
from halo.split.settings import SplitSettings


def all_proteins(
    proteins: Proteins, assignments: pd.DataFrame, hits: pd.DataFrame, settings: SplitSettings
) -> pd.DataFrame:
    """Assign every protein to training, validation or calibration, also those of a test.

    Similar proteins stay in one part, and so does a homology group of the split. Of proteins that
    the split removed, which are in no group, only the similarities in `hits` are known.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, as text, indexed by id
    hits : content of ``split/hits.csv.gz``
    settings : settings of the split; its shares of train, val and cal hold for all proteins

    Returns
    -------
    Columns ``id``, ``group`` (the smallest id of the connected component) and ``part_all``, sorted
    by id.

    Raises
    ------
    HaloError
        if a part that training needs has no protein
    """
    table, first, sequence_of, weights = by_sequence(proteins)
    ids = pd.Index(table["id"])
    groups = assignments["group"].reindex(ids).fillna("").tolist()
    similar = similar_hits(hits)
    rows = np.stack([ids.get_indexer(similar[side]) for side in ("query", "target")], axis=1)
    rows = rows[(rows >= 0).all(axis=1)]
    isoforms = pairs_of_equals([accession_base(text) for text in table["accession"]])
    adjacency = graph(len(first), *(sequence_of[p] for p in (rows, isoforms, _chain(groups))))
    homology = Homology(adjacency, weights, sequence_of)
    shares = _shares(settings)
    everything = np.ones(len(first), dtype=bool)
    part = assign_groups(homology, everything, shares, settings.seed)[sequence_of]
    for number, share in enumerate(shares):
        if share > 0 and not (part == number).any():
            raise HaloError(
                f"release.all_proteins: {len(ids):,} proteins are too few, none is in "
                f"{PARTS[number]}; raise its share in split, or set release.all_proteins: false"
            )
    component = components(adjacency)[sequence_of]
    made = pd.DataFrame(
        {
            "id": ids,
            "group": pd.Series(ids).groupby(component).transform("min"),
            f"part_{ALL}": np.array(PARTS, dtype=object)[part],
        }
    )
    return made.sort_values("id", ignore_index=True)


def _shares(settings: SplitSettings) -> np.ndarray:
    """Shares of train, val and cal."""
    if settings.mode != "fractions":
        return training_shares(settings)
    shares = part_shares(settings)[:3]
    return shares / shares.sum()


def _chain(keys: list[str]) -> np.ndarray:
    """Pairs that connect the positions of each key, which is not empty, int64 [n_pairs, 2]."""
    positions = pd.Series(np.arange(len(keys)))[[bool(key) for key in keys]]
    following = positions.groupby(pd.Series(keys)).shift(-1)
    pairs = pd.DataFrame({"a": positions, "b": following}).dropna()
    return pairs.to_numpy(dtype=np.int64)
