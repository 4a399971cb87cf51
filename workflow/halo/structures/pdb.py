"""Parse PDB files: fixed columns of all backbone atoms at once, vectorized."""

import re
from collections.abc import Iterator

import numpy as np

from halo.structures.atoms import (
    CA,
    FOUR_LETTERS,
    MAX_ATOMS,
    SLOTS,
    Atoms,
    Header,
    experiment,
    one_letter,
    whole_numbers,
)

MAX_MODELS = 1000  # with atoms, that are read
_PADDING = b"\n" + b" " * 80


def read_pdb(text: bytes) -> Iterator[tuple[Atoms, Header]]:
    """The models of a PDB file that have backbone atoms.

    Raises
    ------
    ValueError
        if an atom has no coordinates; names the line
    """
    lines = _Lines(text)
    header = _header(lines)
    records = lines.records
    ends = np.flatnonzero(records == _ENDMDL)
    with_atoms = np.searchsorted(ends, np.flatnonzero((records == _ATOM) | (records == _HETA)))
    bounds = [0, *ends.tolist(), len(lines.starts)]
    for model in np.unique(with_atoms)[:MAX_MODELS].tolist():
        atoms = _atoms(lines, bounds[model], bounds[model + 1])
        if len(atoms.slot):
            yield atoms, header


