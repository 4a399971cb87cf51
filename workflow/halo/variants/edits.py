"""Edits of a wild type: what changes replace, and the sequence that results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import gemmi
import numpy as np

from halo.variants.notation import (
    STOP,
    THREE,
    Change,
    NotationError,
    Place,
    written,
)

ALIGNED = 10**8  # largest product of the lengths of aligned sequences, the memory in bytes
NEW = -1  # origin of a residue that the wild type does not have


@dataclass(frozen=True, order=True)
class Edit:
    """Replacement of the residues `start` to `stop` (from 0, without `stop`) of the wild type."""

    start: int
    stop: int
    residues: str

    @property
    def places(self) -> int:
        """Number of residues that it changes: replaced, removed and new ones."""
        return max(self.stop - self.start, len(self.residues))

    @property
    def touched(self) -> tuple[int, int]:
        """First and last residue of the wild type, from 1, that it changes or lies between."""
        if self.start == self.stop:
            return self.start, self.stop + 1
        return self.start + 1, self.stop


def edits_of(
    changes: Sequence[Change], wildtype: str, others: Mapping[str, str] | None = None
) -> list[Edit]:
    """The edits that `changes` make, in the order of the sequence.

    `others` are sequences by name, for fusions.

    Raises
    ------
    NotationError
        if the wild type has another residue at a position, the position does not exist, changes
        overlap, or nothing remains

    Examples
    --------
    >>> from halo.variants.notation import parse
    >>> edits_of(parse("K2del;A4_Y5insGG"), "MKTAYI")
    [Edit(start=1, stop=2, residues=''), Edit(start=4, stop=4, residues='GG')]
    """
    edits = sorted(edit for change in changes for edit in _edits(change, wildtype, others or {}))
    for one, two in pairwise(edits):
        if one.stop > two.start or (one.start, one.stop) == (two.start, two.stop):
            raise NotationError(
                f"{written(changes, short=True)!r}: two changes concern the same residues, near "
                f"position {two.start + 1}; describe them as one (delins)"
            )
    sequence, _ = edited(wildtype, edits)
    if not sequence:
        raise NotationError(
            f"{written(changes, short=True)!r}: no residue remains; there is nothing to predict"
        )
    if sequence == wildtype:
        raise NotationError(
            f"{written(changes, short=True)!r}: the sequence is that of the wild type; remove it"
        )
    return edits


def edited(wildtype: str, edits: Sequence[Edit]) -> tuple[str, np.ndarray]:
    """The sequence after `edits`, and the origin of its residues.

    The origin, int64 [length], is the position in the wild type from 0, or `NEW`. A residue that
    replaces another one at its place (a substitution) has the position of that one.
    """
    parts: list[str] = []
    origins: list[np.ndarray] = []
    at = 0
    for edit in edits:
        parts += [wildtype[at : edit.start], edit.residues]
        new = np.full(len(edit.residues), NEW, dtype=np.int64)
        if len(new) == edit.stop - edit.start:
            new = np.arange(edit.start, edit.stop, dtype=np.int64)
        origins += [np.arange(at, edit.start, dtype=np.int64), new]
        at = edit.stop
    parts.append(wildtype[at:])
    origins.append(np.arange(at, len(wildtype), dtype=np.int64))
    return "".join(parts), np.concatenate(origins)


def edits_between(wildtype: str, variant: str) -> list[Edit]:
    """Edits that make `variant` of `wildtype`, by a global alignment (BLOSUM62).

    Raises a NotationError if the parts that differ are too long to be aligned.
    """
    return list(_runs(wildtype, variant, _columns(wildtype, variant)))


def identity(wildtype: str, variant: str) -> float:
    """Identical residues of the global alignment, as a fraction of the shorter sequence."""
    pairs = _columns(wildtype, variant)
    same = sum(wildtype[i] == variant[j] for i, j in pairs if i is not None and j is not None)
    return same / min(len(wildtype), len(variant))


def changes_of(edits: Sequence[Edit], wildtype: str) -> tuple[Change, ...]:
    """Changes that make `edits`: substitutions, deletions, insertions, extensions and delins."""
    return tuple(change for edit in edits for change in _described(edit, wildtype))


# ------------------------------------------------------------------ changes to edits


def _edits(change: Change, wildtype: str, others: Mapping[str, str]) -> Iterator[Edit]:
    if change.kind == "fusion":
        yield from _fusion(change, wildtype, others)
        return
    assert change.first is not None
    assert change.last is not None
    length = len(wildtype)
    for place in (change.first, change.last):
        _check(change, place, wildtype)
    start, stop = change.first.position - 1, change.last.position
    match change.kind:
        case "nonsense" | "frameshift":
            yield Edit(start, length, "")
        case "deletion":
            yield Edit(start, stop, "")
        case "duplication":
            yield Edit(stop, stop, wildtype[start:stop])
        case "insertion":
            yield Edit(start + 1, start + 1, change.residues)
        case "extension":
            at = length if change.first.residue == STOP else 0
            yield Edit(at, at, change.residues)
        case _:
            yield Edit(start, stop, change.residues)


def _check(change: Change, place: Place, wildtype: str) -> None:
    """Raise a NotationError if the wild type does not have a residue where `change` says."""
    text = written((change,), short=True)
    length = len(wildtype)
    if place.residue == STOP:
        if place.position != length + 1:
            raise NotationError(
                f"{text!r}: the wild type has {length} residues, so its stop is at {length + 1}; "
                "correct the position"
            )
        return
    if place.position > length:
        raise NotationError(
            f"{text!r}: position {place.position} is beyond the end of the wild type, which has "
            f"{length} residues; correct it, or give the isoform that is meant"
        )
    there = wildtype[place.position - 1]
    if there != place.residue:
        raise NotationError(
            f"{text!r}: the wild type has {there} ({THREE.get(there, there)}) at position "
            f"{place.position}, not {place.residue} ({THREE[place.residue]}); correct it, or give "
            "the isoform that is meant"
        )


def _fusion(change: Change, wildtype: str, others: Mapping[str, str]) -> Iterator[Edit]:
    """A fusion replaces what lies before, between and after its ranges of the wild type."""
    at, before = 0, ""
    for part in change.parts:
        if isinstance(part, str):
            before += part
            continue
        if part.name and part.name not in others:
            raise NotationError(
                f"{written((change,), True)!r}: the file of wild types has no protein "
                f"{part.name!r}; add it there"
            )
        sequence = others[part.name] if part.name else wildtype
        for residue, position in zip(part.residues, (part.first, part.last), strict=True):
            there = sequence[position - 1 : position]
            if not there or residue not in ("", there):
                raise NotationError(
                    f"{written((change,), True)!r}: {part.name or 'the wild type'} has "
                    f"{there or 'no residue'} at position {position}, and {len(sequence)} residues;"
                    " correct the range"
                )
        if part.name:
            before += sequence[part.first - 1 : part.last]
            continue
        yield from _replaced(at, part.first - 1, before)
        at, before = part.last, ""
    yield from _replaced(at, len(wildtype), before)


def _replaced(start: int, stop: int, residues: str) -> Iterator[Edit]:
    """A deletion and an insertion: what is fused is no substitution, even of the same length."""
    if start < stop:
        yield Edit(start, stop, "")
    if residues:
        yield Edit(stop, stop, residues)


# ------------------------------------------------------------------ sequences to edits


def _columns(wildtype: str, variant: str) -> list[tuple[int | None, int | None]]:
    """Columns of the global alignment: positions in both sequences, None for a gap."""
    # Equal ends are taken off first: alignments take time and memory of n times m.
    shorter = min(len(wildtype), len(variant))
    before = next((i for i in range(shorter) if wildtype[i] != variant[i]), shorter)
    rest = shorter - before
    after = next((i for i in range(rest) if wildtype[-1 - i] != variant[-1 - i]), rest)
    inner, outer = wildtype[before : len(wildtype) - after], variant[before : len(variant) - after]
    columns: list[tuple[int | None, int | None]] = [(i, i) for i in range(before)]
    i = j = before
    for kind in _aligned(inner, outer):
        columns.append((i if kind != "I" else None, j if kind != "D" else None))
        i, j = i + (kind != "I"), j + (kind != "D")
    return columns + [(i + step, j + step) for step in range(after)]


def _aligned(wildtype: str, variant: str) -> str:
    """``M``, ``I`` (in the variant alone) or ``D`` (in the wild type alone) for each column."""
    if not wildtype or not variant:
        return "D" * len(wildtype) + "I" * len(variant)
    if len(wildtype) == len(variant) == 1:
        return "M"
    if len(wildtype) * len(variant) > ALIGNED:
        raise NotationError(
            f"{len(variant):,} and {len(wildtype):,} residues differ, too many to align; describe "
            "the change in a notation"
        )
    names = [[_named(letter) for letter in text] for text in (variant, wildtype)]
    scoring = gemmi.AlignmentScoring("b")
    result = gemmi.align_string_sequences(names[0], names[1], [], scoring)
    gapped = result.add_gaps(variant, 1), result.add_gaps(wildtype, 2)
    return "".join(
        "D" if one == "-" else "I" if two == "-" else "M" for one, two in zip(*gapped, strict=True)
    )


def _named(letter: str) -> str:
    return THREE.get(letter, "Xaa").upper()


def _runs(
    wildtype: str, variant: str, columns: Sequence[tuple[int | None, int | None]]
) -> Iterator[Edit]:
    """Edits of consecutive columns that differ; substitutions are single ones."""
    start = stop = at = 0  # of the wild type
    new = ""
    pending = False
    for i, j in [*columns, (len(wildtype), len(variant))]:
        gap = i is None or j is None
        same = not gap and (i == len(wildtype) or wildtype[i] == variant[j])  # type: ignore[index]
        if gap:
            if not pending:
                start, stop, new, pending = at, at, "", True
            new += variant[j] if j is not None else ""
            stop += i is not None
        else:
            if pending:
                yield Edit(start, stop, new)
                pending = False
            if not same:
                assert i is not None
                assert j is not None
                yield Edit(i, i + 1, variant[j])
        at += i is not None


def _described(edit: Edit, wildtype: str) -> Iterator[Change]:
    def place(at: int) -> Place:
        return Place(wildtype[at] if at < len(wildtype) else STOP, at + 1)

    first, last = place(edit.start), place(max(edit.stop - 1, edit.start))
    if edit.start == edit.stop:
        if edit.start in (0, len(wildtype)):
            yield Change("extension", first, first, edit.residues)
        else:
            yield Change("insertion", place(edit.start - 1), first, edit.residues)
    elif not edit.residues:
        yield Change("deletion", first, last)
    elif len(edit.residues) == edit.stop - edit.start == 1:
        yield Change("substitution", first, first, edit.residues)
    else:
        yield Change("delins", first, last, edit.residues)
