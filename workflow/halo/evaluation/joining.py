"""Summarize how a cascade or average changes the decisions of its first member."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halo.evaluation.bootstrap import reported
from halo.evaluation.models import Model, Pooled


def joining_summary(
    seeds: Mapping[int, Sequence[Model]],
    pools: Mapping[str, Sequence[Pooled]],
    method: str,
    truth: np.ndarray,
    known: np.ndarray,
) -> dict[str, Any]:
    """Members of a combining method and the decisions that it changes; empty for other methods.

    Parameters
    ----------
    seeds
        Models of the method, by seed.
    pools
        Test proteins of every method, one pool per seed; a member with one seed is used for all.
    truth, known
        bool [n, n_labels], of the same proteins; unknown labels count as correct.

    Returns
    -------
    ``first`` and ``second`` member, ``asked`` (fraction of the proteins for which the second was
    used), and counts averaged over the seeds: decisions on a label that were wrong with the first
    member alone and are now correct (``labels_corrected``), the reverse (``labels_broken``), and
    the same for proteins with all labels correct.
    """
    description = next(iter(seeds.values()))[0].description
    if description.members is None:
        return {}
    first, second = (member.method for member in description.members)
    if first not in pools:
        return {}
    counts: dict[str, list[float]] = {}
    for number, joint in enumerate(pools[method]):
        alone = pools[first][number if len(pools[first]) == len(pools[method]) else 0]
        before, after = (~known | (pool.decisions == truth) for pool in (alone, joint))
        whole = before.all(axis=1), after.all(axis=1)
        for name, value in {
            "asked": (joint.decided_by != first).mean(),
            "labels_corrected": (~before & after).sum(),
            "labels_broken": (before & ~after).sum(),
            "proteins_corrected": (~whole[0] & whole[1]).sum(),
            "proteins_broken": (whole[0] & ~whole[1]).sum(),
        }.items():
            counts.setdefault(name, []).append(float(value))
    means = {name: reported(float(np.mean(values))) for name, values in counts.items()}
    return {"first": first, "second": second, **means}
