"""What the sources of structures have in common."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from halo.proteins.accessions import parse_accession
from halo.structures.parse import Chain


@dataclass(frozen=True)
class Model:
    """A structure as a source has it, not yet compared with the protein.

    Attributes
    ----------
    accession
        Name under which the source has it.
    version
        Version of the model, ``""`` where the source does not tell.
    sha256
        Digest of the text; of several fragments, of their digests.
    fragments
        The protein chains of each fragment, in the order of the sequence.
    contacts, length
        For sources that have contacts alone: uint16 [n, 2], positions i < j, and the
        length of the protein that they are of.
    """

    accession: str
    version: str
    sha256: str
    fragments: Sequence[Sequence[Chain]] = ()
    contacts: np.ndarray | None = None
    length: int = 0


class Source(Protocol):
    """A place to look for structures; `find` is called from many threads."""

    def find(self, name: str, sequence: str) -> Model | None:
        """The structure of the protein called `name`, or None where there is none.

        HaloError where the search itself fails. `sequence` is there for sources that
        have several structures under one name.
        """


def names_to_try(name: str) -> list[str]:
    """`name` and, for an isoform, the accession of its protein: the comparison will tell."""
    accession = parse_accession(name)
    if accession is None:
        return [name]
    return list(dict.fromkeys((str(accession), accession.base)))


def digest_of(texts: Iterable[bytes]) -> str:
    """sha256 of a text; of several, the one of their digests, one after the other."""
    digests = [hashlib.sha256(text).hexdigest() for text in texts]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