class _Lines:
    """Lines of a text, with vectorized access to their columns.

    Attributes
    ----------
    text
        The text.
    starts, ends
        int [n], where each line starts and ends in it.
    records
        uint32 [n], the first four columns of each line as one number.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._padded = text + _PADDING
        self.ends = _ends(np.frombuffer(self._padded, np.uint8, len(text) + 1) == ord("\n"))
        self.starts = np.concatenate([[0], self.ends[:-1] + 1])
        self.records = self.field(self.starts, 0, "=u4")

    def field(self, starts: np.ndarray, column: int, kind: str) -> np.ndarray:
        """Content of the lines at `starts` from `column` (from 0) on, as dtype `kind`."""
        width = np.dtype(kind).itemsize
        window = np.ndarray((len(self._padded) - width + 1,), kind, self._padded, 0, (1,))
        return window[starts + column]

    def columns(self, starts: np.ndarray, first: int, width: int) -> np.ndarray:
        """uint8 [width, n], the characters of some columns, those of a column together."""
        field = self.field(starts, first, f"V{width}").view(np.uint8)
        return np.ascontiguousarray(field.reshape(-1, width).T)

    def lines(self, record: int) -> list[str]:
        """The lines of a record."""
        rows = np.flatnonzero(self.records == record)
        places = zip(self.starts[rows].tolist(), self.ends[rows].tolist(), strict=True)
        return [self.text[start:stop].decode("latin-1") for start, stop in places]


def _ends(is_end: np.ndarray) -> np.ndarray:
    """Ends of lines; in most files, all lines have the same length."""
    length = int(is_end.argmax()) + 1
    if is_end[length - 1 :: length].all() and np.count_nonzero(is_end) == len(is_end) // length:
        return np.arange(length - 1, len(is_end), length)
    return np.flatnonzero(is_end)


def _word(text: bytes) -> int:
    """Four bytes as the number that they are in memory."""
    return int(np.frombuffer(text, "=u4")[0])


_ATOM, _HETA, _SEQRES, _EXPDTA, _ENDMDL, _CRYST1 = map(
    _word, (b"ATOM", b"HETA", b"SEQR", b"EXPD", b"ENDM", b"CRYS")
)
_TER = (_word(b"TER "), _word(b"TER\n"))
# A name stands in column 14, but some programs write it from another one on.
_NAMES = [
    (_word((b" " * indent + name).ljust(4)), slot)
    for slot, name in enumerate(SLOTS)
    for indent in range(5 - len(name))
]


def _atoms(lines: _Lines, start: int, stop: int) -> Atoms:
    """The atoms of the lines from `start` to `stop`."""
    records = lines.records[start:stop]
    atom = start + np.flatnonzero((records == _ATOM) | (records == _HETA))
    if len(atom) > MAX_ATOMS:
        raise OverflowError(f"more than {MAX_ATOMS:,} atoms")
    name = lines.field(lines.starts[atom], 12, "=u4")
    slots = np.zeros(len(atom), np.uint8)
    for word, number in _NAMES:
        slots += (name == word) * np.uint8(number + 1)
    kept = np.flatnonzero(slots)
    line, slot = atom[kept], slots[kept].astype(np.int64) - 1
    starts = lines.starts[line]
    width = lines.ends[line] - starts

    axes = lines.columns(starts, 30, 24).reshape(3, 8, -1).transpose(1, 0, 2).reshape(8, -1)
    position = np.ascontiguousarray(_decimals(axes, 4).reshape(3, -1).T)
    _check_last(lines, atom)
    if not np.isfinite(position).all() or width.min(initial=54) < 54:
        bad = np.flatnonzero(~np.isfinite(position).all(axis=1) | (width < 54))
        raise ValueError(f"line {line[bad[0]] + 1}: no coordinates in columns 31 to 54")
    # Short lines have no such columns, and what stands there is of the next line.
    b_factor = np.full(len(line), np.nan)
    centre = np.flatnonzero(slot == CA)
    values = _decimals(lines.columns(starts[centre], 60, 6), 3)
    b_factor[centre] = np.where(width[centre] > 62, values, np.nan)

    # A residue goes on as long as chain, number and insertion code are the same.
    key = lines.field(starts, 19, "<u8") >> np.uint64(8)
    block = np.searchsorted(
        start + np.flatnonzero((records == _TER[0]) | (records == _TER[1])), line
    )
    new = np.ones(len(starts), bool)
    new[1:] = (key[1:] != key[:-1]) | (block[1:] != block[:-1])
    segment = None
    if ((key >> np.uint64(8) & np.uint64(0xFF)) == ord(" ")).any():
        # CHARMM names segments, not chains; entries before 1998 have their own name there.
        segment = np.where(width >= 76, lines.field(starts, 72, "S4"), b"")
        segment = None if len(set(segment.tolist())) == 1 else segment
    if segment is not None:
        new[1:] |= segment[1:] != segment[:-1]
    first = np.flatnonzero(new)
    residue = np.cumsum(new) - 1
    occupancy = np.full(len(line), np.nan)
    place = residue * len(SLOTS) + slot
    if (place[1:] <= place[:-1]).any():  # alternative locations
        values = _decimals(lines.columns(starts, 54, 6), 3)
        occupancy = np.where(width > 56, values, np.nan)
    names, chains = _names(lines, starts)
    entity = chain = _chain_names(chains[first])
    if segment is not None:
        chain = np.where(chain == "", _chain_names(segment[first]), chain)
    return Atoms(
        residue=residue,
        slot=slot,
        position=position,
        occupancy=occupancy,
        b_factor=b_factor,
        name=names,
        chain=chain,
        number=_numbers(lines, starts[first]),
        hetero=lines.records[line[first]] == _HETA,
        block=block[first],
        entity=entity,
    )


def _check_last(lines: _Lines, atom: np.ndarray) -> None:
    """Raise a ValueError if the text ends within the line of an atom."""
    last = len(lines.starts) - 1
    if lines.text.endswith(b"\n") or len(atom) < 2 or atom[-1] != last:
        return
    width = lines.ends[atom[-2:]] - lines.starts[atom[-2:]]
    if width[1] < width[0] and width[1] < 66:
        raise ValueError(f"line {last + 1}: the file ends within it")


def _names(lines: _Lines, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of residue and chain of each atom.

    The column between them is free; names of four letters take it, or chains of two.
    """
    residue, chain = lines.field(starts, 17, "S3"), lines.field(starts, 21, "S1")
    between = lines.field(starts, 20, "S1")
    used = np.flatnonzero((between != b"") & (between != b" "))
    if len(used):
        residue, chain = residue.astype("S4"), chain.astype("S2")
        long = lines.field(starts[used], 17, "S4")
        # A letter in every line is of the chain.
        four = np.isin(long, list(FOUR_LETTERS)) & (len(used) < len(starts))
        residue[used[four]] = long[four]
        chain[used[~four]] = lines.field(starts[used[~four]], 20, "S2")
    return residue, chain


