"""Compare the labels of two sources for the same proteins."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet


def agreement(
    ours: Mapping[str, AbstractSet[str]], theirs: Mapping[str, AbstractSet[str]]
) -> tuple[float, Counter[str]]:
    """Share of the proteins of both with the same labels, and the kinds of difference.

    A kind names what we have more (``+``) and less (``-``) than the others:
    ``+Cell membrane -Cytoplasm``.
    """
    shared = ours.keys() & theirs.keys()
    kinds: Counter[str] = Counter()
    for name in shared:
        more, fewer = ours[name] - theirs[name], theirs[name] - ours[name]
        if more or fewer:
            signs = [*(f"+{label}" for label in sorted(more)), *(f"-{n}" for n in sorted(fewer))]
            kinds[" ".join(signs)] += 1
    return 1 - kinds.total() / len(shared) if shared else float("nan"), kinds
