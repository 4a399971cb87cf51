"""The stage: from the protein table to assignments, hits and the proof."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.proteins.table import Proteins
from halo.split.folds import PARTS, TEST, Homology, make_parts
from halo.split.groups import accession_base, components, graph, links_between_equals
from halo.split.mmseqs import all_against_all
from halo.split.settings import SplitSettings
from halo.split.similarity import coverage, identity, similar_pairs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitResult:
    """What the stage writes; see `halo.split.run.split`."""

    assignments: pd.DataFrame
    hits: pd.DataFrame
    leakage: dict
    identity: pd.DataFrame


def split(proteins: Proteins, settings: SplitSettings, threads: int, scratch: Path) -> SplitResult:
    """Divide `proteins`, and audit the division."""
    order = np.lexsort((proteins.table["id"], proteins.table["seq_hash"]))
    table = proteins.table.iloc[order].reset_index(drop=True)
    labels = proteins.labels[order]
    distinct, first, sequence_of = np.unique(
        table["seq_hash"].to_numpy(dtype=object), return_index=True, return_inverse=True
    )
    sequences = table["sequence"].to_numpy(dtype=object)[first]
    lengths = table["length"].to_numpy()[first]
    hits = all_against_all(
        sequences, settings.evalue, settings.sensitivity, settings.max_hits, threads, scratch
    )
    pairs = similar_pairs(hits, lengths, settings.rule)
    isoforms = sequence_of[
        links_between_equals(accession_base(text) for text in table["accession"])
    ].reshape(-1, 2)
    weights = np.zeros((len(distinct), 1 + labels.shape[1]))
    np.add.at(weights, sequence_of, np.hstack([np.ones((len(table), 1)), labels]))
    homology = Homology(graph(len(distinct), pairs, isoforms), weights, sequence_of)
    parts = make_parts(homology, np.zeros(len(table)), settings)
    groups = components(homology.adjacency)
    return SplitResult(
        _assignments(table, groups[sequence_of], parts),
        _hit_table(table, sequence_of, hits, lengths),
        {},
        pd.DataFrame({"id": table["id"], "max_cross_identity": 0.0}),
    )


def _assignments(table: pd.DataFrame, groups: np.ndarray, parts: np.ndarray) -> pd.DataFrame:
    ids = table["id"].to_numpy(dtype=object)
    _, first = np.unique(groups, return_index=True)
    tested = parts == TEST
    names = np.array([str(fold) for fold in range(parts.shape[1])], dtype=object)
    fold = np.where(tested.any(axis=1), names[tested.argmax(axis=1)], "")
    columns = {
        f"part_{name}": np.array(PARTS, dtype=object)[parts[:, i]] for i, name in enumerate(names)
    }
    assignments = pd.DataFrame({"id": ids, "group": ids[first][groups], "fold": fold} | columns)
    return assignments.sort_values("id", ignore_index=True)


def _hit_table(
    table: pd.DataFrame, sequence_of: np.ndarray, hits: pd.DataFrame, lengths: np.ndarray
) -> pd.DataFrame:
    """Hits between records: those of a sequence stand for all its ids, which hit each other."""
    records = pd.DataFrame({"id": table["id"], "sequence": sequence_of})
    per_sequence = pd.DataFrame(
        {
            "query": hits["query"],
            "target": hits["target"],
            "identity": identity(hits, lengths, "aligned").round(3),
            "shorter_coverage": coverage(hits, lengths, "shorter").round(3),
            "evalue": hits["evalue"],
            "bits": hits["bits"],
        }
    )
    joined = per_sequence.merge(records, left_on="query", right_on="sequence").merge(
        records, left_on="target", right_on="sequence", suffixes=("_query", "_target")
    )
    joined = joined.assign(query=joined["id_query"], target=joined["id_target"])
    return joined[list(per_sequence.columns)].sort_values(["query", "target"], ignore_index=True)
