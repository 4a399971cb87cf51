"""Structures in PDB and mmCIF files, of a folder or of a tar, found by their names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from halo.errors import HaloError
from halo.structures.parse import MAX_BYTES, StructureError, TooLargeError, expand, parse_structure
from halo.structures.settings import SourceSettings
from halo.structures.sources import Model, digest_of, names_to_try

_FIELDS = {
    "accession": r"(?P<accession>[A-Za-z0-9][A-Za-z0-9_.-]*?)",
    "fragment": r"(?P<fragment>\d{1,5})",
    "version": r"(?P<version>\d{1,5})",
}


@dataclass(frozen=True)
class FileName:
    """What a file's name tells."""

    accession: str
    fragment: int
    version: str


class NamePattern:
    """A pattern of file names, like ``AF-{accession}-F{fragment}-model_v{version}.*``."""

    def __init__(self, pattern: str) -> None:
        expression = ""
        for part in re.split(r"(\{[^}]*\}|\*)", pattern):
            if part == "*":
                expression += ".*"
            elif part.startswith("{"):
                if part[1:-1] not in _FIELDS:
                    raise HaloError(
                        f"structures.sources: pattern {pattern!r} has the unknown field {part}; "
                        "known are {accession}, {fragment} and {version}"
                    )
                expression += _FIELDS[part[1:-1]]
            else:
                expression += re.escape(part)
        counts = {field: pattern.count(f"{{{field}}}") for field in _FIELDS}
        if counts["accession"] != 1 or max(counts.values()) > 1:
            raise HaloError(
                f"structures.sources: pattern {pattern!r} must have {{accession}} once, "
                "and the other fields at most once"
            )
        self._expression = re.compile(expression)

    def read(self, name: str) -> FileName | None:
        """What `name` tells, or None where it does not fit."""
        match = self._expression.fullmatch(name)
        if match is None:
            return None
        fields = match.groupdict()
        return FileName(
            fields["accession"], int(fields.get("fragment") or 1), fields.get("version") or ""
        )


class Files:
    """A source: files whose names tell what they hold.

    Parameters
    ----------
    names
        What each file's name tells, by file.
    version
        Take the files of this version, or with None those of the newest.
    text
        Gives the bytes of a file.
    place
        Where the files are, for messages.
    """

    def __init__(
        self,
        names: Mapping[str, FileName],
        version: int | None,
        text: Callable[[str], bytes],
        place: str,
    ) -> None:
        self._names = names
        self._fragments = fragments_by_accession(names, version)
        self._text = text
        self._place = place

    @property
    def accessions(self) -> list[str]:
        """What the files are of."""
        return list(self._fragments)

    def find(self, name: str, sequence: str) -> Model | None:
        """See `halo.structures.sources.Source`."""
        for accession in names_to_try(name):
            if accession in self._fragments:
                return self._read(accession)
        return None

    def _read(self, accession: str) -> Model:
        fragments = self._fragments[accession]
        files = [fragments[number] for number in sorted(fragments)]
        places = [f"{self._place}/{file}" for file in files]
        texts = [expand(self._text(file), at) for file, at in zip(files, places, strict=True)]
        return Model(
            accession=accession,
            version=self._names[files[0]].version,
            sha256=digest_of(texts),
            fragments=[parse_structure(text, at) for text, at in zip(texts, places, strict=True)],
        )


def fragments_by_accession(
    names: Mapping[str, FileName], version: int | None
) -> dict[str, dict[int, str]]:
    """By accession and fragment, the file of the newest version, or of the one asked for.

    The fragments of a protein are all of one version. Among equals the first name in
    order counts.
    """
    newest: dict[str, int] = {}
    for told in names.values():
        number = int(told.version or 0)
        if version is None or number == version:
            newest[told.accession] = max(newest.get(told.accession, 0), number)
    chosen: dict[str, dict[int, str]] = {}
    for name in sorted(names):
        told = names[name]
        if newest.get(told.accession) == int(told.version or 0):
            chosen.setdefault(told.accession, {}).setdefault(told.fragment, name)
    return chosen


def select_names(
    pattern: str, files: Iterable[str], wanted: frozenset[str] | None, place: str
) -> dict[str, FileName]:
    """What the names of those of `files` tell that are called one of `wanted` (None: all).

    HaloError where no file at all fits the pattern.
    """
    told_by = NamePattern(pattern)
    fitting = 0
    chosen = {}
    for file in files:
        told = told_by.read(file)
        if told is not None:
            fitting += 1
            if wanted is None or told.accession in wanted:
                chosen[file] = told
    if not fitting:
        raise HaloError(
            f"structures.sources: nothing in {place} has a name like {pattern!r}; mend the pattern"
        )
    return chosen


def open_folder(settings: SourceSettings, wanted: frozenset[str]) -> Files:
    """The structures of a folder that are called one of `wanted`."""
    folder = Path(settings.path)
    if not folder.is_dir():
        raise HaloError(f"structures.sources: there is no folder {folder}; mend the path")

    def text(file: str) -> bytes:
        path = folder / file
        try:
            if path.stat().st_size > MAX_BYTES:
                raise TooLargeError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise StructureError(f"{path}: not readable ({error.strerror})") from None

    files = (entry.name for entry in folder.iterdir())
    names = select_names(settings.pattern, files, wanted, str(folder))
    return Files(names, settings.version, text, str(folder))
