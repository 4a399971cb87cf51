"""Similar proteins by an exhaustive loop over all pairs, independent of HALO.

Scores are by parasail's striped Smith-Waterman, and identity and coverage by Biopython's aligner,
of the first of the optimal alignments that it gives.
"""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial

import numpy as np
import pandas as pd
import parasail
from Bio.Align import Alignment, PairwiseAligner, substitution_matrices

IDENTITY, COVERAGE, EVALUE = 0.3, 0.8, 1e-3
AS_KNOWN = str.maketrans("UOJ", "CKL")
Pair = tuple[int, int]


@cache
def biopython() -> PairwiseAligner:
    """Local alignment with BLOSUM62, where a gap of n residues costs 11 + (n - 1)."""
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -11, -1
    return aligner


def measured(found: Alignment, first: str, second: str) -> tuple[int, int, float, float]:
    """Identical residues, columns, and the share of either sequence from end to end."""
    spans = np.ptp(found.coordinates, axis=1)
    return found.counts().identities, found.length, spans[0] / len(first), spans[1] / len(second)


def are_similar(first: str, second: str) -> bool:
    """Whether the alignment has the identity and the coverage of the default rule."""
    same, columns, *covered = measured(biopython().align(first, second)[0], first, second)
    shorter = covered[int(len(second) < len(first))]
    if len(first) == len(second):
        shorter = max(covered)
    return same / columns >= IDENTITY and shorter >= COVERAGE


def similar_pairs(sequences: Sequence[str], processes: int = 1) -> set[Pair]:
    """All pairs of distinct `sequences` that are similar by the default rule."""
    texts = [text.translate(AS_KNOWN) for text in sequences]
    of_one = partial(_similar_to, texts, sum(map(len, texts)))
    if processes == 1:
        return {pair for a in range(len(texts)) for pair in of_one(a)}
    with ProcessPoolExecutor(processes, initializer=_keep, initargs=(of_one,)) as pool:
        found = pool.map(_of_kept, range(len(texts)), chunksize=4)
        return {pair for pairs in found for pair in pairs}


def _similar_to(texts: Sequence[str], residues: int, a: int) -> list[Pair]:
    first = texts[a]
    profile = parasail.profile_create_sat(first, parasail.blosum62)
    found = []
    for b in range(a + 1, len(texts)):
        score = parasail.sw_striped_profile_sat(profile, texts[b], 11, 1).score
        expected = 0.041 * max(len(first), len(texts[b])) * residues * math.exp(-0.267 * score)
        if expected <= EVALUE and are_similar(first, texts[b]):
            found.append((a, b))
    return found


def apart(ids: Iterable[str], similar: Iterable[Pair], assignments: pd.DataFrame) -> list[Pair]:
    """Those of `similar` that are in different parts in a fold, and neither is removed there."""
    parts = assignments.set_index("id").filter(regex="^part_").loc[list(ids)].to_numpy()
    return [
        (a, b)
        for a, b in sorted(similar)
        if any(x != y and "removed" not in (x, y) for x, y in zip(parts[a], parts[b], strict=True))
    ]


_kept: partial


def _keep(of_one: partial) -> None:
    global _kept
    _kept = of_one


def _of_kept(a: int) -> list[Pair]:
    return _kept(a)
