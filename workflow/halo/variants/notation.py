"""Changes of a protein sequence in the notation of HGVS.

The notation is that of https://hgvs-nomenclature.org (protein), with residues in one- or
three-letter code. Where HGVS does not tell the sequence of the variant, residues have to be written
out: ``M1extMAS`` and ``*110extQRS`` are extensions, and a fusion is a list of parts that are joined
by ``::``, each of which is residues, a range of the wild type (``1_97``), or a range of another
protein (``GFP:1_238``). A frameshift is a truncation before its first residue.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from halo.errors import HaloError

RESIDUES = {
    "A": "Ala", "C": "Cys", "D": "Asp", "E": "Glu", "F": "Phe", "G": "Gly", "H": "His", "I": "Ile",
    "K": "Lys", "L": "Leu", "M": "Met", "N": "Asn", "P": "Pro", "Q": "Gln", "R": "Arg", "S": "Ser",
    "T": "Thr", "V": "Val", "W": "Trp", "Y": "Tyr", "U": "Sec", "O": "Pyl",
}  # fmt: skip
# Letters of sequences that are no single residue; they can be changed, but not be put in.
AMBIGUOUS = {"B": "Asx", "J": "Xle", "X": "Xaa", "Z": "Glx"}
STOP = "*"
THREE = RESIDUES | AMBIGUOUS | {STOP: "Ter"}
ONE = {name: letter for letter, name in THREE.items()}
KINDS = (
    "substitution", "deletion", "insertion", "delins", "duplication", "nonsense", "frameshift",
    "extension", "fusion",
)  # fmt: skip

_CODE = r"(?:[A-Z][a-z]{2}|[A-Z*])"
_PLACE = re.compile(rf"(?P<residue>{_CODE})(?P<position>\d+)")
_BARE = re.compile(r"\d+(?:_\d+)?")
_FRAMESHIFT = re.compile(rf"(?:{_CODE})?fs(?:(?:Ter|\*|X)(?:\d+|\?)?)?")
_HGVS_EXTENSION = re.compile(rf"(?:{_CODE})?ext(?:-\d+|(?:Ter|\*|X)(?:\d+|\?))")
_RANGE = re.compile(
    rf"(?:(?P<name>\S+):)?(?P<one>{_CODE})?(?P<first>\d+)_(?P<two>{_CODE})?(?P<last>\d+)"
)
_OTHER_KINDS = re.compile(r"(?:[^\s:]+:)?(?P<kind>[cgmnor])\.")


class NotationError(HaloError):
    """A notation that cannot be read, or that contradicts the wild type."""


@dataclass(frozen=True)
class Place:
    """A residue of the wild type: its letter (`STOP` after the last one) and position from 1."""

    residue: str
    position: int


@dataclass(frozen=True)
class Span:
    """A range of a protein, from 1 and including both ends; `name` is "" for the wild type.

    `residues` are the letters at its ends, "" where they are not given.
    """

    first: int
    last: int
    name: str = ""
    residues: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes
    ----------
    kind
        One of `KINDS`.
    first, last
        The changed residues, or the two beside an insertion; None for a fusion.
    residues
        New residues, in one-letter code.
    parts
        Parts of a fusion: residues, or ranges.
    """

    kind: str
    first: Place | None = None
    last: Place | None = None
    residues: str = ""
    parts: tuple[str | Span, ...] = ()


def parse(text: str) -> tuple[Change, ...]:
    """The changes that `text` describes, all relative to the wild type.

    Several changes are separated by ``;``. The prefix ``p.``, parentheses of a predicted change and
    the brackets of an allele are optional.

    Raises
    ------
    NotationError
        if it cannot be read; says what to write

    Examples
    --------
    >>> parse("p.[Arg97Cys;Lys23_Val25del]") == parse("R97C; K23_V25del")
    True
    >>> written(parse("R97C;K23_V25del"))
    'p.[Arg97Cys;Lys23_Val25del]'
    """
    given = text.strip()
    if other := _OTHER_KINDS.match(given):
        raise NotationError(
            f"{given!r}: {other['kind']}. describes DNA or RNA; give the change of the protein (p.)"
        )
    body = _unwrapped(given)
    if not body:
        raise NotationError("empty; write a change such as R97C")
    if body in ("?", "0", "0?", "="):
        raise NotationError(f"{given!r}: describes no known change of the sequence; remove it")
    parts = [_unwrapped(part.strip()) for part in body.split(";")]
    if not all(parts):
        raise NotationError(f"{given!r}: nothing before or after a ';'; remove it")
    changes = tuple(_change(part) for part in parts)
    if len(changes) > 1 and any(change.kind == "fusion" for change in changes):
        raise NotationError(f"{given!r}: a fusion with other changes; write them as residues of it")
    return changes


