"""Read the regions that a user gives, check them, and assign them to the proteins of the run."""

import difflib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.proteins.identifiers import matched
from halo.proteins.settings import RegionsSettings
from halo.regions.table import OUTSIDE, UNKNOWN, Regions, runs_of
from halo.tables.fasta import fasta_blocks
from halo.tables.readers import FASTA, LINE, read_records, require_columns
from halo.text import open_text

log = logging.getLogger(__name__)

SHOWN = 5  # faults in a message
SHOWN_LETTERS = 40  # of a value
POSITION = re.compile(r"[-+]?[0-9]{1,9}")
MOST_KINDS = 100  # targets are int8


@dataclass(frozen=True)
class Row:
    """A row of the user's table: line, id as given, first and last residue, kind."""

    line: int
    id: str
    start: str
    end: str
    kind: str


def read_user_regions(path: Path, settings: RegionsSettings, proteins: pd.DataFrame) -> Regions:
    """Regions of the proteins of a run.

    Parameters
    ----------
    path : table or FASTA of the user, see `RegionsSettings`
    settings : its columns and kinds
    proteins : columns ``id``, ``accession`` and ``sequence``

    Raises
    ------
    HaloError
        with the file, the line and the fix: for positions that are no numbers, below 1, beyond the
        sequence, or in the wrong order; for unknown kinds, overlapping regions, letters that do not
        fit the sequence, and if no protein of the run is in the file
    """
    records = read_records(path)
    if records.attrs.get(FASTA):
        return _from_fasta(path, settings, proteins)
    names = {key: getattr(settings, key) for key in ("id", "start", "end", "kind")}
    require_columns(path, records, {f"dataset.regions.{key}": name for key, name in names.items()})
    columns = [LINE, *names.values()]
    rows = [Row(*values) for values in records[columns].itertuples(index=False)]
    return _from_rows(path, rows, settings, proteins)


def _from_rows(
    path: Path, rows: Sequence[Row], settings: RegionsSettings, proteins: pd.DataFrame
) -> Regions:
    own = _own_ids([row.id for row in rows], proteins, path)
    lengths = dict(zip(proteins["id"], proteins["sequence"].str.len(), strict=True))
    kinds = settings.kinds or _kinds_of((row.kind for row in rows), settings)
    faults: list[str] = []
    targets: dict[str, np.ndarray] = {}
    lines: dict[str, np.ndarray] = {}  # line that a residue's region is from
    first_of: dict[int, tuple[str, slice, int]] = {}
    default = OUTSIDE if settings.outside == "none" else UNKNOWN
    for row in rows:
        name = own.get(row.id)
        if name is None:
            continue
        length = lengths[name]
        target = targets.setdefault(name, np.full(length, default, dtype=np.int8))
        line_of = lines.setdefault(name, np.zeros(length, dtype=np.int64))
        number = _number_of(row.kind, kinds, settings)
        if number is None:
            faults.append(f"line {row.line}: {_unknown_kind(row.kind, kinds)}")
            continue
        if number == OUTSIDE and not row.start and not row.end:
            free = line_of == 0
            target[free] = OUTSIDE
            continue
        span = _span(row, name, length)
        if isinstance(span, str):
            faults.append(f"line {row.line}: {span}")
            continue
        taken = line_of[span]
        if taken.any():
            first = int(taken[taken > 0][0])
            if first_of[first] != (name, span, number):  # the same region twice is no fault
                faults.append(
                    f"line {row.line}: the region of {row.id} from {row.start} to {row.end} "
                    f"overlaps that of line {first}; a residue is in one region at most"
                )
            continue
        first_of[row.line] = (name, span, number)
        target[span], line_of[span] = number, row.line
    _raise(path, faults)
    return _regions(kinds, targets)


def _span(row: Row, name: str, length: int) -> slice | str:
    """The residues of a row, or what is wrong with them."""
    for field, value in (("start", row.start), ("end", row.end)):
        if not POSITION.fullmatch(value):
            return (
                f"the {field} of the region of {row.id} is {value[:SHOWN_LETTERS]!r}, not a whole "
                "number; correct it, or list the kind in dataset.regions.none if it means that "
                "there is no region"
            )
    start, end = int(row.start), int(row.end)
    if start < 1:
        return (
            f"the region of {row.id} starts at residue {start}, but residues are counted from 1; "
            "if all positions are counted from 0, add 1 to each start"
        )
    if end < start:
        return (
            f"the region of {row.id} ends at residue {end}, before its start, {start}; correct "
            "the row"
        )
    if end > length:
        return (
            f"the region of {row.id} ends at residue {end}, but the protein {name} has {length:,}; "
            "correct the row, or the sequence, which may be another isoform"
        )
    return slice(start - 1, end)


def _records_with_letters(path: Path) -> Iterator[tuple[int, str, str, str | None]]:
    """Line, id, sequence and letters of each record of a FASTA; None if they do not fit.

    The first half of a record's lines is the sequence, the second half the letters.
    """
    with open_text(path) as file:
        for number, name, _, lines in fasta_blocks(file, path):
            half = len(lines) // 2
            sequence, letters = "".join(lines[:half]), "".join(lines[half:])
            fits = len(lines) % 2 == 0 and len(sequence) == len(letters) > 0
            yield number, name, sequence.upper(), letters if fits else None


