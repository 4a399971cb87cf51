"""What a method that joins two others makes of the first one's decisions."""

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
    """Whom it joins, and what that changes; empty for other methods.

    Parameters
    ----------
    seeds
        The method's models, by seed.
    pools
        Test proteins of every method, a pool a seed; a member with one seed serves all.
    truth, known
        bool [n, n_labels], of the same proteins; what is not known counts as right with both.

    Returns
    -------
    ``first`` and ``second``, ``asked`` (share of the proteins that the second had a say in), and
    counts, means over the seeds: decisions on a label that were wrong with the first alone
    and are right now (``labels_mended``) and the reverse (``labels_spoiled``), and the same of
    proteins whose labels are all right.
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
            "labels_mended": (~before & after).sum(),
            "labels_spoiled": (before & ~after).sum(),
            "proteins_mended": (~whole[0] & whole[1]).sum(),
            "proteins_spoiled": (whole[0] & ~whole[1]).sum(),
        }.items():
            counts.setdefault(name, []).append(float(value))
    means = {name: reported(np.mean(values)) for name, values in counts.items()}
    return {"first": first, "second": second, **means}
