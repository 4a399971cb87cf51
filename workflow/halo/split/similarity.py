"""From hits to similar pairs."""

import numpy as np
import pandas as pd

from halo.split.settings import Rule


def identity(hits: pd.DataFrame, lengths: np.ndarray, identity_of: str) -> np.ndarray:
    """Identity of each hit, float [n_hits]: see `Rule.identity_of`.

    `lengths` are those of the sequences that `hits` are indices of.
    """
    if identity_of == "aligned":
        return (hits["identical"] / hits["columns"]).to_numpy()
    query, target = hits["query"].to_numpy(), hits["target"].to_numpy()
    return hits["identical"].to_numpy() / np.minimum(lengths[query], lengths[target])


def coverage(hits: pd.DataFrame, lengths: np.ndarray, coverage_of: str) -> np.ndarray:
    """Coverage of each hit, float [n_hits]: of the shorter sequence, or the lesser of both.

    Of two equally long ones it is the greater.
    """
    query, target = (hits[name].to_numpy() for name in ("query_coverage", "target_coverage"))
    if coverage_of == "both":
        return np.minimum(query, target)
    lengths_query, lengths_target = lengths[hits["query"]], lengths[hits["target"]]
    shorter = np.where(lengths_query < lengths_target, query, target)
    return np.where(lengths_query == lengths_target, np.maximum(query, target), shorter)


def similar_pairs(hits: pd.DataFrame, lengths: np.ndarray, rule: Rule) -> np.ndarray:
    """Pairs that are similar by `rule`, found in either direction.

    Returns
    -------
    int64 [n_pairs, 2], the smaller index first, sorted, without repetition
    """
    similar = (
        (identity(hits, lengths, rule.identity_of) >= rule.identity)
        & (coverage(hits, lengths, rule.coverage_of) >= rule.coverage)
        & (hits["evalue"].to_numpy() <= rule.evalue)
    )
    pairs = hits.loc[similar, ["query", "target"]].to_numpy(dtype=np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)
