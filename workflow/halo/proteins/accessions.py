"""Recognize and parse UniProt accessions and entry names."""

import re
from dataclasses import dataclass

# https://www.uniprot.org/help/accession_numbers
_BASE = r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2}"
_ACCESSION = re.compile(rf"(?P<base>{_BASE})(?:-(?P<isoform>[1-9][0-9]{{0,3}}))?", re.ASCII)
# https://www.uniprot.org/help/entry_name: up to 5 characters in Swiss-Prot, the accession
# in TrEMBL, then the species.
_ENTRY_NAME = re.compile(r"(?P<protein>[A-Z0-9]{1,10})_[A-Z0-9]{3,5}", re.ASCII)
_FASTA_NAME = re.compile(r"(?:sp|tr)\|(?P<accession>[^|\s]*)(?:\||$)", re.ASCII)
# Forms of accessions in other databases and programs; case is ignored.
_FORMS = [
    re.compile(
        form.format(accession=rf"(?P<accession>(?:{_BASE})(?:-[1-9][0-9]{{0,3}})?)"), re.I | re.A
    )
    for form in (
        r"{accession}(?:\.[0-9]+)?",
        r"(?:uniprot|uniprotkb|uniprot/swiss-prot|uniprot/trembl|up|sp|tr|swissprot|trembl)[:|]"
        r"{accession}(?:\.[0-9]+)?(?:\|.*)?",
        r"UniRef(?:50|90|100)_{accession}",
        r"(?:AFDB:)?AF-{accession}-F[0-9]+(?:[-_].*)?",
    )
]


@dataclass(frozen=True)
class Accession:
    """A UniProt accession, with the number of the isoform if it names one."""

    base: str
    isoform: int | None = None

    def __str__(self) -> str:
        return self.base if self.isoform is None else f"{self.base}-{self.isoform}"


def parse_accession(text: str) -> Accession | None:
    """Parse `text` as an accession; None if it is not one.

    Accepts ``P12345``, ``P12345-2`` and the names of UniProt's FASTA files
    (``sp|P12345|NAME_HUMAN``), and nothing else: a parsed accession is safe in a URL and in a
    file name.
    """
    text = text.strip()
    if fasta := _FASTA_NAME.match(text):
        text = fasta["accession"]
    match = _ACCESSION.fullmatch(text)
    if match is None:
        return None
    return Accession(match["base"], int(match["isoform"]) if match["isoform"] else None)


def accession_within(text: str) -> Accession | None:
    """The accession contained in an id of UniProt or of a derived database; None if there is none.

    In addition to the forms of `parse_accession`, accepts lower case, ``P12345.1`` (with the
    version of the sequence), ``UniProtKB:P12345``, ``UniRef90_P12345``, ``AF-P12345-F1`` with any
    suffix, and ``AFDB:AF-P12345-F1``.
    """
    text = text.strip()
    if (accession := parse_accession(text)) is not None:
        return accession
    for form in _FORMS:
        if match := form.fullmatch(text):
            return parse_accession(match["accession"].upper())
    return None


def is_entry_name(text: str) -> bool:
    """Whether `text` has the form of a UniProt entry name, like ``P53_HUMAN``."""
    return _ENTRY_NAME.fullmatch(text.strip()) is not None


def accession_of_entry_name(text: str) -> Accession | None:
    """The accession in a TrEMBL entry name (``A0A024R2Q3_HUMAN``), or None.

    Entry names of Swiss-Prot (``P53_HUMAN``) do not contain the accession.
    """
    match = _ENTRY_NAME.fullmatch(text.strip())
    return parse_accession(match["protein"]) if match else None
