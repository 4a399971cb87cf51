"""Optimal local alignment, which decides whether two proteins are similar.

Two proteins are aligned with the Smith-Waterman algorithm and BLOSUM62; a gap of n residues costs
11 + (n - 1). Scores do not overflow at any length. The E-value of a score S is
K m n exp(-lambda S) (Karlin and Altschul 1990), where m is the length of the longer protein and n
the number of residues of the data set. It does not depend on the order of the pair.

Several alignments of a pair can have the highest score, and their lengths can be very different,
since an extension whose score is 0 in total changes nothing. Up to six optimal alignments are
compared: those that end first and last in either protein, the one with the most identical residues
and the one with the most aligned residues. The pair is similar if one of them meets the thresholds.
The other five are left out only if no optimal alignment has enough identical residues for that.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
import pandas as pd
import parasail

from halo.errors import HaloError
from halo.split.pairs import distinct_pairs
from halo.split.settings import Rule

GAP_OPEN, GAP_EXTEND = 11, 1
# Of BLOSUM62 with gaps of 11 and 1 (Altschul et al. 1997).
LAMBDA, K = 0.267, 0.041
MATRIX = parasail.blosum62
# Letters that BLOSUM62 does not have, and the residues that replace them.
AS_KNOWN = str.maketrans("UOJ", "CKL")
LONG = 2000  # residues; above it, scores of 8 and 16 bits overflow and are not tried

Task = tuple[int, Sequence[int] | np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """An optimal local alignment of two sequences.

    Attributes
    ----------
    identical, columns
        Number of columns with identical residues, and of all columns including gaps.
    covered_a, covered_b
        Fraction of each sequence between its first and its last aligned residue, 0 to 1.
    """

    identical: int
    columns: int
    covered_a: float
    covered_b: float


def evalue(score: float, longer: int, residues: int) -> float:
    """Expected number of chance alignments with at least this `score`.

    Parameters
    ----------
    score : score of the alignment
    longer : length of the longer protein, in residues
    residues : number of residues of the data set
    """
    return K * longer * residues * math.exp(-LAMBDA * score)


def total_residues(sequences: Iterable[str]) -> int:
    """Number of residues of a data set, for E-values; each distinct sequence counts once."""
    return sum(map(len, set(sequences)))


def too_short(sequence: str, limit: float, residues: int) -> bool:
    """Whether an alignment with an identical protein would still exceed the E-value `limit`."""
    known = sequence.translate(AS_KNOWN)
    score = parasail.sw_striped_sat(known, known, GAP_OPEN, GAP_EXTEND, MATRIX).score
    return evalue(score, len(sequence), residues) > limit


def optimal_alignments(first: str, second: str) -> Iterator[Alignment]:
    """Optimal local alignments of two sequences, whose letters must all be in BLOSUM62.

    Yields up to six alignments, some of which may be the same: those that end first and last in
    either sequence, the one with the most identical residues, and the one with the most aligned
    residues. Yields none if no residues align.
    """
    for a, b in ((first, second), (first[::-1], second[::-1])):
        for swapped in (False, True):
            alignment = _ending_first(b, a) if swapped else _ending_first(a, b)
            if alignment is None:
                return
            identical, columns, span_a, span_b = alignment
            if swapped:
                span_a, span_b = span_b, span_a
            yield Alignment(identical, columns, span_a / len(first), span_b / len(second))
    for everywhere in (False, True):
        scores = _Scores.preferring(first, second, everywhere)
        alignment = _ending_first(first, second, scores)
        assert alignment is not None  # there is one, as in the loop above
        identical, columns, span_a, span_b = alignment
        yield Alignment(identical, columns, span_a / len(first), span_b / len(second))


def aligned_part(query: str, target: str) -> tuple[int, int] | None:
    """First and last residue of `target`, from 1, in the optimal alignment that ends first in it.

    None if no residues align.
    """
    one, other = query.translate(AS_KNOWN), target.translate(AS_KNOWN)
    end = _Scores().local(one, other).end_ref + 1
    alignment = _ending_first(one, other)
    return alignment and (end - alignment[3] + 1, end)


@dataclass(frozen=True)
class _Scores:
    """A scoring matrix and the parasail functions whose integers are wide enough for it."""

    matrix: parasail.Matrix = MATRIX
    scale: int = 1
    local_by: Callable = parasail.sw_striped_sat
    whole_by: Callable = parasail.nw_stats_striped_sat

    @classmethod
    def preferring(cls, first: str, second: str, everywhere: bool) -> "_Scores":
        """Scores that prefer, among optimal alignments, the one with the most identical residues.

        With `everywhere`, the one with the most aligned residues. All scores are multiplied by
        more than the largest possible number of such residues, and each of them adds one.
        """
        scale = 1 << min(len(first), len(second)).bit_length()
        matrix = _scaled_matrix(scale, everywhere)
        if scale * GAP_OPEN * max(len(first), len(second)) < 2**30:
            return cls(matrix, scale, parasail.sw_striped_32, parasail.nw_stats_scan_32)
        return cls(matrix, scale, parasail.sw_striped_64, parasail.nw_stats_scan_64)

    def local(self, query: str, target: str) -> parasail.Result:
        """The best local alignment, with 8-bit scores, or 16- or 32-bit ones after an overflow."""
        gaps = GAP_OPEN * self.scale, GAP_EXTEND * self.scale
        return self.local_by(query, target, *gaps, self.matrix)

    def whole(self, query: str, target: str) -> parasail.Result:
        """The best global alignment."""
        long = self.scale == 1 and max(len(query), len(target)) > LONG
        align_by = parasail.nw_stats_scan_32 if long else self.whole_by
        gaps = GAP_OPEN * self.scale, GAP_EXTEND * self.scale
        return align_by(query, target, *gaps, self.matrix)


@cache  # there is one for each power of two
def _scaled_matrix(scale: int, everywhere: bool) -> parasail.Matrix:
    bonus = np.ones_like(MATRIX.matrix) if everywhere else np.eye(MATRIX.size, dtype=np.intc)
    matrix = MATRIX.copy()
    for (row, column), score in np.ndenumerate(MATRIX.matrix * scale + bonus):
        matrix.set_value(row, column, int(score))
    return matrix


def most_identical(first: str, second: str, score: int) -> int:
    """Largest number of identical residues of the alignments that have the optimal `score`."""
    scores = _Scores.preferring(first, second, everywhere=False)
    return scores.local(first, second).score - score * scores.scale


def _ending_first(
    query: str, target: str, scores: _Scores = _Scores()
) -> tuple[int, int, int, int] | None:
    """The optimal alignment that ends first in `target`; of several, the one first in `query`.

    No other optimal alignment ends within the two prefixes. Aligning the reversed prefixes
    therefore gives its start, and a global alignment between start and end gives its columns.

    Returns
    -------
    number of identical residues, of columns, and of residues of `query` and `target` that the
    alignment spans; None if no residues align
    """
    forward = scores.local(query, target)
    if forward.score <= 0:
        return None
    head_query, head_target = query[: forward.end_query + 1], target[: forward.end_ref + 1]
    backward = scores.local(head_query[::-1], head_target[::-1])
    span_query, span_target = backward.end_query + 1, backward.end_ref + 1
    whole = scores.whole(head_query[-span_query:], head_target[-span_target:])
    if not forward.score == backward.score == whole.score:
        raise AssertionError(f"{query} and {target}: the alignment's score is not reproduced")
    return whole.matches, whole.length, span_query, span_target


def identity(identical, columns, lengths, identity_of: str) -> np.ndarray:
    """Identity of alignments, see `Rule.identity_of`.

    Arguments are numbers or arrays of equal length; `lengths` has those of both sequences.
    """
    return identical / (columns if identity_of == "aligned" else np.minimum(*lengths))


def coverage(covered, lengths, coverage_of: str) -> np.ndarray:
    """Coverage of the shorter sequence, or the lower coverage of both (`coverage_of` = "both").

    For sequences of equal length, the higher coverage counts as that of the shorter. `covered`
    and `lengths` have a number or an array for each of the two sequences.
    """
    if coverage_of == "both":
        return np.minimum(*covered)
    of_shorter = np.where(lengths[0] < lengths[1], *covered)
    return np.where(lengths[0] == lengths[1], np.maximum(*covered), of_shorter)


def least_identical(rule: Rule, lengths: tuple[int, int]) -> float:
    """Number of identical residues without which no alignment meets the `rule`.

    An alignment has at least as many columns as the residues that it must cover.
    """
    if rule.identity_of == "shorter":
        return rule.identity * min(lengths)
    covered = max(lengths) if rule.coverage_of == "both" else min(lengths)
    return rule.identity * rule.coverage * covered


@dataclass(frozen=True)
class Work:
    """Data that each worker process needs to align pairs.

    Attributes
    ----------
    sequences
        Sequences to which the indices of tasks refer.
    rule
        Thresholds of similarity.
    residues
        Number of residues of the data set, for the E-value; see `total_residues`.
    """

    sequences: Sequence[str]
    rule: Rule
    residues: int

    def hits(self, task: Task) -> list[tuple]:
        """Rows of the table of `align` for the pairs of `task` below the rule's E-value."""
        query, targets = task
        text = self.sequences[query]
        profile = parasail.profile_create_sat(text, MATRIX)
        rows = []
        for target in targets:
            other = self.sequences[target]
            score = parasail.sw_striped_profile_sat(profile, other, GAP_OPEN, GAP_EXTEND).score
            expected = evalue(score, max(len(text), len(other)), self.residues)
            if score > 0 and expected <= self.rule.evalue:
                a, b = sorted((query, int(target)))
                rows.append((a, b, score, expected, *self._measured(a, b, score)))
        return rows

    def _measured(self, a: int, b: int, score: int) -> tuple:
        """The optimal alignment that meets the rule, or comes closest to it."""
        rule = self.rule
        pair = self.sequences[a], self.sequences[b]
        lengths = len(pair[0]), len(pair[1])
        least = least_identical(rule, lengths)
        choices: list[tuple] = []
        for aligned in optimal_alignments(*pair):
            covered = aligned.covered_a, aligned.covered_b
            same = float(identity(aligned.identical, aligned.columns, lengths, rule.identity_of))
            spanned = float(coverage(covered, lengths, rule.coverage_of))
            similar = same >= rule.identity and spanned >= rule.coverage
            values = aligned.identical, aligned.columns, *covered
            choices.append((similar, spanned >= rule.coverage, same, spanned, *values))
            if similar or (len(choices) == 1 and most_identical(*pair, score) < least):
                break
        similar, _, same, spanned, *nearest = max(choices)
        return *nearest, same, spanned, similar


