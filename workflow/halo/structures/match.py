"""Map residues of a structure to positions in the protein's sequence."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from halo.structures.confidence import confidence_of
from halo.structures.layout import Fragment
from halo.structures.parse import Chain, StructureError

MAX_CELLS = 200_000_000  # of an alignment's matrix, one byte each
_UNKNOWN = ord("X")


@dataclass(frozen=True)
class Placed:
    """A chain with positions of its residues in a sequence.

    Attributes
    ----------
    chain
        The chain.
    rows
        int [m], residues of the chain that have a position.
    position
        int [m], their positions, ascending, from 0.
    identity
        Fraction of the chain's residues that equal the residue at their position; unknown residues
        (``X``) are not counted.
    """

    chain: Chain
    rows: np.ndarray
    position: np.ndarray
    identity: float


def place(chain: Chain, sequence: str, start: int | None = None) -> Placed:
    """Map `chain` to `sequence`.

    No alignment is needed if the chain is the sequence or a substring of it, or if its residue
    numbers are the positions. `start` is the first position (from 0) according to the source, which
    decides between several occurrences of a substring. Otherwise, a global alignment is used, and
    residues aligned to a gap have no position. Where residues are missing, there can be several
    optimal alignments: the residue numbers decide if they are as good, from 1 or shifted.
    """
    letters = np.frombuffer(chain.letters.encode("ascii"), np.uint8)
    target = np.frombuffer(sequence.encode("ascii"), np.uint8)
    everything = np.arange(len(letters))
    position: np.ndarray | None
    if start is not None and start >= 0 and sequence.startswith(chain.letters, start):
        position = np.arange(start, start + len(letters))
    else:
        position = _exact(chain, letters, sequence, target)
    rows = everything
    if position is None:
        rows, position = _aligned(chain.letters, sequence)
        rows, position = _by_numbers(chain, letters, target, rows, position)
    told = letters != _UNKNOWN
    equal = (letters[rows] == target[position]) & told[rows]
    identity = float(equal.sum() / max(told.sum(), 1))
    return Placed(chain, rows, position, identity)


def best_placed(chains: Sequence[Chain], sequence: str, start: int | None = None) -> Placed:
    """The first chain with the most identical residues to `sequence`."""
    return max(
        (place(chain, sequence, start) for chain in chains),
        key=lambda placed: placed.identity * len(placed.chain.letters),
    )


def fragment_of(placed: Placed, confidence: str) -> Fragment:
    """The mapped residues as arrays for the store.

    `confidence` is as in `halo.structures.confidence.confidence_of`.

    Raises
    ------
    StructureError
        if the file is truncated, or its confidence is not valid
    """
    if placed.chain.fault:
        raise StructureError(placed.chain.fault)
    known = confidence_of(placed.chain, confidence)
    letters = np.frombuffer(placed.chain.letters.encode("ascii"), np.uint8)
    return Fragment(
        placed.chain.coordinates[placed.rows],
        known.plddt[placed.rows].astype(np.float16),
        letters[placed.rows],
        placed.position.astype(np.uint16),
        known.remark,
    )


def _exact(
    chain: Chain, letters: np.ndarray, sequence: str, target: np.ndarray
) -> np.ndarray | None:
    """Positions without an alignment, or None."""
    if chain.letters == sequence:
        return np.arange(len(letters))
    numbered = chain.numbers.astype(np.int64) - 1
    if (
        numbered[0] >= 0
        and numbered[-1] < len(target)
        and (np.diff(numbered) > 0).all()
        and (target[numbered] == letters).all()
    ):
        return numbered
    start = sequence.find(chain.letters)
    return None if start < 0 else np.arange(start, start + len(letters))


def _by_numbers(
    chain: Chain, letters: np.ndarray, target: np.ndarray, rows: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and positions by the numbers of the residues, if as many are equal as in an alignment.

    `rows` and `position` are those of the alignment, and the result if fewer are equal. The numbers
    may be shifted by the most frequent difference to the alignment.
    """
    numbers = chain.numbers.astype(np.int64)
    if not len(rows) or (np.diff(numbers) <= 0).any():
        return rows, position
    shifts, counts = np.unique(position - numbers[rows], return_counts=True)
    aligned = (letters[rows] == target[position]).sum()
    for shift in (-1, int(shifts[counts.argmax()])):
        shifted = numbers + shift
        inside = np.flatnonzero((shifted >= 0) & (shifted < len(target)))
        if (letters[inside] == target[shifted[inside]]).sum() >= aligned:
            return inside, shifted[inside]
    return rows, position


def _aligned(letters: str, sequence: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and positions that a global alignment with affine gaps matches."""
    if len(letters) * len(sequence) > MAX_CELLS:
        raise StructureError(
            f"{len(letters):,} residues cannot be aligned to {len(sequence):,}: too long"
        )
    scoring = gemmi.AlignmentScoring()
    scoring.match, scoring.mismatch, scoring.gapo, scoring.gape = 2, -3, -5, -1
    result = gemmi.align_string_sequences(list(letters), list(sequence), [], scoring)
    rows, positions = [], []
    row = position = 0
    for count, operation in re.findall(r"(\d+)(\D)", result.cigar_str()):
        length = int(count)
        if operation == "M":
            rows.append(np.arange(row, row + length))
            positions.append(np.arange(position, position + length))
        row += length if operation in "MI" else 0
        position += length if operation in "MD" else 0
    empty = [np.empty(0, np.int64)]
    return np.concatenate(rows or empty), np.concatenate(positions or empty)