def _chain_names(names: np.ndarray) -> np.ndarray:
    """str [n], without spaces."""
    texts = names.tolist()
    known = {name: name.decode("latin-1").strip() for name in set(texts)}
    if len(known) == 1:
        [name] = known.values()
        return np.full(len(texts), name, object)
    return np.array([known[name] for name in texts], object)


def _numbers(lines: _Lines, starts: np.ndarray) -> np.ndarray:
    """int64 [n], the residues' numbers; 0 where there is none."""
    values = _decimals(lines.columns(starts, 22, 4), 4)
    odd = np.flatnonzero(np.isnan(values))
    if len(odd):
        texts = lines.field(starts[odd], 22, "S4").tolist()
        values[odd] = [_hybrid36(text.strip()) for text in texts]
    return whole_numbers(values)


def _hybrid36(text: bytes) -> int:
    """A number above 9999 in four characters (cci.lbl.gov/hybrid_36); 0 where it is none."""
    if len(text) != 4 or not text.isalnum() or not text[:1].isalpha():
        return 0
    start = 10 * 36**3 if text.isupper() or text[:1].isupper() else 10 * 36**3 - 26 * 36**3
    return int(text, 36) - start + 10_000


def _decimals(columns: np.ndarray, point: int) -> np.ndarray:
    """float64 [n]: numbers in fixed columns, uint8 [width, n]; NaN where there is none.

    `point` is the column that the point usually has, the width for numbers without one.
    """
    digit = columns - np.uint8(ord("0"))  # what is below wraps around
    is_digit = digit < 10
    digit *= is_digit
    minus = columns[:point] == ord("-")
    # Spaces, perhaps a minus, digits without a gap, the point, digits.
    begun = (is_digit[:point] | minus)[:-1]
    usual = np.where(begun, is_digit[1:point], columns[: point - 1] == ord(" ")).all(axis=0)
    usual &= is_digit[point - 1]
    if point < len(columns):
        usual &= columns[point] == ord(".")
        usual &= is_digit[point + 1 :].all(axis=0)
    after = max(len(columns) - point - 1, 0)
    tens = [*range(point + after)][::-1]
    tens.insert(point, 0)  # of the point, which is no digit
    value = np.einsum("i,ij->j", np.array(10, np.int32) ** tens[: len(columns)], digit)
    # Both are whole numbers, so that the quotient is the number nearest to the decimals.
    values = value / 10.0**after
    values *= np.where(minus.any(axis=0), -1.0, 1.0)
    for row in np.flatnonzero(~usual).tolist():
        values[row] = _number(columns[:, row].tobytes())
    return values


def _number(text: bytes) -> float:
    """A number in any notation; NaN where the columns are empty, or hold something else."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def _header(lines: _Lines) -> Header:
    starts = lines.starts[lines.records == _SEQRES]
    chains = _chain_names(lines.field(starts, 10, "S2")).tolist()
    names = lines.field(starts, 19, "S51").tolist()
    room = lines.ends[lines.records == _SEQRES] - starts - 19
    for row in np.flatnonzero(room < 51).tolist():
        names[row] = names[row][: max(room[row], 0)]
    declared: dict[str, list[bytes]] = {}
    for chain, some in zip(chains, names, strict=True):
        declared.setdefault(chain, []).append(some)
    named = " ".join(line[10:].strip() for line in lines.lines(_EXPDTA))
    return Header(
        declared={name: one_letter(b" ".join(rows).split()) for name, rows in declared.items()},
        method=experiment(named, map(_cell, lines.lines(_CRYST1))),
        ended=re.search(rb"^END *$", lines.text[-400:], re.MULTILINE) is not None,
    )


def _cell(line: str) -> list[float]:
    """The edges of the unit cell in a record CRYST1, in angstrom; NaN where there is no number."""
    return [_number(line[start : start + 9].encode()) for start in (6, 15, 24)]