COLUMNS = {
    "a": np.int64,
    "b": np.int64,
    "score": np.int64,
    "evalue": float,
    "identical": np.int64,
    "columns": np.int64,
    "covered_a": float,
    "covered_b": float,
    "identity": float,
    "coverage": float,
    "similar": bool,
}


def align(
    sequences: Sequence[str], tasks: Iterable[Task], rule: Rule, residues: int, processes: int
) -> pd.DataFrame:
    """Align pairs of sequences and decide which are similar.

    Parameters
    ----------
    sequences : sequences to which the indices of `tasks` refer
    tasks : a query and its targets; see `pair_tasks` and `align_with_all`
    rule : thresholds of similarity
    residues : number of residues of the data set, for the E-value; see `total_residues`
    processes : number of worker processes

    Returns
    -------
    One row for each pair whose E-value is at most the rule's: ``a`` < ``b``, ``score``,
    ``evalue``; for the optimal alignment that meets the rule or comes closest to it, ``identical``
    and ``columns``, ``covered_a`` and ``covered_b`` (see `Alignment`), ``identity`` and
    ``coverage`` as the rule defines them, and ``similar``. Sorted by ``a`` and ``b``.

    Raises
    ------
    HaloError
        if a worker process is killed

    Examples
    --------
    >>> sequences = ["MKTAYIAKQRQISFVKSHFSRQLEERLG", "MKTAYIAKQRQISFVKSHFSRQ", "GGSGGSPPPPDDDDNNNN"]
    >>> table = align(sequences, [(0, [1, 2]), (1, [2])], Rule(), residues=68, processes=1)
    >>> table[["a", "b", "score", "identity", "similar"]].to_dict("records")
    [{'a': 0, 'b': 1, 'score': 109, 'identity': 1.0, 'similar': True}]
    """
    work = Work([text.translate(AS_KNOWN) for text in sequences], rule, residues)
    if processes == 1:
        rows = [work.hits(task) for task in tasks]
    else:
        try:
            with ProcessPoolExecutor(processes, initializer=_prepare, initargs=(work,)) as pool:
                rows = list(pool.map(_hits, tasks, chunksize=4))
        except BrokenProcessPool:
            raise HaloError(
                "a process that aligned proteins was killed, probably because memory ran out: "
                "give the rule more mem_mb, or fewer threads"
            ) from None
    table = pd.DataFrame(chain.from_iterable(rows), columns=list(COLUMNS)).astype(COLUMNS)
    return table.sort_values(["a", "b"], ignore_index=True)


