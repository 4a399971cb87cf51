"""The split stage: from the protein table to assignments, hits and the audit's report."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.proteins.table import Proteins
from halo.split.alignment import align, pair_tasks, total_residues
from halo.split.audit import Auditor
from halo.split.author_partitions import AuthorFold, author_folds
from halo.split.folds import PARTS, Homology, author_parts, by_sequence, fractions, kfold
from halo.split.groups import accession_base, components, graph, pairs_of_equals
from halo.split.incremental import (
    CHANGED,
    extend_assignment,
    read_base,
    require_same_parts,
    require_similar_together,
    sequence_parts,
)
from halo.split.leakage import leak_message, leakage_report
from halo.split.mmseqs import propose
from halo.split.settings import SplitSettings
from halo.split.tables import assignment_table, hit_table

log = logging.getLogger(__name__)

NOT_SEARCHED = 500  # proteins; up to it, aligning all pairs takes no longer than a search


@dataclass(frozen=True)
class Relations:
    """Similarities of the proteins.

    Attributes
    ----------
    table
        Table of the proteins, sorted by sequence hash and id.
    lengths
        Length of each distinct sequence in residues, sorted by hash, int64 [n_sequences].
    hits
        Pairs of sequences below the rule's E-value, see `halo.split.alignment.align`.
    homology
        The similarity graph; records are rows of `table`.
    """

    table: pd.DataFrame
    lengths: np.ndarray
    hits: pd.DataFrame
    homology: Homology


@dataclass(frozen=True)
class SplitResult:
    """Content of the files that the stage writes.

    Attributes
    ----------
    assignments, hits
        See `halo.split.tables`.
    leaks, identity
        See `halo.split.audit.Findings`.
    leakage
        See `halo.split.leakage.leakage_report`.
    """

    assignments: pd.DataFrame
    hits: pd.DataFrame
    leaks: pd.DataFrame
    identity: pd.DataFrame
    leakage: dict[str, Any]


def split(proteins: Proteins, settings: SplitSettings, threads: int, scratch: Path) -> SplitResult:
    """Split `proteins`, audit the assignment, and fix the leaks that the audit finds.

    Proteins are processed in the order of sequence hash and id, so that the order of the input
    does not influence the result.

    Parameters
    ----------
    proteins : proteins, with author partitions in ``split`` if the mode needs them
    settings : settings of the stage
    threads : threads of MMseqs2, and processes of the alignment
    scratch : folder for temporary files

    Raises
    ------
    HaloError
        if there are still leaks after ``audit.rounds`` rounds

    Examples
    --------
    Of 60 proteins each stays in one fold with its fragment.

    >>> from random import Random
    >>> from tempfile import TemporaryDirectory
    >>> random = Random(0)
    >>> parents = ["".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=60)) for _ in range(30)]
    >>> sequences = parents + [parent[:50] for parent in parents]
    >>> table = pd.DataFrame({"id": [f"p{i}" for i in range(60)], "sequence": sequences})
    >>> table["seq_hash"], table["length"] = sequences, table["sequence"].str.len()
    >>> table["accession"] = table["split"] = ""
    >>> proteins = Proteins(table, ("Nucleus",), np.ones((60, 1), np.uint8), "multilabel")
    >>> with TemporaryDirectory() as scratch:
    ...     result = split(proteins, SplitSettings(folds=3), threads=1, scratch=Path(scratch))
    >>> fold = result.assignments.set_index("id")["fold"]
    >>> all(fold[f"p{i}"] == fold[f"p{i + 30}"] for i in range(30))
    True
    >>> result.leakage["pairs_above_threshold"]
    0
    """
    check_inputs(proteins, settings)
    relations = relate(proteins, settings, threads, scratch)
    auditor = Auditor(relations.table, settings.rule, settings.audit, threads, scratch)
    return split_and_audit(proteins, relations, auditor, settings)


def split_and_audit(
    proteins: Proteins, relations: Relations, auditor: Auditor, settings: SplitSettings
) -> SplitResult:
    """Alternate between split and audit until the audit finds no leak; see `split`.

    `relations` and `auditor` do not depend on the mode and can be shared by several splits with
    the same rule.
    """
    table, homology = relations.table, relations.homology
    ids = table["id"].to_numpy(dtype=object)
    as_it_is = settings.mode == "predefined" and not settings.repair
    # First use only pairs that the search proposes. When there is no leak among them, the sample
    # shows how many leaks the search missed.
    sample = as_it_is or auditor.complete
    n_missed: int | None = None
    rounds: list[int] = []
    while True:
        assignments = assign(table, homology, settings)
        _check_parts(assignments, settings)
        findings = auditor.examine(assignments, sample)
        if findings.clean and not sample:
            sample = True
            findings = auditor.examine(assignments)
        if sample and n_missed is None:
            n_missed = findings.n_missed
        rounds.append(len(findings.leaks))
        log.info("audit %s: %s similar pairs are apart", len(rounds), f"{rounds[-1]:,}")
        if findings.clean or as_it_is:
            break
        if len(rounds) > settings.audit.rounds:
            raise HaloError(leak_message(findings, _fix(settings)))
        homology = joined_by(auditor, table, homology, sample)
    labels = pd.DataFrame(proteins.labels, columns=list(proteins.label_names), index=proteins.ids)
    return SplitResult(
        assignments,
        hit_table(ids, homology.sequence_of, relations.hits, relations.lengths),
        findings.leaks,
        findings.identity,
        leakage_report(assignments, labels, findings, auditor, rounds, n_missed, settings),
    )


def relate(proteins: Proteins, settings: SplitSettings, threads: int, scratch: Path) -> Relations:
    """Search the proteins against each other and build the similarity graph."""
    table, first, sequence_of, weights = by_sequence(proteins)
    lengths = table["length"].to_numpy()[first]
    sequences = table["sequence"].to_numpy(dtype=object)[first]
    if len(sequences) <= NOT_SEARCHED:
        proposed = np.stack(np.triu_indices(len(sequences), 1), axis=1)
    else:
        proposed = propose(sequences, settings.sensitivity, settings.max_hits, threads, scratch)
    tasks = pair_tasks(proposed)
    hits = align(sequences, tasks, settings.rule, total_residues(sequences), threads)
    similar = hits.loc[hits["similar"], ["a", "b"]].to_numpy()
    log.info("%s similar pairs of %s sequences", f"{len(similar):,}", f"{len(first):,}")
    isoforms = pairs_of_equals([accession_base(text) for text in table["accession"]])
    adjacency = graph(len(first), similar, sequence_of[isoforms])
    return Relations(table, lengths, hits, Homology(adjacency, weights, sequence_of))


def assign(table: pd.DataFrame, homology: Homology, settings: SplitSettings) -> pd.DataFrame:
    """Assign the records of `table` to parts, see `halo.split.tables.assignment_table`."""
    parts = make_parts(homology, table, settings)
    groups = components(homology.adjacency, ~_removed(parts, homology.sequence_of))
    return assignment_table(table["id"].to_numpy(dtype=object), groups[homology.sequence_of], parts)


def joined_by(
    auditor: Auditor, table: pd.DataFrame, homology: Homology, sample: bool = True
) -> Homology:
    """Add the similar pairs of the audit to the similarity graph, whose records are in `table`.

    Without `sample`, only pairs that the audit's search proposed. Pairs within one part are added
    too, because the next round might separate them.
    """
    sequence_of = pd.Series(homology.sequence_of, index=table["seq_hash"])
    sequence_of = sequence_of[~sequence_of.index.duplicated()]
    pairs = auditor.similar_pairs(sample)
    return homology.joined(sequence_of.loc[pairs.ravel()].to_numpy().reshape(-1, 2))


def make_parts(homology: Homology, table: pd.DataFrame, settings: SplitSettings) -> np.ndarray:
    """Part of each record in each fold: uint8 [n_records, n_folds], indices of `PARTS`.

    `table` has the columns ``id`` and ``split`` of the records.
    """
    if settings.mode in ("external", "predefined"):
        safe = settings.mode == "external" or settings.repair
        return author_parts(homology, _author_folds(table, settings), safe, settings)
    if settings.base is not None:
        base = sequence_parts(homology, _base(table, settings))
        names = table["id"].to_numpy(dtype=object)
        first = np.unique(homology.sequence_of, return_index=True)[1]
        require_similar_together(Path(settings.base), homology, base, names[first])
        parts = extend_assignment(homology, base, settings)
    else:
        parts = {"kfold": kfold, "fractions": fractions}[settings.mode](homology, settings)
    return parts[homology.sequence_of]


def _author_folds(table: pd.DataFrame, settings: SplitSettings) -> list[AuthorFold]:
    return author_folds(table["split"].to_numpy(dtype=object), settings)


def _base(table: pd.DataFrame, settings: SplitSettings) -> np.ndarray:
    assert settings.base is not None
    n_folds = settings.folds if settings.mode == "kfold" else 1
    path, ids = Path(settings.base), table["id"].to_numpy(dtype=object)
    base = read_base(path, ids, n_folds)
    require_same_parts(path, ids, table["seq_hash"].to_numpy(dtype=object), base)
    return base


def check_inputs(proteins: Proteins, settings: SplitSettings) -> None:
    """Raise a HaloError for wrong author partitions or a wrong base, before the long search."""
    if settings.mode in ("external", "predefined"):
        _author_folds(proteins.table, settings)
    if settings.base is not None:
        _base(proteins.table, settings)


def _check_parts(assignments: pd.DataFrame, settings: SplitSettings) -> None:
    """Raise a HaloError if a part that training or evaluation needs has no protein."""
    shares = settings.fractions if settings.mode == "fractions" else None
    val = shares.val if shares else settings.val_fraction
    cal = shares.cal if shares else settings.cal_fraction
    needed = [name for name, share in (("val", val), ("cal", cal)) if share > 0]
    for column in assignments.filter(regex="^part_"):
        for name in ["train", "test", *needed]:
            if not (assignments[column] == name).any():
                raise HaloError(
                    f"split: fold {column.removeprefix('part_')} has no protein in {name}: "
                    f"{len(assignments)} proteins in {assignments['group'].nunique()} homology "
                    f"groups are too few; {_fix_for(name, settings)}"
                )


def _fix_for(part: str, settings: SplitSettings) -> str:
    """The fix for a `part` without proteins, by the mode."""
    if settings.mode == "fractions":
        return f"raise split.fractions.{part}"
    if part in ("val", "cal"):
        return f"raise split.{part}_fraction"
    if settings.mode == "kfold":
        return "lower split.folds"
    if part == "train":
        return "too many proteins are similar to the test: raise split.identity, or test fewer"
    return "correct the partitions in the column of dataset.split"


def _removed(parts: np.ndarray, sequence_of: np.ndarray) -> np.ndarray:
    """Sequences that are removed from all folds; they connect no groups."""
    used = (parts != PARTS.index("removed")).any(axis=1)
    return np.bincount(sequence_of, weights=used) == 0


def _fix(settings: SplitSettings) -> str:
    if settings.base is not None:
        return f"Proteins keep their part of split.base. It was made by another rule, or {CHANGED}"
    return "Raise split.audit.rounds, or split.sensitivity."
