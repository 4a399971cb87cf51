"""Read lists of UniProt accessions in common formats."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from halo.errors import HaloError
from halo.proteins.accessions import accession_of_entry_name, is_entry_name, parse_accession

COMMENTS = ("#", ";")
# Names of a column with accessions, in lower case; the first one in a table is used.
HEADERS = (
    "accession", "accessions", "entry", "uniprot", "uniprotkb", "uniprot accession", "uniprot_id",
    "uniprot id", "uniprot_accession", "uniprotkb accession", "acc", "ac", "id", "ids",
    "identifier", "protein", "protein_id", "protein id", "from",
)  # fmt: skip
SEQUENCES = ("sequence", "sequences", "seq", "protein_sequence", "protein sequence")
SHORTEST_SEQUENCE = 20  # letters; shorter words are not considered sequences
_AROUND = "\"'`()[]<>{}\ufeff\u200b"
_BULLET = re.compile(r"\s*(?:\d+[.)]|[-*\u2022])\s+")  # before an item of a list
_SEPARATORS = re.compile(r"[,;\s]+")
_PREFIX = re.compile(
    r"^(?:https?://\S*/(?:uniprotkb|uniprot|entry)/|uniprot(?:kb)?(?:/swiss-prot|/trembl)?[:_]|"
    r"up:|AFDB:)",
    re.IGNORECASE,
)
_MODEL = re.compile(r"AF-(?P<accession>[A-Z0-9-]+?)-F\d+(?:-.*)?", re.IGNORECASE)
_VERSION = re.compile(r"(?P<accession>[A-Z0-9]+)\.\d{1,3}", re.IGNORECASE)
_SUFFIX = re.compile(r"(?:/entry|\.(?:fasta|txt|xml|json|rdf))$", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """An entry of a list: line, text, and accession (empty if the text is not one)."""

    line: int
    text: str
    accession: str

    @property
    def fault(self) -> tuple[str, str]:
        """Why the entry cannot be used, and the fix."""
        if is_entry_name(self.text.upper()):
            return "a UniProt entry name", "give its accession: uniprot.org/id-mapping has it"
        return "no UniProt accession", "correct or remove it"


def accession_of(text: str) -> str:
    """The accession that `text` contains; ``""`` if there is none.

    In addition to the forms of `parse_accession`: lower case, quotation marks, a version
    (``P12345.2``), ``UniProtKB:P12345``, UniProt URLs, names of AlphaFold DB models, and entry
    names of TrEMBL, which contain the accession.
    """
    text = _SUFFIX.sub("", _PREFIX.sub("", text.strip(_AROUND)))
    for pattern in (_MODEL, _VERSION):
        match = pattern.fullmatch(text)
        text = match["accession"] if match else text
    if "|" not in text:
        text = text.upper()
    accession = parse_accession(text) or accession_of_entry_name(text)
    return str(accession) if accession else ""


def find_list(path: Path | str, lines: Iterable[str]) -> list[Entry] | None:
    """The entries of a list of accessions; None if `lines` are something else.

    Blank lines, comments and a header are skipped. Accessions in a line are separated by commas,
    semicolons or blanks. Words after the only accession of a line are a remark; beside several,
    each other word is an entry that cannot be used.

    Raises
    ------
    HaloError
        for sequences without names, and for lists of other ids
    """
    content = [
        (number, text)
        for number, line in enumerate(lines, start=1)
        if (text := line.strip()) and not text.startswith(COMMENTS)
    ]
    if not content or content[0][1].startswith(">") or _is_header(content[0][1]):
        return None
    _refuse_sequences(path, content)
    if content[0][1].strip(_AROUND).lower() in HEADERS:
        content = content[1:]
    entries = [entry for number, text in content for entry in _entries(number, text)]
    known = [entry for entry in entries if entry.accession or is_entry_name(entry.text)]
    if entries and not known and all(len(_SEPARATORS.split(text)) == 1 for _, text in content):
        raise HaloError(
            f"{path}: neither a FASTA nor a list of UniProt accessions: line {entries[0].line} is "
            f"{entries[0].text!r}; uniprot.org/id-mapping has the accessions of other ids"
        )
    # The first words of a table without a header are mostly not accessions.
    named = known and (known[0] is entries[0] or 2 * len(known) > len(entries))
    return entries if named else None


def _is_header(text: str) -> bool:
    """Whether a line is the header of a table, and not the only entry of a list."""
    fields = [field.strip().strip(_AROUND).lower() for field in re.split(r"[,;\t|]", text)]
    return bool({*SEQUENCES} & {*fields}) or (len(fields) > 1 and bool({*HEADERS} & {*fields}))


def _entries(line: int, text: str) -> list[Entry]:
    split = _SEPARATORS.split(_BULLET.sub("", text, count=1) if _BULLET.match(text) else text)
    words = [part for word in split for part in _joined(word) if part.strip(_AROUND)]
    entries = [Entry(line, word.strip(_AROUND), accession_of(word)) for word in words]
    ids = [entry for entry in entries if entry.accession or is_entry_name(entry.text)]
    several = len({entry.accession for entry in entries if entry.accession}) > 1
    if several or len(ids) == len(entries):
        return entries
    return entries[:1] if entries[0] in ids else [Entry(line, text, "")]


def _joined(word: str) -> list[str]:
    """The accessions joined by ``|`` in a word, or the word itself (``sp|P12345|NAME``)."""
    parts = word.split("|")
    return parts if all(accession_of(part) for part in parts) else [word]


def _refuse_sequences(path: Path | str, content: Sequence[tuple[int, str]]) -> None:
    number, text = content[0]
    words = text.rstrip("*").split()
    letters = "".join(words)
    if len(letters) < SHORTEST_SEQUENCE:
        return
    if letters.isalpha() and letters.isascii() and (len(words) == 1 or letters.isupper()):
        raise HaloError(
            f"{path}: line {number} is a sequence without a name; write a line '>name' before "
            "each sequence"
        )
    fields = [field.strip(_AROUND) for field in re.split(r"[,;\t]", text)]
    if any(len(f) >= SHORTEST_SEQUENCE and f.isalpha() and f.isupper() for f in fields[1:]):
        raise HaloError(
            f"{path}: line {number} has a sequence instead of a header; begin the table with a "
            "line that names its columns: id,sequence"
        )
