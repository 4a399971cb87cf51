"""Find structures in files of a folder or a tar by their names."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from halo.cli import log
from halo.errors import HaloError
from halo.structures.parse import MAX_BYTES, StructureError, TooLargeError, expand, parse_structure
from halo.structures.settings import SourceSettings, pattern_fault
from halo.structures.sources import Model, digest_of, names_to_try

NO_SPELLINGS: Mapping[str, str] = MappingProxyType({})
_NUMBER = r"\d{1,5}"
_FIELDS = {
    "accession": r"(?P<accession>[^/.][^/]*?)",
    "fragment": rf"(?P<fragment>{_NUMBER})",
    "version": rf"(?P<version>{_NUMBER})",
}
# Endings of structure files, the preferred ones first; what follows is packed.
_TYPES = (
    (".cif", ".mmcif", ".pdbx"),
    (".bcif",),
    (".pdb", ".ent", ".brk", ".pdb1"),
    (".fcz", ".mmtf", ".zip"),  # not readable, but the message says what to do
)
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class FileName:
    """Fields of a file name."""

    accession: str
    fragment: int
    version: str


class NamePattern:
    """A pattern of file names, like ``AF-{accession}-F{fragment}-model_v{version}.*``.

    With ``/`` in it, it is of a path below the source; ``*`` is anything but ``/``.
    """

    def __init__(self, pattern: str) -> None:
        fault = pattern_fault(pattern)
        if fault is not None:
            raise HaloError(f"structures.sources: pattern {pattern!r} {fault}")
        before, _, after = pattern.partition("{accession}")
        self.depth = pattern.count("/") + 1
        self._any_type = not pattern.endswith("*")
        self._any_start = "*" in before
        self._whole = re.compile(_expression(pattern))
        self._before = re.compile(_expression(before))
        self._after = re.compile(_expression(after))

    def read(self, path: str) -> FileName | None:
        """Fields of `path`; None if it does not match.

        If the pattern ends in ``*``, only files with an ending of structures match.
        """
        match = self._whole.fullmatch(path)
        if match is None or not (self._any_type or type_of(path) is not None):
            return None
        fields = match.groupdict()
        return FileName(
            fields["accession"], int(fields.get("fragment") or 1), fields.get("version") or ""
        )

    def find(self, path: str, wanted: Mapping[str, str]) -> FileName | None:
        """Fields of `path` with the longest matching accession of `wanted`; None without a match.

        The keys of `wanted` are searched in the path; its values are the accessions.
        """
        told = self.read(path)
        if told is None:
            return None
        starts: Iterable[int] = range(len(path))
        whole = self._whole.fullmatch(path)
        if whole is not None and not self._any_start:
            starts = [whole.start("accession")]
        best = ""
        for start in starts:
            for stop in range(len(path), start + len(best), -1):
                fit = self._fits(path, start, stop) if path[start:stop] in wanted else None
                if fit is not None:
                    best, told = path[start:stop], fit
                    break
        return FileName(wanted[best], told.fragment, told.version) if best else None

    def _fits(self, path: str, start: int, stop: int) -> FileName | None:
        before = self._before.fullmatch(path, 0, start)
        after = self._after.fullmatch(path, stop)
        if before is None or after is None:
            return None
        fields = before.groupdict() | after.groupdict()
        return FileName(
            path[start:stop], int(fields.get("fragment") or 1), fields.get("version") or ""
        )


def _expression(pattern: str) -> str:
    parts = re.split(r"(\{[^}]*\}|\*)", pattern)
    return "".join(
        "[^/]*" if part == "*" else _FIELDS[part[1:-1]] if part[:1] == "{" else re.escape(part)
        for part in parts
    )


def type_of(name: str) -> int | None:
    """Rank of a file type, 0 is preferred; None if it is not a structure."""
    name = name.lower()
    plain = name
    for ending in _PACKED:
        plain = plain.removesuffix(ending)
    return next(
        (rank for rank, endings in enumerate(_TYPES) for e in (plain, name) if e.endswith(endings)),
        None,
    )


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Possible spellings of names in files, and the name of each spelling.

    In addition to the name itself, these are the spellings of ColabFold (``_`` for characters other
    than letters, digits, ``_``, ``.`` and ``-``) and AlphaFold 3 (lower case, ``_`` for spaces,
    without other characters). Spellings that two names share are not used.
    """
    names = set(names)
    name_of = {name: name for name in names}
    for spell in (_as_colabfold, _as_alphafold3):
        spelt: dict[str, set[str]] = {}
        for name in names:
            spelt.setdefault(spell(name), set()).add(name)
        for text, of in spelt.items():
            if text and len(of) == 1:
                name_of.setdefault(text, *of)
    return name_of


