"""Tables that the split stage writes."""

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd

from halo.files import atomic_path
from halo.split.alignment import LAMBDA, K, coverage
from halo.split.folds import PARTS, TEST


def assignment_table(ids: np.ndarray, groups: np.ndarray, parts: np.ndarray) -> pd.DataFrame:
    """The content of ``assignments.csv``, sorted by id.

    Parameters
    ----------
    ids : text [n_records]
    groups : int64 [n_records], homology group; named after its smallest id
    parts : uint8 [n_records, n_folds], indices of `PARTS`
    """
    name_of = pd.Series(ids).groupby(groups).min()
    tested = parts == TEST
    folds = np.array([str(fold) for fold in range(parts.shape[1])], dtype=object)
    table = pd.DataFrame(
        {
            "id": ids,
            "group": name_of.loc[groups].to_numpy(),
            "fold": np.where(tested.any(axis=1), folds[tested.argmax(axis=1)], ""),
        }
    )
    for fold, column in zip(folds, parts.T, strict=True):
        table[f"part_{fold}"] = np.array(PARTS, dtype=object)[column]
    return table.sort_values("id", ignore_index=True)


def hit_table(
    ids: np.ndarray, sequence_of: np.ndarray, hits: pd.DataFrame, lengths: np.ndarray
) -> pd.DataFrame:
    """The content of ``hits.csv.gz``: one row for each pair of ids with a hit, in both directions.

    `identity` and `similar` are by the rule of the split. Ids with the same sequence are hits with
    identity and coverage 1; their E-value and bits are missing because they are not aligned.

    Parameters
    ----------
    ids, sequence_of : text and int64 [n_records], ids and their sequences
    hits : see `halo.split.alignment.align`
    lengths : int64 [n_sequences]
    """
    covered, both_lengths = (hits["covered_a"], hits["covered_b"]), lengths[hits[["a", "b"]].T]
    one_way = pd.DataFrame(
        {
            "query": hits["a"],
            "target": hits["b"],
            "identity": hits["identity"].round(3),
            "shorter_coverage": coverage(covered, both_lengths, "shorter").round(3),
            "similar": hits["similar"].astype(int),
            "evalue": hits["evalue"],
            "bits": ((LAMBDA * hits["score"] - np.log(K)) / np.log(2)).round(1),
        }
    )
    both = pd.concat([one_way, one_way.rename(columns={"query": "target", "target": "query"})])
    several = np.flatnonzero(np.bincount(sequence_of) > 1)
    same = pd.DataFrame({"query": several, "target": several}).assign(
        identity=1.0, shorter_coverage=1.0, similar=1
    )
    records = pd.DataFrame({"id": ids, "sequence": sequence_of})
    joined = pd.concat([both, same] if len(same) else [both])
    for side in ("query", "target"):
        joined = joined.merge(records, left_on=side, right_on="sequence")
        joined = joined.drop(columns="sequence").assign(**{side: joined["id"]}).drop(columns="id")
    joined = joined[joined["query"] != joined["target"]]
    return joined.sort_values(["query", "target"], ignore_index=True)


def write_gzipped_table(path: Path, table: pd.DataFrame) -> None:
    """Write a gzipped CSV atomically; equal tables give equal bytes."""
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="") as text,
    ):
        table.to_csv(text, index=False)