def written(changes: Sequence[Change], short: bool = False) -> str:
    """The notation of changes, in three-letter code with ``p.``, or `short` in one-letter code."""
    texts = [_written(change, short) for change in changes]
    if short:
        return ";".join(texts)
    return f"p.{texts[0]}" if len(texts) == 1 else f"p.[{';'.join(texts)}]"


# ------------------------------------------------------------------ reading


def _unwrapped(text: str) -> str:
    """`text` without the prefix ``p.``, and without brackets or parentheses around it."""
    text = text.removeprefix("p.")
    for opening, closing in ("[]", "()"):
        if text.startswith(opening) and text.endswith(closing):
            text = text[1:-1]
    return text.strip()


def _change(text: str) -> Change:
    if "::" in text:
        return Change("fusion", parts=_fusion_parts(text))
    if _BARE.match(text):
        raise NotationError(
            f"{text!r}: without the residue of the wild type, which is checked; write it before "
            "the position, as in R97C"
        )
    start = _PLACE.match(text)
    if start is None:
        raise NotationError(
            f"{text!r}: not a change of a protein; write it like R97C, p.Arg97Cys, K23_V25del, "
            "K23_L24insRS, Q5* or 1_97::MSKGE"
        )
    first = last = _place(start, text)
    rest = text[start.end() :]
    if rest.startswith("_"):
        end = _PLACE.match(rest, 1)
        if end is None:
            raise NotationError(
                f"{text!r}: the end of the range is not a residue and a position, as in K23_V25del"
            )
        last, rest = _place(end, text), rest[end.end() :]
        if last.position <= first.position:
            raise NotationError(
                f"{text!r}: the range ends before or where it starts; exchange its ends"
            )
    return _event(text, first, last, rest)


def _place(match: re.Match[str], text: str) -> Place:
    position = int(match["position"][:9])
    if not position or len(match["position"]) > 9:
        raise NotationError(f"{text!r}: positions count from 1 to the protein's length; correct it")
    return Place(_letter(match["residue"], text), position)


def _letter(code: str, text: str) -> str:
    """The letter of a residue in one- or three-letter code, or `STOP`."""
    if code in THREE:
        return code
    if code in ONE:
        return ONE[code]
    near = difflib.get_close_matches(code, list(ONE), 1)
    hint = f"; is {near[0]} meant?" if near else ""
    raise NotationError(f"{text!r}: there is no residue {code!r}{hint}")


def _new_residues(code: str, text: str, what: str) -> str:
    """New residues in one- or three-letter code, of `what`."""
    if re.fullmatch(r"\(?\d+\)?|\[.*\]|\?", code) or not code:
        raise NotationError(
            f"{text!r}: the residues of the {what} are not written out; write them, as in "
            "K23_L24insRS"
        )
    if re.fullmatch(r"(?:[A-Z][a-z]{2})+", code):
        letters = "".join(_letter(code[at : at + 3], text) for at in range(0, len(code), 3))
    elif re.fullmatch(r"[A-Z*]+", code):
        letters = code
    else:
        raise NotationError(
            f"{text!r}: {code!r} is neither in one-letter code (RS) nor in three-letter code "
            "(ArgSer); correct it"
        )
    if STOP in letters:
        raise NotationError(
            f"{text!r}: a stop among new residues; describe the truncation as its own change (Q5*)"
        )
    for letter in letters:
        if letter not in RESIDUES:
            hint = ", or * for a stop" if letter == "X" else ""
            raise NotationError(f"{text!r}: {letter} is no residue; name a single one{hint}")
    return letters


