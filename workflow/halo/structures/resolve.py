"""Resolve ids and sequences to the names under which sources may have a structure."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.proteins.accessions import accession_of_entry_name, accession_within, parse_accession
from halo.proteins.members import Member
from halo.structures.archive import fasta_of_archive
from halo.tables.fasta import read_fasta
from halo.text import open_text

NAME_COLUMNS = ("name", "from")
ACCESSION_COLUMNS = ("accession", "entry", "to")
MOST_NAMES = 5  # accessions per sequence; some sequences have thousands in TrEMBL


@dataclass(frozen=True)
class Name:
    """A name for the search; `how` it was resolved is as in `halo.structures.layout.Note`."""

    text: str
    how: str


@dataclass(frozen=True)
class Directory:
    """Accessions of ids and sequences.

    Attributes
    ----------
    accessions
        Accessions by id.
    sequences
        Accessions by sha256 of the sequence.
    """

    accessions: Mapping[str, list[str]]
    sequences: Mapping[str, list[str]]


def names_of(member: Member, directory: Directory) -> list[Name]:
    """Distinct names for the search, best first.

    These are the member's accessions, then those in its entry names, those of its ids in the table,
    those of its exact sequence, and finally its other ids, for folders of files with such names.
    """
    names: dict[str, str] = {}
    others = []
    for text in member.accessions:
        if (accession := accession_within(text)) is not None:
            names.setdefault(str(accession), "accession")
        if parse_accession(text) is None:
            others.append(text)
    for text in others:
        if (accession := accession_of_entry_name(text)) is not None:
            names.setdefault(str(accession), "entry name")
    for text in member.accessions:
        for mapped in directory.accessions.get(text, ()):
            names.setdefault(mapped, "table")
    for mapped in directory.sequences.get(member.seq_hash, ()):
        names.setdefault(mapped, "sequence")
    for text in others:
        names.setdefault(text, "name")
    return [Name(text, how) for text, how in names.items()]


def make_directory(
    members: Iterable[Member], names: str | None, sequences: str | None, cache: Path
) -> Directory:
    """Read the accessions of `members` from the two optional files.

    `sequences` can also be an archive (``.tar``), whose sequences are then cached in `cache`.
    """
    members = list(members)
    if not members:
        return Directory({}, {})
    ids = frozenset(text for member in members for text in member.accessions)
    return Directory(
        read_name_table(Path(names), ids) if names else {},
        find_sequences(_fasta(sequences, cache), members) if sequences else {},
    )


def _fasta(sequences: str, cache: Path) -> Path:
    path = Path(sequences)
    _check_there(path)
    return fasta_of_archive(path, cache) if path.suffix == ".tar" else path


def read_name_table(path: Path, wanted: frozenset[str]) -> dict[str, list[str]]:
    """Accessions of the ids in `wanted`, from a table, compressed or not.

    The table is a CSV or TSV with the columns ``name`` and ``accession``, the output of UniProt's
    ID mapping (``From`` and ``Entry`` or ``To``), or UniProt's ``idmapping.dat`` (accession, type
    of id, id; tab-separated, without header). Ids match with and without their version
    (``ENSP00000354587.3``).

    Raises
    ------
    HaloError
        if an id in `wanted` has no valid accession; names the line. Other lines are skipped
    """
    _check_there(path)
    accessions_of: dict[str, list[str]] = {}
    for number, name, text in _rows(path):
        known = [some for some in dict.fromkeys((name, _unversioned(name))) if some in wanted]
        if not known:
            continue
        accession = accession_within(text)
        if accession is None:
            raise HaloError(
                f"{path}: line {number}: {text!r} is no UniProt accession of {name!r}; correct "
                "it, or delete the line"
            )
        for some in known:
            accessions = accessions_of.setdefault(some, [])
            if str(accession) not in accessions and len(accessions) < MOST_NAMES:
                accessions.append(str(accession))
    return accessions_of


def _unversioned(name: str) -> str:
    return re.sub(r"\.\d+$", "", name)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, name and accession of each line but the header; ``""`` for a cell not there."""
    with open_text(path) as lines:
        first = lines.readline()
        separator = next((mark for mark in "\t;" if mark in first), ",")
        header = next(_cells([first], separator), [])
        if len(header) == 3 and parse_accession(header[0]) is not None:
            yield 1, header[2], header[0]
            name, accession = 2, 0
        else:
            lower = [cell.lower() for cell in header]
            name, accession = (
                next((lower.index(column) for column in columns if column in lower), -1)
                for columns in (NAME_COLUMNS, ACCESSION_COLUMNS)
            )
            if min(name, accession) < 0:
                raise HaloError(
                    f"{path}: neither a table with the columns name and accession (UniProt: From "
                    f"and Entry) nor UniProt's idmapping.dat; it starts with {first[:60].strip()!r}"
                )
        for number, cells in enumerate(_cells(lines, separator), start=2):
            cells += [""] * (len(header) - len(cells))
            yield number, cells[name], cells[accession]


def _cells(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The cells of each line, without quotation marks and blanks around them."""
    for line in lines:
        line = line.strip("\r\n")
        if '"' in line:
            rows = csv.reader([line], delimiter=separator, skipinitialspace=True)
            yield [cell.strip() for row in rows for cell in row]
        else:
            yield [cell.strip() for cell in line.split(separator)]


def find_sequences(path: Path, members: Iterable[Member]) -> dict[str, list[str]]:
    """Accessions of records in a FASTA file with the sequence of a member, by hash.

    Names are those of UniProt (``sp|P12345|NAME``, ``UniRef90_P12345``), AlphaFold DB
    (``AFDB:AF-P12345-F1``) or accessions; records with other names are skipped.
    """
    wanted = {member.seq_hash for member in members}
    lengths = {len(member.sequence) for member in members}
    accessions_of: dict[str, list[str]] = {}
    for record in read_fasta(path):
        name, sequence = record.id, record.sequence.upper()
        if len(sequence) not in lengths:
            continue
        seq_hash = sha256_of_text(sequence)
        if seq_hash not in wanted:
            continue
        accession = accession_within(name)
        if accession is not None and len(accessions_of.setdefault(seq_hash, [])) < MOST_NAMES:
            accessions_of[seq_hash].append(str(accession))
    return accessions_of


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise HaloError(f"{path}: there is no such file; fix structures.names or .sequences")
