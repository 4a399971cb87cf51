"""Choose the training proteins whose labels count, and remark on what they do not tell."""

from collections.abc import Iterator, Sequence

import numpy as np

from halo.homologues.rule import Evidence
from halo.label_groups import LabelGroup
from halo.predict.nearest import Neighbour

WHOLE = 0.8  # share of either protein below which a remark says that they differ in extent
# Aligned residues may lack this many at an end of the training protein without a remark: fewer than
# the shortest signals have (SKL), and local alignments often end before a substitution.
LOOSE_ENDS = 2


def homologue_of(neighbours: Sequence[Neighbour], group: LabelGroup) -> Neighbour | None:
    """The most similar training protein of which a label of the group is known, as in the fit.

    `neighbours` are as `halo.predict.nearest.TrainingSequences.nearest` returns them.
    """
    labels = set(group.labels)
    return next((one for one in neighbours if one.similar and labels - set(one.unknown)), None)


def nearest_of(neighbours: Sequence[Neighbour], main: LabelGroup) -> Neighbour | None:
    """The training protein to report: the homologue of the main group, or else the first."""
    return homologue_of(neighbours, main) or next(iter(neighbours), None)


def evidence_of(
    neighbours: Sequence[Sequence[Neighbour]], group: LabelGroup
) -> tuple[np.ndarray, Evidence]:
    """Rows of the queries that have a homologue in the group, int64 [n], and the evidence."""
    pairs = [(row, homologue_of(those, group)) for row, those in enumerate(neighbours)]
    found = [(row, one) for row, one in pairs if one is not None]
    shape = (len(found), len(group.labels))
    has = [[name in one.labels for name in group.labels] for _, one in found]
    known = [[name not in one.unknown for name in group.labels] for _, one in found]
    return np.array([row for row, _ in found], dtype=int), Evidence(
        np.array([one.identity for _, one in found]),
        np.array(has, dtype=bool).reshape(shape),
        np.array(known, dtype=bool).reshape(shape),
    )


def remarks(length: int, near: Sequence[Neighbour], shortest: int | None) -> list[str]:
    """What limits a prediction, as sentences without a full stop.

    Parameters
    ----------
    length : residues of the protein
    near : the training proteins that are reported or whose labels count
    shortest : residues of the shortest training protein; None if this is not known
    """
    texts = []
    if shortest is not None and length < shortest:
        texts.append(
            f"{length} residues, fewer than any training protein has ({shortest} or more): the "
            "model knows nothing of such peptides"
        )
    return [*texts, *_extents(near)]


def _extents(near: Sequence[Neighbour]) -> Iterator[str]:
    for one in {each.id: each for each in near}.values():
        lacking = one.start - 1 > LOOSE_ENDS or one.length - one.end > LOOSE_ENDS
        partial = min(one.query_coverage, one.training_coverage) < WHOLE
        if one.similar and (lacking or partial):
            yield (
                f"this protein and {one.id} differ in extent: residues {one.start}-{one.end} of "
                f"{one.length} of {one.id} are aligned with {one.query_coverage:.0%} of this "
                "protein; signals at the ends may be lost, and the labels may not apply"
            )
