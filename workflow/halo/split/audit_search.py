"""What the audit aligns: pairs that may be similar, proposed in its own way."""

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
LONGEST, SHARED = 30_000, 5_000  # residues of a part of a long protein, and of two neighbours
# Searches that compare words miss pairs of which one is short or of low complexity: of 8,938
# similar pairs among the 1,500 such proteins of DeepLoc 2.0, -s 6.5 misses 85, of which 10 have
# neither a protein below these limits.
SHORT, LOW_ENTROPY = 100, 3.6  # residues, and bits a residue


def search(
    sequences: Sequence[str],
    queries: np.ndarray,
    sensitivity: float,
    threads: int,
    scratch: Path,
) -> np.ndarray:
    """Pairs of `sequences` that MMseqs2 proposes; those in `queries` are searched against all.

    Returns
    -------
    int64 [n_pairs, 2], positions in `sequences`; unsorted, and a pair may be there twice
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
                    "the audit's search wrote nothing, though every protein should find itself; "
                    "the installation of MMseqs2 is broken: install it again"
                )
            return np.empty((0, 2), dtype=np.int64)
        found = pd.read_csv(table, sep="\t", header=None, usecols=[0, 1], dtype=float)
    return found.to_numpy().astype(np.int64)  # 7.2 is the third part of protein 7


def _database(path: Path, sequences: Sequence[str], chosen: Sequence[int]) -> Path:
    """A database of the `chosen` sequences, long ones in parts named after the whole."""
    fasta = path.with_suffix(".fasta")
    with fasta.open("w") as file:
        for number in chosen:
            text = sequences[number]
            for part, start in enumerate(range(0, max(1, len(text) - SHARED), LONGEST - SHARED)):
                file.write(f">{number}.{part}\n{text[start : start + LONGEST]}\n")
    run_mmseqs("createdb", fasta, path, "--dbtype", 1)
    return path


def hard_to_find(sequence: str) -> bool:
    """Whether a search by words is likely to miss what is similar to this protein."""
    return len(sequence) <= SHORT or entropy(sequence) < LOW_ENTROPY


def entropy(sequence: str) -> float:
    """Shannon entropy of the composition, in bits a residue."""
    counts = Counter(sequence).values()
    return -sum(count / len(sequence) * log2(count / len(sequence)) for count in counts)
