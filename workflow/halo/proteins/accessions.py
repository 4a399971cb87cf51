"""UniProt accessions and entry names: told apart from other ids, and taken to pieces."""

import re
from dataclasses import dataclass

# https://www.uniprot.org/help/accession_numbers
_BASE = r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2}"
_ACCESSION = re.compile(rf"(?P<base>{_BASE})(?:-(?P<isoform>[1-9][0-9]{{0,3}}))?", re.ASCII)
# https://www.uniprot.org/help/entry_name: up to 5 characters in Swiss-Prot, the accession
# in TrEMBL, then the species.
_ENTRY_NAME = re.compile(r"(?P<protein>[A-Z0-9]{1,10})_[A-Z0-9]{3,5}", re.ASCII)
_FASTA_NAME = re.compile(r"(?:sp|tr)\|(?P<accession>[^|\s]*)(?:\||$)", re.ASCII)


@dataclass(frozen=True)
class Accession:
    """A UniProt accession, with the number of the isoform where one is named."""

    base: str
    isoform: int | None = None

    def __str__(self) -> str:
        return self.base if self.isoform is None else f"{self.base}-{self.isoform}"


def parse_accession(text: str) -> Accession | None:
    """The accession that `text` is, or None.

    Understands ``P12345``, ``P12345-2`` and the names of UniProt's FASTA files
    (``sp|P12345|NAME_HUMAN``). Anything else is none, so a parsed accession is safe in a
    URL and in a file name.
    """
    text = text.strip()
    if fasta := _FASTA_NAME.match(text):
        text = fasta["accession"]
    match = _ACCESSION.fullmatch(text)
    if match is None:
        return None
    return Accession(match["base"], int(match["isoform"]) if match["isoform"] else None)


def is_entry_name(text: str) -> bool:
    """Whether `text` has the form of a UniProt entry name, like ``P53_HUMAN``."""
    return _ENTRY_NAME.fullmatch(text.strip()) is not None


def accession_of_entry_name(text: str) -> Accession | None:
    """The accession inside of a TrEMBL entry name (``A0A024R2Q3_HUMAN``), or None.

    Entry names of Swiss-Prot (``P53_HUMAN``) do not tell the accession.
    """
    match = _ENTRY_NAME.fullmatch(text.strip())
    return parse_accession(match["protein"]) if match else None
