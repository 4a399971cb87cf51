"""Exact local alignment of pairs of sequences, for the audit."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices

# The scores of MMseqs2, BLASTP and DIAMOND. MMseqs2 lets a gap of n residues cost 11 + (n - 1).
GAP_OPEN, GAP_EXTEND = -11.0, -1.0
# Letters that BLOSUM62 has no row for, as what resembles them most.
AS_KNOWN = str.maketrans("UOJ", "CKL")
MAX_CELLS = 50_000_000  # of an alignment's matrix; two proteins of 7,000 residues
CHUNK = 200

Measured = tuple[int, int, float, float]


@cache
def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = GAP_OPEN, GAP_EXTEND
    return aligner


def align(first: str, second: str) -> Measured | None:
    """The best local alignment of two sequences (Smith and Waterman 1981).

    Returns
    -------
    identical residues, columns, and the share of each sequence that the alignment spans;
    None where nothing aligns, or where the matrix would need more than `MAX_CELLS` cells
    """
    if len(first) * len(second) > MAX_CELLS:
        return None
    best = next(iter(_aligner().align(first.translate(AS_KNOWN), second.translate(AS_KNOWN))), None)
    if best is None:
        return None
    spans = np.ptp(best.coordinates, axis=1)
    identical = best.counts().identities
    return identical, best.length, spans[0] / len(first), spans[1] / len(second)


def _align_chunk(pairs: Sequence[tuple[str, str]]) -> list[Measured | None]:
    return [align(*pair) for pair in pairs]


def align_all(pairs: Sequence[tuple[str, str]], processes: int) -> Iterator[Measured | None]:
    """`align` of each pair, in order, in several processes."""
    chunks = [pairs[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]
    if processes == 1 or len(chunks) < 2:
        for chunk in chunks:
            yield from _align_chunk(chunk)
        return
    with ProcessPoolExecutor(min(processes, len(chunks))) as pool:
        for measured in pool.map(_align_chunk, chunks):
            yield from measured
