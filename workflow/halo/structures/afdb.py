"""Client of AlphaFold DB: the prediction API and the model files.

Field names of the API are those of 2025 and later; the older ones, which mirrors still serve, are
supported as well (``entryId``, ``uniprotSequence`` and others).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urljoin

from halo.proteins.accessions import Accession, parse_accession
from halo.structures.parse import Chain, StructureError, parse_structure
from halo.structures.sources import Model, digest_of
from halo.structures.transport import Client, FetchError

LONGEST_MODEL = 2700  # residues; longer proteins come in fragments
PROVIDERS = ("", "GDM")  # AlphaFold DB's own models: those of Google DeepMind, or unspecified
_ENTRY = re.compile(r"AF-(?P<accession>.+)-F(?P<fragment>\d+)")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)  # in a URL
_VERSION = re.compile(r"model_v(\d+)\.")


@dataclass(frozen=True)
class Prediction:
    """One record of the API: a model of a protein, an isoform, or a fragment.

    Attributes
    ----------
    entry
        Name of the model in the database, as in the names of its files.
    accession
        Accession of the protein.
    provider
        Provider of the model; ``""`` if unspecified.
    fragment
        Number of the fragment, from 1, if the entry's name has one.
    start, end
        First and last residue of the protein in the model, from 1; None if unspecified.
    version
        Latest version.
    sequence
        Sequence of the model; ``whole`` is that of the protein, if the record has it.
    urls
        URLs of the files, mmCIF first.
    """

    entry: str
    accession: str
    provider: str
    fragment: int
    start: int | None
    end: int | None
    version: int | None
    sequence: str
    whole: str
    urls: tuple[str, ...]

    @property
    def length(self) -> int | None:
        """Number of residues of the model, if known."""
        if self.start is None or self.end is None:
            return None
        return self.end - self.start + 1


class AlphaFoldDb:
    """Structures of AlphaFold DB, requested one by one.

    With a `version`, files are requested by their name pattern, without the API.
    """

    def __init__(self, client: Client, version: int | None = None) -> None:
        self._client = client
        self._base = client.settings.base_url.rstrip("/") + "/"
        self._version = version

    def candidates(self, name: str, sequence: str) -> Iterator[Callable[[], Model]]:
        """See `halo.structures.sources.Source`."""
        model = self.find(name, sequence)
        if model is not None:
            yield lambda: model

    def not_asked(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        names = list(names)
        if any(map(parse_accession, names)):
            return ""
        of = f"{names[0]!r} is none" if names else "the protein has no id that could be one"
        return f"AlphaFold DB was not asked, which knows UniProt accessions: {of}"

    def state(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        return ""

    def find(self, name: str, sequence: str) -> Model | None:
        """The structure of the protein `name`; None if the server has none.

        Raises
        ------
        FetchError
            if a listed structure is not available
        """
        accession = parse_accession(name)
        if accession is None:
            return None
        if self._version is not None:
            return self._by_pattern(str(accession), sequence)
        chosen = choose(self._records(accession), str(accession), sequence)
        if not chosen:
            return None
        files = []
        for record in chosen:
            file = self._file(record)
            if file is None:
                raise FetchError(
                    f"{self._base}: AlphaFold DB lists the model {record.entry}, but has none of "
                    f"its files ({', '.join(self._places(record)) or 'the record names none'})"
                )
            files.append(file)
        starts = [record.start and record.start - 1 for record in chosen]
        further = self._further_fragments(chosen[-1], files, len(sequence))
        others = {record.provider for record in chosen} - set(PROVIDERS)
        return Model(
            accession=chosen[0].accession,
            version=files[0].version,
            sha256=digest_of(file.text for file in (*files, *further)),
            fragments=[file.chains for file in (*files, *further)],
            starts=[*starts, *[None] * len(further)],
            places=[file.url for file in (*files, *further)],
            remark=f"model of {', '.join(sorted(others))}" if others else "",
        )

    def sequence(self, name: str) -> str | None:
        """The sequence of the accession `name`; None if no record has the whole sequence."""
        accession = parse_accession(name)
        if accession is None:
            return None
        records = self._records(accession)
        sequences = {text for r in records if r.accession == str(accession) and (text := _whole(r))}
        return sequences.pop() if len(sequences) == 1 else None

    def _records(self, accession: Accession) -> list[Prediction]:
        url = urljoin(self._base, f"api/prediction/{accession.base}")
        return self._client.get(url, read_reply) or []

    def _by_pattern(self, accession: str, sequence: str) -> Model | None:
        record = Prediction(
            f"AF-{accession}-F1", accession, "", 1, None, None, self._version, "", "", ()
        )
        file = self._file(record)
        if file is None:
            return None
        files = [file, *self._further_fragments(record, [file], len(sequence))]
        return Model(
            accession=accession,
            version=file.version,
            sha256=digest_of(file.text for file in files),
            fragments=[file.chains for file in files],
            places=[file.url for file in files],
        )

    def _file(self, record: Prediction) -> "_File | None":
        """The first available file of the record."""
        for url in self._places(record):
            file = self._client.get(url, partial(_read_file, url=url, length=record.length))
            if file is not None:
                return file
        return None

    def _places(self, record: Prediction) -> list[str]:
        """Possible URLs of the record's files: as listed, then by the usual pattern."""
        urls = []
        for url in record.urls:
            with suppress(ValueError):  # no URL at all; the pattern may still lead to the file
                urls.append(urljoin(self._base, url))
        if record.version is not None:
            stem = f"files/{record.entry}-model_v{record.version}"
            urls += [urljoin(self._base, stem + suffix) for suffix in (".cif", ".pdb")]
        return list(dict.fromkeys(urls))

    def _further_fragments(
        self, last: Prediction, files: Sequence["_File"], length: int
    ) -> list["_File"]:
        """Fragments that the API does not list, of proteins too long for one model."""
        if length <= LONGEST_MODEL or not files[-1].version or last.start not in (None, 1):
            return []
        further: list[_File] = []
        while True:
            number = last.fragment + len(further) + 1
            entry = f"AF-{last.accession}-F{number}"
            version = int(files[-1].version)
            file = self._file(
                Prediction(entry, last.accession, "", number, None, None, version, "", "", ())
            )
            if file is None:
                return further
            further.append(file)


