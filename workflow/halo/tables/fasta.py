"""The reader of FASTA files, used by every stage."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from halo.errors import HaloError
from halo.text import open_text

COMMENTS = (";", "#")  # first characters of comment lines
SHOWN = 60  # letters of a line in a message
# Invisible characters that are no white space: byte-order marks (in concatenated files), characters
# of zero width, and the end-of-file character of DOS.
UNSEEN = "\ufeff\u200b\u2060\x1a"
_PIR = re.compile(r">(?:P1|F1|D[LC]|R[LC]|N[13]|XX);")
_KEY_VALUE = re.compile(r"(?:^|\s)([A-Za-z_]\w*)=(.*?)(?=\s+[A-Za-z_]\w*=|$)")
# DeepLoc's and Light Attention's headers: location, then membrane, soluble or unknown.
_DEEPLOC = re.compile(r"(?P<location>\S+)-(?P<membrane>[MSU])(?:\s+(?P<set>test))?")


@dataclass(frozen=True)
class FastaRecord:
    """A record of a FASTA file.

    Attributes
    ----------
    id
        The header up to the first blank; empty if the header is empty.
    description
        The rest of the header.
    sequence
        The sequence without white space.
    line
        Line number of the header, from 1.
    """

    id: str
    description: str
    sequence: str
    line: int

    @property
    def header(self) -> str:
        """The whole header, without the ``>``."""
        return f"{self.id} {self.description}".strip()


def read_fasta(path: Path) -> Iterator[FastaRecord]:
    """Iterate over the records of a FASTA file; see `halo.text.open_text`."""
    with open_text(path) as lines:
        yield from fasta_records(lines, path)


def is_fasta(lines: Iterable[str]) -> bool:
    """Whether the first line that is neither blank nor a comment is a FASTA header."""
    for line in lines:
        text = _stripped(line)
        if text and not text.startswith(COMMENTS):
            return text.startswith(">")
    return False


def fasta_records(lines: Iterable[str], path: Path | str) -> Iterator[FastaRecord]:
    """Iterate over the records in the `lines` of a FASTA file; see `fasta_blocks`."""
    for number, name, description, parts in fasta_blocks(lines, path):
        yield FastaRecord(name, description, "".join(parts), number)


def fasta_blocks(
    lines: Iterable[str], path: Path | str
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Line number, id and description of each header, and the lines below it without white space.

    Blank lines and comments are skipped; `path` is for messages.

    Raises
    ------
    HaloError
        for text before the first header, a header that does not begin its line, and the PIR
        format; names the line
    """
    header: tuple[int, str, str] | None = None
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = _stripped(line)
        if text.startswith(">"):
            if _PIR.match(text):
                raise HaloError(
                    f"{path}: line {number} is in PIR format, in which the line after a header "
                    "is a title; convert the file to FASTA"
                )
            if header is not None:
                yield *header, parts
            name, _, description = text[1:].strip().replace("\t", " ").partition(" ")
            header, parts = (number, name, description.strip()), []
        elif text and not text.startswith(COMMENTS):
            if header is None:
                raise HaloError(
                    f"{path}: line {number} is before the first FASTA header; "
                    "begin every record with a line '>id'"
                )
            if ">" in text:
                after = text[text.index(">") :][:SHOWN]
                raise HaloError(
                    f"{path}: line {number}: a line end is missing before {after!r}, as where "
                    "files were joined of which one does not end with a line end; add it"
                )
            parts.append("".join(text.split()))
    if header is not None:
        yield *header, parts


def _stripped(line: str) -> str:
    return line.strip().strip(UNSEEN).strip()


def header_fields(
    records: Sequence[FastaRecord],
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Parse the descriptions of records into named fields.

    Fields are ``KEY=value`` pairs, as biotrainer (``TARGET=Nucleus SET=train``) and UniProt
    (``OX=9606``) write them. If all descriptions are DeepLoc's (``Cell.membrane-M test``), the
    fields are location, membrane and set.

    Returns
    -------
    The fields of each record, and the fields that are in none of them since a header is wrong,
    with the line and the fix.
    """
    matches = [_DEEPLOC.fullmatch(record.description) for record in records]
    found = [match for match in matches if match]
    if found and len(found) == len(records):
        return [match.groupdict() | {"set": match["set"] or "train"} for match in found], {}
    pairs = [_KEY_VALUE.findall(record.description) for record in records]
    faults = _repeated(records, pairs)
    fields = [{key: value for key, value in own if key not in faults} for own in pairs]
    if 2 * len(found) > len(records):
        fault = _first_other(records, matches)
        there = {name for values in fields for name in values}
        faults = {name: fault for name in _DEEPLOC.groupindex if name not in there} | faults
    return fields, faults


def _repeated(
    records: Iterable[FastaRecord], pairs: Iterable[Iterable[tuple[str, str]]]
) -> dict[str, str]:
    """The keys that a header has with different values, with the line and the fix."""
    faults: dict[str, str] = {}
    for record, own in zip(records, pairs, strict=True):
        first: dict[str, str] = {}
        for key, value in own:
            if first.setdefault(key, value) != value:
                faults.setdefault(
                    key,
                    f"line {record.line}: the header of {record.id} has {key}={first[key]} and "
                    f"{key}={value}; keep one, or write several labels as one value "
                    "(dataset.labels.separator)",
                )
    return faults


def _first_other(records: Sequence[FastaRecord], matches: Sequence[re.Match[str] | None]) -> str:
    """The first header that is not DeepLoc's, where most are, with the line and the fix."""
    found = [match[0] for match in matches if match]
    other = records[matches.index(None)]
    return (
        f"line {other.line}: the header {other.header[:SHOWN]!r} does not end as {len(found):,} of "
        f"{len(records):,} do, such as {found[0]!r}: location, and M, S or U; correct it"
    )
