"""The interface of structure sources."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from halo.proteins.accessions import parse_accession
from halo.structures.parse import Chain


@dataclass(frozen=True)
class Model:
    """A structure from a source, before the comparison with the protein.

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
    starts
        Where in the sequence each fragment begins, from 0, as the source tells; None, or
        nothing at all, where it does not.
    places
        Path or address of each fragment, for messages.
    contacts, length
        For sources that have contacts alone: uint16 [n, 2], positions i < j, and the
        length of the protein that they are of.
    remark
        What is to be said of it.
    """

    accession: str
    version: str
    sha256: str
    fragments: Sequence[Sequence[Chain]] = ()
    starts: Sequence[int | None] = ()
    places: Sequence[str] = ()
    contacts: np.ndarray | None = None
    length: int = 0
    remark: str = ""


class Source(Protocol):
    """A source of structures; its methods are called from many threads."""

    def candidates(self, name: str, sequence: str) -> Iterable[Callable[[], Model]]:
        """Ways to read the structures of the protein called `name`, the preferred one first.

        StructureError from one of them means that this structure cannot be used;
        `halo.structures.transport.FetchError`, also from here, that the search itself has
        failed. `sequence` is there for sources that have several structures under one name.
        """

    def not_asked(self, names: Iterable[str]) -> str:
        """Why none of `names` can be asked for here; ``""`` where one can."""

    def state(self, names: Iterable[str]) -> str:
        """What changes with the files that are there under `names`; ``""`` where there are none."""


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