@dataclass(frozen=True)
class _File:
    text: bytes
    chains: list[Chain]
    version: str
    url: str


def _read_file(text: bytes, url: str, length: int | None) -> _File:
    """Parse a model; raises an error if it has fewer residues than declared."""
    chains = parse_structure(text, url)
    expected = chains[0].declared or length
    if expected is not None and len(chains[0].letters) != expected:
        raise StructureError(
            f"{url}: {len(chains[0].letters)} of {expected} residues; the file is truncated"
        )
    version = _VERSION.search(url)
    return _File(text, chains, version[1] if version else "", url)


def read_reply(text: bytes) -> list[Prediction]:
    """Predictions of single chains in a reply of the API, without complexes.

    Raises
    ------
    StructureError
        if the reply is not valid, or no record can be parsed
    """
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        raise StructureError(f"not JSON; it starts with {text[:40]!r}") from None
    if not isinstance(reply, list) or not all(isinstance(entry, dict) for entry in reply):
        raise StructureError("JSON, but not a list of predictions")
    chains = [entry for entry in reply if not _is_complex(entry)]
    predictions = [prediction for entry in chains if (prediction := _prediction(entry)) is not None]
    if chains and not predictions:
        fields = ", ".join(sorted(chains[0])[:5])
        raise StructureError(f"predictions without a UniProt accession; their fields are {fields}")
    return predictions


def _is_complex(entry: Mapping[str, Any]) -> bool:
    return entry.get("isComplex") is True or isinstance(entry.get("uniprotAccession"), list)