def _from_fasta(path: Path, settings: RegionsSettings, proteins: pd.DataFrame) -> Regions:
    """Regions of a FASTA whose records have as many lines of letters as of the sequence."""
    records = list(_records_with_letters(path))
    own = _own_ids([given for _, given, _, _ in records], proteins, path)
    sequence_of = dict(zip(proteins["id"], proteins["sequence"], strict=True))
    letters = settings.letters or {}
    faults: list[str] = []
    annotated: list[tuple[int, str, str]] = []
    for line, given, sequence, states in records:
        name = own.get(given)
        if name is None:
            continue
        if states is None:
            faults.append(
                f"line {line}: {given} does not have a line of letters, one for each residue, "
                "after its sequence"
            )
        elif not sequence_of[name].startswith(sequence):
            place = next(
                (i for i, (a, b) in enumerate(zip(sequence, sequence_of[name], strict=False))
                 if a != b), len(sequence_of[name]),
            )  # fmt: skip
            faults.append(
                f"line {line}: the sequence of {given} is not the beginning of that of {name} in "
                f"the run; they differ at residue {place + 1}"
            )
        else:
            annotated.append((line, name, states))
    used = dict.fromkeys(letter for _, _, states in annotated for letter in states)
    kinds = settings.kinds or _kinds_of((letters.get(x, x) for x in used), settings)
    number_of = {}
    for letter in used:
        kind = letters.get(letter, letter)
        outside = letter in settings.none or kind in settings.none
        unknown = letter in settings.unknown or kind in settings.unknown
        number = OUTSIDE if outside else UNKNOWN if unknown else _number_of(kind, kinds, settings)
        if number is None:
            line = next(line for line, _, states in annotated if letter in states)
            faults.append(f"line {line}: {_unknown_kind(kind, kinds)}")
        else:
            number_of[letter] = number
    _raise(path, faults)
    targets: dict[str, np.ndarray] = {}
    for line, name, states in annotated:
        # What is beyond the letters was not looked at.
        target = np.full(len(sequence_of[name]), UNKNOWN, dtype=np.int8)
        target[: len(states)] = [number_of[letter] for letter in states]
        if name in targets and not np.array_equal(targets[name], target):
            faults.append(f"line {line}: {name} is there before, with other letters; keep one")
        targets[name] = target
    _raise(path, faults)
    return _regions(kinds, targets)


def _own_ids(given: Sequence[str], proteins: pd.DataFrame, path: Path) -> dict[str, str]:
    """The protein of the run of each id in the user's file: by id, else by accession."""
    firsts = {name: name.partition("|")[0] for name in given}
    wanted = dict.fromkeys([*given, *firsts.values()])
    by_id = matched(proteins["id"].tolist(), wanted, str(path))
    accessions = proteins.loc[proteins["accession"] != "", ["accession", "id"]]
    accessions = accessions.drop_duplicates("accession", keep=False)
    id_of = dict(zip(accessions["accession"], accessions["id"], strict=True))
    own = {}
    for name, first in firsts.items():
        candidates = (by_id.get(name), id_of.get(name), by_id.get(first), id_of.get(first))
        protein = next(filter(None, candidates), None)
        if protein is not None:
            own[name] = protein
    if not own:
        example = given[0] if given else "none"
        raise HaloError(
            f"{path}: none of its {len(firsts):,} ids, such as {example!r}, is the id or accession "
            f"of a protein of the run, such as {proteins['id'].iat[0]!r}; name the column of the "
            "ids in dataset.regions.id"
        )
    others = len(firsts) - len(own)
    log.info(
        "%s: regions of %s proteins of the run; %s are not in it",
        *(path, f"{len(set(own.values())):,}", f"{others:,}"),
    )
    return own


def _kinds_of(kinds: Iterable[str], settings: RegionsSettings) -> tuple[str, ...]:
    """All kinds in a file, sorted."""
    return tuple(sorted(set(kinds) - {""} - set(settings.none) - set(settings.unknown)))


def _number_of(kind: str, kinds: Sequence[str], settings: RegionsSettings) -> int | None:
    """The target of a kind; None if it is not one of `kinds`."""
    if kind in settings.none:
        return OUTSIDE
    if kind in settings.unknown:
        return UNKNOWN
    return list(kinds).index(kind) + 1 if kind in kinds else None


def _unknown_kind(kind: str, kinds: Sequence[str]) -> str:
    if not kind:
        return (
            "there is no kind of region; write it, or remove the row (a protein without regions is "
            "stated by a kind of dataset.regions.none)"
        )
    close = difflib.get_close_matches(kind, list(kinds), n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return (
        f"{kind!r} is none of the kinds {', '.join(kinds)}{hint}; correct it, or add it to "
        "dataset.regions.kinds, none or unknown"
    )


def _raise(path: Path, faults: Sequence[str]) -> None:
    if faults:
        more = f" (and {len(faults) - SHOWN:,} more)" if len(faults) > SHOWN else ""
        raise HaloError(f"{path}: " + "; ".join(faults[:SHOWN]) + more)


def _regions(kinds: Sequence[str], targets: Mapping[str, np.ndarray]) -> Regions:
    if not kinds:
        raise HaloError(
            "dataset.regions: the file has no kind of region other than those of none and "
            "unknown; name others there"
        )
    if len(kinds) > MOST_KINDS:
        raise HaloError(
            f"dataset.regions: {len(kinds)} kinds of regions, more than {MOST_KINDS}; name those "
            "to learn in kinds, and the others in unknown"
        )
    names = ("", *kinds)
    return Regions(tuple(kinds), {name: runs_of(t, names) for name, t in targets.items()})
