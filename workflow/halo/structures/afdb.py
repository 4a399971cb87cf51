"""AlphaFold DB over HTTP: the prediction API, and the files that it names.

The names of the API's fields are those of 2025 and later; the older ones, which mirrors
still serve, are understood too (``entryId``, ``uniprotSequence`` and so on).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from halo.proteins.accessions import parse_accession
from halo.structures.parse import Chain, StructureError, parse_structure
from halo.structures.sources import Model, digest_of
from halo.structures.transport import Client

LONGEST_MODEL = 2700  # residues; longer proteins come in fragments
_ENTRY = re.compile(r"AF-(?P<accession>.+)-F(?P<fragment>\d+)")
_VERSION = re.compile(r"model_v(\d+)\.")


@dataclass(frozen=True)
class Prediction:
    """One entry of the API's reply: a model of a protein, an isoform or a fragment."""

    accession: str
    fragment: int
    version: int | None
    length: int | None
    sequence: str
    urls: tuple[str, ...]


class AlphaFoldDb:
    """The structures of AlphaFold DB, asked for one by one.

    With a `version` its files are asked for by their name pattern, without the API.
    """

    def __init__(self, client: Client, version: int | None = None) -> None:
        self._client = client
        self._base = client.settings.base_url.rstrip("/") + "/"
        self._version = version

    def find(self, name: str, sequence: str) -> Model | None:
        """See `halo.structures.sources.Source`."""
        accession = parse_accession(name)
        if accession is None:
            return None
        if self._version is not None:
            chosen = [Prediction(str(accession), 1, self._version, None, "", ())]
        else:
            url = urljoin(self._base, f"api/prediction/{accession.base}")
            entries = self._client.get(url, read_reply) or []
            chosen = choose(entries, str(accession), sequence)
        files = [found for entry in chosen if (found := self._file(entry)) is not None]
        if not files or len(files) < len(chosen):
            return None
        files += self._further_fragments(chosen[-1], files, len(sequence))
        return Model(
            accession=chosen[0].accession,
            version=files[0].version,
            sha256=digest_of(file.text for file in files),
            fragments=[file.chains for file in files],
        )

    def sequence(self, name: str) -> str | None:
        """The sequence of the accession `name`; None where there is no single model of it."""
        accession = parse_accession(name)
        if accession is None:
            return None
        url = urljoin(self._base, f"api/prediction/{accession.base}")
        entries = self._client.get(url, read_reply) or []
        own = [entry for entry in entries if entry.accession == str(accession)]
        return own[0].sequence or None if len(own) == 1 else None

    def _file(self, entry: Prediction) -> "_File | None":
        """The first of the entry's files that the server has."""
        for url in dict.fromkeys((*self._named(entry), *self._pattern(entry))):
            file = self._client.get(url, lambda text, url=url: _read_file(text, url, entry.length))
            if file is not None:
                return file
        return None

    def _named(self, entry: Prediction) -> list[str]:
        urls = []
        for url in entry.urls:
            try:
                urls.append(urljoin(self._base, url))
            except ValueError:
                continue  # no URL at all; the pattern may still lead to the file
        return urls

    def _pattern(self, entry: Prediction) -> list[str]:
        if entry.version is None:
            return []
        stem = f"files/AF-{entry.accession}-F{entry.fragment}-model_v{entry.version}"
        return [urljoin(self._base, stem + suffix) for suffix in (".cif", ".pdb")]

    def _further_fragments(
        self, last: Prediction, files: Sequence["_File"], length: int
    ) -> list["_File"]:
        """Fragments that the API does not list, of proteins too long for one model."""
        if length <= LONGEST_MODEL or not files[-1].version:
            return []
        further: list[_File] = []
        while True:
            number = last.fragment + len(further) + 1
            entry = Prediction(last.accession, number, int(files[-1].version), None, "", ())
            file = self._file(entry)
            if file is None:
                return further
            further.append(file)


@dataclass(frozen=True)
class _File:
    text: bytes
    chains: list[Chain]
    version: str


def _read_file(text: bytes, url: str, length: int | None) -> _File:
    """Parse a model; one that has fewer residues than it says itself has been cut off."""
    chains = parse_structure(text, url)
    expected = chains[0].declared or length
    if expected is not None and len(chains[0].letters) != expected:
        raise StructureError(
            f"{url}: {len(chains[0].letters)} of {expected} residues; the file is cut off"
        )
    version = _VERSION.search(url)
    return _File(text, chains, version[1] if version else "")


def read_reply(text: bytes) -> list[Prediction]:
    """Predictions of single chains in the API's reply; StructureError where it is no reply."""
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise StructureError(f"not JSON; it starts with {text[:40]!r}") from None
    if not isinstance(reply, list) or not all(isinstance(entry, dict) for entry in reply):
        raise StructureError("JSON, but not a list of predictions")
    return [prediction for entry in reply if (prediction := _prediction(entry)) is not None]


def _prediction(entry: Mapping[str, Any]) -> Prediction | None:
    """One entry; None for complexes and for what names no UniProt accession."""
    match = _ENTRY.fullmatch(_string(entry, "modelEntityId", "entryId"))
    accession = parse_accession(
        _string(entry, "uniprotAccession") or (match["accession"] if match else "")
    )
    if accession is None or entry.get("isComplex") is True:
        return None
    start = _integer(entry, "sequenceStart", "uniprotStart")
    end = _integer(entry, "sequenceEnd", "uniprotEnd")
    return Prediction(
        accession=str(accession),
        fragment=int(match["fragment"]) if match else 1,
        version=_integer(entry, "latestVersion"),
        length=end - start + 1 if start is not None and end is not None else None,
        sequence=_string(entry, "sequence", "uniprotSequence"),
        urls=tuple(filter(None, (_string(entry, "cifUrl"), _string(entry, "pdbUrl")))),
    )


def _string(entry: Mapping[str, Any], *keys: str) -> str:
    return next((entry[key] for key in keys if isinstance(entry.get(key), str)), "")


def _integer(entry: Mapping[str, Any], *keys: str) -> int | None:
    return next((entry[key] for key in keys if type(entry.get(key)) is int), None)


def choose(predictions: Sequence[Prediction], accession: str, sequence: str) -> list[Prediction]:
    """The fragments, in order, of the entry for the protein called `accession`.

    The reply lists isoforms beside the canonical entry. One that has the protein's very
    sequence is taken first, the accession's own before others; then the accession's own
    whatever its sequence, and for an isoform that is not listed the canonical entry: the
    structure's sequence decides later whether it fits.
    """
    same = [entry for entry in predictions if entry.sequence == sequence]
    own = [entry for entry in predictions if entry.accession == accession]
    canonical = [entry for entry in predictions if entry.accession == accession.partition("-")[0]]
    found = [entry for entry in own if entry in same] or same or own or canonical
    mine = {entry.fragment: entry for entry in found if entry.accession == found[0].accession}
    return [mine[fragment] for fragment in sorted(mine)]