def _prediction(entry: Mapping[str, Any]) -> Prediction | None:
    """Parse one record; None if it has no UniProt accession."""
    name = _string(entry, "modelEntityId", "entryId")
    match = _ENTRY.fullmatch(name)
    accession = parse_accession(
        _string(entry, "uniprotAccession") or (match["accession"] if match else "")
    )
    if accession is None:
        return None
    return Prediction(
        entry=name if _SAFE.fullmatch(name) else f"AF-{accession}-F1",
        accession=str(accession),
        provider=_string(entry, "providerId"),
        fragment=int(match["fragment"]) if match else 1,
        start=_integer(entry, "sequenceStart", "uniprotStart"),
        end=_integer(entry, "sequenceEnd", "uniprotEnd"),
        version=_integer(entry, "latestVersion"),
        sequence=_string(entry, "sequence") or _string(entry, "uniprotSequence"),
        whole=_string(entry, "uniprotSequence"),
        urls=tuple(filter(None, (_string(entry, "cifUrl"), _string(entry, "pdbUrl")))),
    )


def _string(entry: Mapping[str, Any], *keys: str) -> str:
    return next((entry[key] for key in keys if isinstance(entry.get(key), str)), "")


def _integer(entry: Mapping[str, Any], *keys: str) -> int | None:
    return next((entry[key] for key in keys if type(entry.get(key)) is int), None)


def choose(predictions: Sequence[Prediction], accession: str, sequence: str) -> list[Prediction]:
    """The record of the protein `accession`, or the records of its fragments in order.

    A reply may also list other isoforms, models of other providers, and fragments. Records with the
    protein's exact sequence are preferred, those of the accession first; then records of the
    accession with any sequence; and for an isoform that is not listed, those of the canonical
    protein. The structure's sequence is compared later. Among these, AlphaFold DB's own models are
    preferred, then complete models, then the latest version, so that the order of the reply does
    not matter.
    """
    trusted = [record for record in predictions if record.provider in PROVIDERS]
    predictions = trusted or predictions
    same = [record for record in predictions if _has(record, sequence)]
    own = [record for record in predictions if record.accession == accession]
    base = accession.partition("-")[0]
    canonical = [record for record in predictions if record.accession == base]
    candidates = [record for record in own if record in same] or same or own or canonical
    if not candidates:
        return []
    first = min(candidates, key=_preference)
    mine = [r for r in candidates if (r.accession, r.provider) == (first.accession, first.provider)]
    pieces: dict[tuple[int, int], Prediction] = {}
    for record in sorted(mine, key=_preference):
        if not any(_covers(other, record) for other in pieces.values()):
            pieces[record.start or 1, record.fragment] = record
    return [pieces[place] for place in sorted(pieces)]


def _covers(one: Prediction, other: Prediction) -> bool:
    """Whether the model of one record has all residues of the other one, as far as known."""
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return one.fragment == other.fragment
    return one.start <= other.start and one.end >= other.end


def _preference(record: Prediction) -> tuple[bool, str, str, int, int, int, int, str]:
    """Sort key of records, smallest first; of two records of one model, the newer one."""
    return (
        record.provider not in PROVIDERS,
        record.provider,
        record.accession,
        record.start or 1,
        -(record.length or 0),
        record.fragment,
        -(record.version or 0),
        record.entry,
    )


def _has(record: Prediction, sequence: str) -> bool:
    """Whether the record is for a protein with exactly this sequence."""
    if record.whole:
        return record.whole == sequence
    return record.sequence == sequence and record.start in (None, 1)


def _whole(record: Prediction) -> str:
    """The sequence of the record's protein, ``""`` if the record has only a part of it."""
    if record.whole:
        return record.whole
    piece = record.start not in (None, 1) or record.fragment > 1
    too_short = record.end is not None and record.end != len(record.sequence)
    return "" if piece or too_short else record.sequence