def align_with_all(
    sequences: Sequence[str], queries: np.ndarray, rule: Rule, residues: int, processes: int
) -> pd.DataFrame:
    """Align each of `queries` (distinct indices) with all other sequences; see `align`."""
    rest = np.setdiff1d(np.arange(len(sequences)), queries)
    order = np.concatenate([queries, rest]).astype(np.int64)
    tasks = [(place, range(place + 1, len(order))) for place in range(len(queries))]
    table = align([sequences[i] for i in order], tasks, rule, residues, processes)
    swap = order[table["a"]] > order[table["b"]]
    for one, other in (("a", "b"), ("covered_a", "covered_b")):
        first, second = table[one].to_numpy(), table[other].to_numpy()
        if one == "a":
            first, second = order[first], order[second]
        table[one], table[other] = np.where(swap, second, first), np.where(swap, first, second)
    return table.sort_values(["a", "b"], ignore_index=True)


def pair_tasks(pairs: np.ndarray) -> list[Task]:
    """Tasks that align each of `pairs` once; int64 [n_pairs, 2]."""
    pairs = distinct_pairs(pairs)
    queries, starts = np.unique(pairs[:, 0], return_index=True)
    return list(zip(queries.tolist(), np.split(pairs[:, 1], starts[1:]), strict=False))


_work: Work  # of this process


def _prepare(work: Work) -> None:
    global _work
    _work = work


def _hits(task: Task) -> list[tuple]:
    return _work.hits(task)