def _within(own: Mapping[str, str], spelt: Mapping[str, str]) -> dict[str, str]:
    """The spellings of a part that are also those of the whole, or of names that it lacks."""
    return {
        text: name
        for text, name in own.items()
        if spelt.get(text) == name or not (text in spelt or name in spelt)
    }


def all_spellings(names: Iterable[str]) -> dict[str, str]:
    """The `spellings` of ids and accessions; of an isoform, also those of its protein."""
    return spellings(text for name in set(names) for text in names_to_try(name))


def _as_colabfold(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name)


def _as_alphafold3(name: str) -> str:
    return re.sub(r"[^a-z0-9_.-]", "", name.lower().replace(" ", "_"))


class Files:
    """A source of structure files that are identified by their names.

    Parameters
    ----------
    names
        Fields of each file name, by file.
    version
        Version of the files to use; None for the latest.
    text
        Function that returns the bytes of a file.
    place
        Location of the files, for messages.
    stamp
        Function that returns size and modification time of a file.
    """

    def __init__(
        self,
        names: Mapping[str, FileName],
        version: int | None,
        text: Callable[[str], bytes],
        place: str,
        stamp: Callable[[str], str] = str,
    ) -> None:
        self._names = names
        self._fragments = files_by_fragment(names, version)
        self._text = text
        self._place = place
        self._stamp = stamp

    @property
    def accessions(self) -> list[str]:
        """Accessions of the files."""
        return sorted(self._fragments)

    def candidates(self, name: str, sequence: str) -> Iterator[Callable[[], Model]]:
        """See `halo.structures.sources.Source`.

        Yields the files of a protein one by one; for a protein in fragments, the first files of all
        fragments, then the second ones.
        """
        for accession in names_to_try(name):
            fragments = self._fragments.get(accession, {})
            files = [fragments[number] for number in sorted(fragments)]
            for choice in range(max(map(len, files), default=0)):
                chosen = [some[min(choice, len(some) - 1)] for some in files]
                yield partial(self._read, accession, chosen)

    def find(self, name: str, sequence: str) -> Model | None:
        """The first of the candidates."""
        read = next(iter(self.candidates(name, sequence)), None)
        return read() if read is not None else None

    def not_asked(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        return ""

    def state(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        states = []
        for accession in sorted({text for name in names for text in names_to_try(name)}):
            for files in self._fragments.get(accession, {}).values():
                states += [f"{file}\0{self._stamp(file)}" for file in files]
        return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16] if states else ""

    def _read(self, accession: str, files: list[str]) -> Model:
        places = [f"{self._place}/{file}" for file in files]
        texts = [expand(self._text(file), at) for file, at in zip(files, places, strict=True)]
        return Model(
            accession=accession,
            version=self._names[files[0]].version,
            sha256=digest_of(texts),
            fragments=[parse_structure(text, at) for text, at in zip(texts, places, strict=True)],
            places=places,
        )


def files_by_fragment(
    names: Mapping[str, FileName], version: int | None
) -> dict[str, dict[int, list[str]]]:
    """Files of the latest or the given version, by accession and fragment.

    All fragments of a protein have the same version: the latest of those with the most fragments,
    as a newer one with fewer may be a part of a download. mmCIF is preferred to BinaryCIF and PDB,
    then the order of names decides.
    """
    fragments: dict[str, dict[int, set[int]]] = {}
    for told in names.values():
        number = int(told.version or 0)
        if version is None or number == version:
            of_version = fragments.setdefault(told.accession, {})
            of_version.setdefault(number, set()).add(told.fragment)
    newest = {
        accession: max(of_version, key=lambda number: (len(of_version[number]), number))
        for accession, of_version in fragments.items()
    }
    _warn_of_incomplete(fragments, newest)
    chosen: dict[str, dict[int, list[str]]] = {}
    for name in sorted(names, key=lambda name: (_order(name), name)):
        told = names[name]
        if newest.get(told.accession) == int(told.version or 0):
            chosen.setdefault(told.accession, {}).setdefault(told.fragment, []).append(name)
    return chosen


def _warn_of_incomplete(
    fragments: Mapping[str, Mapping[int, set[int]]], used: Mapping[str, int]
) -> None:
    """Warn of versions that are newer than those used, and have fewer fragments."""
    passed = sorted(name for name, number in used.items() if number < max(fragments[name]))
    if passed:
        first, newer = passed[0], max(fragments[passed[0]])
        log.warning(
            "%s proteins have a newer version with fewer fragments, which is not used; the first: "
            "%s, of which version %s has %s and version %s has %s. Complete the newer one, or set "
            "its version in structures.sources",
            *(f"{len(passed):,}", first, newer, len(fragments[first][newer]), used[first]),
            len(fragments[first][used[first]]),
        )


def _order(name: str) -> int:
    rank = type_of(name)
    return len(_TYPES) if rank is None else rank


def select_names(
    pattern: str,
    files: Iterable[str],
    wanted: frozenset[str] | None,
    place: str,
    spelt: Mapping[str, str] = NO_SPELLINGS,
) -> dict[str, FileName]:
    """Fields of the names of `files` that match one of `wanted` (None: all).

    `spelt` are the `spellings` of the whole input of which `wanted` is a part. What a file is
    called then has the same meaning for every part.

    Raises
    ------
    HaloError
        if no file matches the pattern
    """
    told_by = NamePattern(pattern)
    known = None if wanted is None else _within(spellings(wanted), spelt)
    fitting = 0
    chosen = {}
    for file in files:
        path = "/".join(file.split("/")[-told_by.depth :])
        told = told_by.read(path)
        if told is None:
            continue
        fitting += 1
        if known is not None:
            told = told_by.find(path, known)
        if told is not None:
            chosen[file] = told
    if not fitting:
        raise HaloError(
            f"structures.sources: nothing in {place} has a name like {pattern!r}; fix the pattern"
        )
    return chosen


def files_below(folder: Path, depth: int) -> Iterator[str]:
    """Paths of files `depth` levels below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if depth > 1 and entry.is_dir():
                for path in files_below(Path(entry.path), depth - 1):
                    yield f"{entry.name}/{path}"
            elif depth == 1 and not entry.is_dir():
                yield entry.name


def open_folder(
    settings: SourceSettings, wanted: frozenset[str], spelt: Mapping[str, str] = NO_SPELLINGS
) -> Files:
    """The structures of a folder with one of the `wanted` names; see `select_names`."""
    folder = Path(settings.path)
    if not folder.is_dir():
        raise HaloError(f"structures.sources: there is no folder {folder}; fix the path")

    def text(file: str) -> bytes:
        path = folder / file
        try:
            if path.stat().st_size > MAX_BYTES:
                raise TooLargeError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
            return path.read_bytes()
        except OSError as error:
            raise StructureError(f"{path}: not readable ({error.strerror})") from None

    def stamp(file: str) -> str:
        try:
            status = (folder / file).stat()
        except OSError:  # a broken link
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"

    files = files_below(folder, NamePattern(settings.pattern).depth)
    names = select_names(settings.pattern, files, wanted, str(folder), spelt)
    return Files(names, settings.version, text, str(folder), stamp)
