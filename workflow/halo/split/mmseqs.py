"""Candidate pairs for the similarity graph, proposed by MMseqs2."""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.split.binary import run_mmseqs
from halo.split.pairs import distinct_pairs

log = logging.getLogger(__name__)

WORD = 5
MIN_UNGAPPED_SCORE = 30
# Masking and the correction for biased composition are off: both hide similarity that an alignment
# detects. 5-mers are more sensitive than MMseqs2's default 6-mers, and faster. Of the 212 similar
# pairs among 1,500 proteins of DeepLoc 2.0 (all pairs aligned), -s 5.7 proposes 210. Two thirds of
# the candidates have a best diagonal score below 30, but only 1 of the 212 pairs.
OPTIONS = (
    *("--mask", 0, "--comp-bias-corr", 0, "-k", WORD),
    *("--min-ungapped-score", MIN_UNGAPPED_SCORE),
)
# MMseqs2 accepts at most 65,535 residues; sequences longer than PIECE are searched in pieces.
PIECE, OVERLAP = 20_000, 2_000


def propose(
    sequences: Sequence[str], sensitivity: float, max_hits: int, threads: int, scratch: Path
) -> np.ndarray:
    """Search every sequence against all others for k-mer matches on a diagonal.

    Parameters
    ----------
    sequences : distinct sequences; their order does not influence the result
    sensitivity : MMseqs2's ``-s``
    max_hits : largest number of candidates of a query; queries that reach it are searched again
        with a ten times higher limit, until none does
    threads : threads of MMseqs2
    scratch : folder for temporary files

    Returns
    -------
    int64 [n_pairs, 2], smaller index first, sorted, without repetition

    Raises
    ------
    HaloError
        if MMseqs2 fails or finds nothing
    """
    pieces = [
        (number, text[start : start + PIECE])
        for number, text in enumerate(sequences)
        for start in range(0, max(len(text) - OVERLAP, 1), PIECE - OVERLAP)
    ]
    owner = np.array([number for number, _ in pieces])
    tables = []
    with TemporaryDirectory(prefix="mmseqs.", dir=scratch) as folder:
        work = Path(folder)
        fasta = work / "sequences.fasta"
        fasta.write_text("".join(f">{i}\n{text}\n" for i, (_, text) in enumerate(pieces)))
        run_mmseqs("createdb", fasta, work / "all", "--dbtype", 1, "--shuffle", 0)
        queries, limit = work / "all", max_hits
        for attempt in range(64):
            candidates = work / f"candidates{attempt}"
            run_mmseqs(
                *("prefilter", queries, work / "all", candidates, *OPTIONS, "-s", sensitivity),
                *("--max-seqs", limit, "--threads", threads),
            )
            tables.append(_read(queries, candidates))
            counts = tables[-1]["query"].value_counts()
            full = sorted(counts.index[counts >= limit])
            if not full:
                break
            limit *= 10
            log.info(
                "%s queries have more candidates; searching with a limit of %s",
                f"{len(full):,}", f"{limit:,}",
            )  # fmt: skip
            keys = work / f"keys{attempt}"
            keys.write_text("".join(f"{key}\n" for key in full))
            queries = work / f"queries{attempt}"
            run_mmseqs("createsubdb", keys, work / "all", queries)
    pairs = np.concatenate([owner[table[["query", "target"]].to_numpy()] for table in tables])
    _require_found(sequences, pairs)
    return distinct_pairs(pairs)


def _read(queries: Path, candidates: Path) -> pd.DataFrame:
    """The result of a prefilter: columns ``query`` and ``target``, positions in the FASTA."""
    text = candidates.with_suffix(".tsv")
    text.touch()  # MMseqs2 writes no file if it finds nothing
    run_mmseqs("createtsv", queries, candidates.parent / "all", candidates, text)
    names = ["query", "target"]
    return pd.read_csv(text, sep="\t", header=None, names=names, usecols=[0, 1], dtype=np.int64)


def _require_found(sequences: Sequence[str], pairs: np.ndarray) -> None:
    """Raise a HaloError if MMseqs2 did not even find each protein in itself."""
    if not len(pairs) and any(len(text) >= 100 for text in sequences):
        raise HaloError(
            f"MMseqs2 finds nothing among {len(sequences):,} proteins, not even each protein "
            "in itself; its installation is broken: install it again"
        )
