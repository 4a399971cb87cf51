"""From probabilities of each residue to regions: the most probable path through the kinds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from halo.regions.table import UNKNOWN, Region, runs_of

PSEUDOCOUNT = 0.1  # added to each count of the transitions


@dataclass(frozen=True)
class Transitions:
    """How regions follow each other, as logarithms of probabilities.

    Attributes
    ----------
    first
        float64 [n], of the kind of the first residue; 0 is no region.
    next
        float64 [n, n], of the kind of the next residue (columns) after each kind (rows).
    """

    first: np.ndarray
    next: np.ndarray


def count_transitions(targets: Iterable[np.ndarray], n_kinds: int) -> Transitions:
    """Transitions in annotated proteins.

    Parameters
    ----------
    targets : int8 [length] of each protein, see `halo.regions.table`; unknown residues are skipped
    n_kinds : number of kinds, without 0 for no region
    """
    n = n_kinds + 1
    first, following = np.zeros(n), np.zeros((n, n))
    for target in targets:
        known = target != UNKNOWN
        if len(target) and known[0]:
            first[target[0]] += 1
        both = known[:-1] & known[1:]
        np.add.at(following, (target[:-1][both], target[1:][both]), 1)
    return Transitions(_log_shares(first), _log_shares(following))


def _log_shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts + PSEUDOCOUNT
    return np.log(smoothed / smoothed.sum(axis=-1, keepdims=True))


def best_path(log_probabilities: np.ndarray, transitions: Transitions) -> np.ndarray:
    r"""Kind of each residue on the path with the highest score (Viterbi 1967), int8 [length].

    The score is
    :math:`\sum_i \log p(k_i | x) + \log t(k_1) + \sum_{i>1} \log t(k_{i-1}, k_i)`,
    so a change of the kind needs the evidence of several residues, and regions follow each other as
    in the annotated proteins. The probabilities are not divided by the frequencies of the kinds, as
    in a hidden Markov model: each depends on the whole sequence already.

    Parameters
    ----------
    log_probabilities : float [length, n_kinds + 1]
    """
    emission = log_probabilities.astype(np.float64)
    length, n = emission.shape
    if length == 0:
        return np.zeros(0, dtype=np.int8)
    back = np.zeros((length, n), dtype=np.int8)
    score = transitions.first + emission[0]
    for place in range(1, length):
        candidates = score[:, None] + transitions.next
        back[place] = candidates.argmax(axis=0)
        score = candidates.max(axis=0) + emission[place]
    path = np.zeros(length, dtype=np.int8)
    path[-1] = score.argmax()
    for place in range(length - 1, 0, -1):
        path[place - 1] = back[place, path[place]]
    return path


@dataclass(frozen=True)
class PredictedRegion:
    """A predicted region, and its confidence: the mean probability of its kind."""

    start: int
    end: int
    kind: str
    confidence: float


def decode(
    probabilities: np.ndarray, kinds: Sequence[str], transitions: Transitions
) -> list[PredictedRegion]:
    """Regions of a protein, in the order of the sequence.

    Parameters
    ----------
    probabilities : float [length, n_kinds + 1], of no region and of each kind
    kinds : names of the kinds
    """
    names = ("", *kinds)
    logs = np.log(np.maximum(probabilities, 1e-12))
    regions = runs_of(best_path(logs, transitions), names)
    return [_predicted(region, probabilities, names) for region in regions if region.kind]


def _predicted(region: Region, probabilities: np.ndarray, names: Sequence[str]) -> PredictedRegion:
    inside = probabilities[region.start - 1 : region.end, names.index(region.kind)]
    return PredictedRegion(region.start, region.end, region.kind, float(inside.mean()))
