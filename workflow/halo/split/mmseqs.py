"""Pairs of proteins that may be similar, for the similarity graph: proposed by MMseqs2."""

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
# Neither the correction for biased composition nor masking: both hide similarity that an alignment
# sees. Words of 5 residues find more than MMseqs2's 6, and faster. Of the 212 similar pairs
# among 1,500 proteins of DeepLoc 2.0 (all pairs aligned) -s 5.7 proposes 210; candidates whose best
# diagonal scores below 30 are two thirds, and 1 of the 212 is among them.
OPTIONS = ("--mask", 0, "--comp-bias-corr", 0, "-k", WORD)
OPTIONS += ("--min-ungapped-score", MIN_UNGAPPED_SCORE)
# MMseqs2 takes no sequence above 65,535 residues; longer ones than PIECE are searched in pieces.
PIECE, OVERLAP = 20_000, 2_000


def propose(
    sequences: Sequence[str], sensitivity: float, max_hits: int, threads: int, scratch: Path
) -> np.ndarray:
    """Search every sequence against all others for shared words on a diagonal.

    Parameters
    ----------
    sequences : distinct sequences; their order has no influence on what is found
    sensitivity : MMseqs2's ``-s``
    max_hits : candidates of a query; queries with more are searched again with ten times as
        many, until all fit
    threads : threads of MMseqs2
    scratch : folder in which a temporary one is made and removed

    Returns
    -------
    int64 [n_pairs, 2], the smaller index first, sorted, without repetition
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
            found = work / f"candidates{attempt}"
            run_mmseqs(
                *("prefilter", queries, work / "all", found, *OPTIONS, "-s", sensitivity),
                *("--max-seqs", limit, "--threads", threads),
            )
            tables.append(_read(queries, found))
            counts = tables[-1]["query"].value_counts()
            full = sorted(counts.index[counts >= limit])
            if not full:
                break
            limit *= 10
            log.info("%s queries have more candidates; taking %s", f"{len(full):,}", f"{limit:,}")
            keys = work / f"keys{attempt}"
            keys.write_text("".join(f"{key}\n" for key in full))
            queries = work / f"queries{attempt}"
            run_mmseqs("createsubdb", keys, work / "all", queries)
    pairs = np.concatenate([owner[table[["query", "target"]].to_numpy()] for table in tables])
    _require_found(sequences, pairs)
    return distinct_pairs(pairs)


def _read(queries: Path, found: Path) -> pd.DataFrame:
    """The candidates of a prefilter: columns ``query`` and ``target``, places in the FASTA."""
    text = found.with_suffix(".tsv")
    text.touch()  # where MMseqs2 finds nothing
    run_mmseqs("createtsv", queries, found.parent / "all", found, text)
    names = ["query", "target"]
    return pd.read_csv(text, sep="\t", header=None, names=names, usecols=[0, 1], dtype=np.int64)


def _require_found(sequences: Sequence[str], pairs: np.ndarray) -> None:
    """Raise where MMseqs2 has not even found proteins that are long enough in themselves."""
    if not len(pairs) and any(len(text) >= 100 for text in sequences):
        raise HaloError(
            f"MMseqs2 finds nothing among {len(sequences):,} proteins, not even each protein "
            "in itself; its installation is broken: install it again"
        )
