"""Candidate pairs for the audit, proposed by a search with settings of its own."""

from collections import Counter
from collections.abc import Sequence
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.split.binary import run_mmseqs

PREFILTER = ["-k", "5", "--mask", "0", "--comp-bias-corr", "0", "--min-ungapped-score", "30"]
LONGEST, SHARED = 30_000, 5_000  # residues of a piece of a long protein, and of its overlap
# A k-mer search misses pairs with a short or low-complexity protein: of 8,938 similar pairs among
# the 1,500 such proteins of DeepLoc 2.0, -s 6.5 misses 85; in 10 of these, neither protein is
# below these limits.
SHORT, LOW_ENTROPY = 100, 3.6  # residues, and bits per residue


def search(
    sequences: Sequence[str],
    queries: np.ndarray,
    sensitivity: float,
    threads: int,
    scratch: Path,
) -> np.ndarray:
    """Pairs that MMseqs2 proposes when `queries` are searched against all `sequences`.

    Returns
    -------
    int64 [n_pairs, 2], positions in `sequences`; unsorted, may contain a pair twice

    Raises
    ------
    HaloError
        if MMseqs2 does not even find the queries themselves
    """
    with TemporaryDirectory(prefix="audit.", dir=scratch) as name:
        folder = Path(name)
        some = _database(folder / "some", sequences, queries.tolist())
        every = _database(folder / "every", sequences, range(len(sequences)))
        run_mmseqs(
            *("prefilter", some, every, folder / "found", *PREFILTER, "-s", sensitivity),
            *("--max-seqs", 10 * len(sequences) + 300, "--threads", threads),
        )
        table = folder / "found.tsv"
        run_mmseqs("createtsv", some, every, folder / "found", table)
        if not table.exists() or not table.stat().st_size:
            if any(len(sequences[query]) > SHORT for query in queries):
                raise HaloError(
                    "the audit's search found nothing, though every protein should find itself; "
                    "the installation of MMseqs2 is broken: install it again"
                )
            return np.empty((0, 2), dtype=np.int64)
        pairs = pd.read_csv(table, sep="\t", header=None, usecols=[0, 1], dtype=float)
    return pairs.to_numpy().astype(np.int64)  # 7.2 is the third piece of protein 7


def _database(path: Path, sequences: Sequence[str], chosen: Sequence[int]) -> Path:
    """Make a database of the `chosen` sequences; long ones are divided into pieces."""
    fasta = path.with_suffix(".fasta")
    with fasta.open("w") as file:
        for number in chosen:
            text = sequences[number]
            for piece, start in enumerate(range(0, max(1, len(text) - SHARED), LONGEST - SHARED)):
                file.write(f">{number}.{piece}\n{text[start : start + LONGEST]}\n")
    run_mmseqs("createdb", fasta, path, "--dbtype", 1)
    return path


def hard_to_find(sequence: str) -> bool:
    """Whether a k-mer search is likely to miss proteins similar to this one."""
    return len(sequence) <= SHORT or entropy(sequence) < LOW_ENTROPY


def entropy(sequence: str) -> float:
    """Shannon entropy of the amino-acid composition, in bits per residue."""
    counts = Counter(sequence).values()
    return -sum(count / len(sequence) * log2(count / len(sequence)) for count in counts)