def _event(text: str, first: Place, last: Place, rest: str) -> Change:
    """The change of the residues `first` to `last` that `rest` describes."""
    several = last is not first
    if first.residue == STOP and not rest.startswith("ext"):
        _refuse_hgvs_extension(text, rest)
        raise NotationError(
            f"{text!r}: begins at the stop; an extension is written with its residues, as in "
            "*110extQRS"
        )
    if rest == "":
        raise NotationError(f"{text!r}: says no change; write what it changes to, as in R97C")
    if rest in ("=", "?"):
        raise NotationError(f"{text!r}: describes no known change of the sequence; remove it")
    if rest == "del":
        return Change("deletion", first, last)
    if rest == "dup":
        return Change("duplication", first, last)
    for kind, word in (("delins", "delins"), ("insertion", "ins")):
        if rest.startswith(word):
            residues = _new_residues(rest[len(word) :], text, kind)
            if kind == "insertion" and last.position != first.position + 1:
                raise NotationError(
                    f"{text!r}: an insertion is between two neighbours, as in K23_L24insRS; "
                    "correct the positions, or use delins"
                )
            return Change(kind, first, last, residues)
    if rest.startswith(("del", "dup")):
        raise NotationError(
            f"{text!r}: residues after {rest[:3]!r} are not part of the notation; remove them"
        )
    if several:
        raise NotationError(
            f"{text!r}: a range takes del, dup, ins or delins; write what happens to it, as in "
            "C28_K29delinsW"
        )
    if _FRAMESHIFT.fullmatch(rest):
        return Change("frameshift", first, last)
    if "ext" in rest:
        _refuse_hgvs_extension(text, rest)
        if not rest.startswith("ext"):
            raise NotationError(
                f"{text!r}: write an extension as M1extMAS or *110extQRS, and other changes "
                "separately"
            )
        if first.residue != STOP and first.position != 1:
            raise NotationError(
                f"{text!r}: an extension is at position 1 (M1extMAS) or at the stop (*110extQRS)"
            )
        return Change("extension", first, last, _new_residues(rest[3:], text, "extension"))
    if rest in (STOP, "Ter"):
        return Change("nonsense", first, last)
    if re.fullmatch(r"[a-z].*", rest) or re.fullmatch(_CODE, rest) is None:
        raise NotationError(
            f"{text!r}: {rest!r} is no change; residues are one capital letter (R97C) or three "
            "letters (Arg97Cys)"
        )
    residues = _new_residues(rest, text, "substitution")
    if residues == first.residue:
        raise NotationError(f"{text!r}: changes a residue to itself; remove it")
    return Change("substitution", first, last, residues)


def _refuse_hgvs_extension(text: str, rest: str) -> None:
    if _HGVS_EXTENSION.fullmatch(rest):
        raise NotationError(
            f"{text!r}: HGVS tells the length of an extension and not its sequence; write the "
            "residues, as in M1extMAS or *110extQRS"
        )


def _fusion_parts(text: str) -> tuple[str | Span, ...]:
    parts: list[str | Span] = []
    for code in (part.strip() for part in text.split("::")):
        match = _RANGE.fullmatch(code)
        if match is None:
            if re.search(r"\d", code):
                raise NotationError(
                    f"{text!r}: {code!r} is no part of a fusion; write residues, a range of the "
                    "wild type (1_97), or of another protein (GFP:1_238)"
                )
            parts.append(_new_residues(code, text, "fusion"))
            continue
        first, last = int(match["first"][:9]), int(match["last"][:9])
        if not 0 < first <= last:
            raise NotationError(f"{text!r}: the range {code!r} ends before it starts; correct it")
        ends = tuple(_letter(match[end], text) if match[end] else "" for end in ("one", "two"))
        parts.append(Span(first, last, match["name"] or "", (ends[0], ends[1])))
    own = [part for part in parts if isinstance(part, Span) and not part.name]
    if not own:
        raise NotationError(f"{text!r}: has no part of the wild type, such as 1_97; add it")
    if any(one.last >= two.first for one, two in pairwise(own)):
        raise NotationError(
            f"{text!r}: the ranges of the wild type overlap or are not in its order; correct them"
        )
    return tuple(parts)


# ------------------------------------------------------------------ writing


def _written(change: Change, short: bool) -> str:
    def code(letters: str) -> str:
        return letters if short else "".join(THREE[letter] for letter in letters)

    if change.kind == "fusion":
        return "::".join(
            code(part) if isinstance(part, str) else _written_span(part, code)
            for part in change.parts
        )
    assert change.first is not None
    assert change.last is not None
    place = f"{code(change.first.residue)}{change.first.position}"
    if change.last.position != change.first.position:
        place += f"_{code(change.last.residue)}{change.last.position}"
    words = {
        "substitution": code(change.residues),
        "deletion": "del",
        "duplication": "dup",
        "insertion": f"ins{code(change.residues)}",
        "delins": f"delins{code(change.residues)}",
        "nonsense": code(STOP),
        "frameshift": "fs",
        "extension": f"ext{code(change.residues)}",
    }
    return place + words[change.kind]


def _written_span(span: Span, code: Callable[[str], str]) -> str:
    name = f"{span.name}:" if span.name else ""
    one, two = map(code, span.residues)
    return f"{name}{one}{span.first}_{two}{span.last}"
