"""Read models from bulk archives of AlphaFold DB without unpacking them."""

import hashlib
import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from halo.arrays import DamagedArrays, open_arrays
from halo.cli import Progress, log
from halo.errors import HaloError
from halo.files import atomic_path
from halo.structures.files import NO_SPELLINGS, FileName, Files, select_names
from halo.structures.parse import MAX_BYTES, StructureError, TooLargeError
from halo.structures.settings import SourceSettings

BLOCK = 512  # bytes
CHUNK = 1 << 20  # bytes
MOST_LINKS = 10  # longest chain of links; longer ones are considered circular
FORMAT = 2  # format of the cached index


@dataclass(frozen=True)
class Index:
    """Locations of the files in a tar: paths (bytes) [n], offset and size in bytes, int64 [n]."""

    name: np.ndarray
    offset: np.ndarray
    size: np.ndarray


def open_archive(
    settings: SourceSettings,
    wanted: frozenset[str],
    cache: Path,
    spelt: Mapping[str, str] = NO_SPELLINGS,
) -> Files:
    """The structures named one of `wanted` in one or several tars (wildcards in the name).

    The index of each tar is cached in the folder `cache`, so that a job finds its proteins without
    scanning the archive. `spelt` is as in `halo.structures.files.select_names`.
    """
    indexes = [(path, read_index(path, cache)) for path in archives(settings.path)]
    return _files(settings, indexes, wanted, spelt)


def archives(pattern: str) -> list[Path]:
    """The tars that match a path with wildcards; raises a HaloError if there is none."""
    path = Path(pattern)
    paths = sorted(path.parent.glob(path.name))
    if not paths:
        raise HaloError(f"structures.sources: there is no archive {pattern}; fix the path")
    for path in paths:
        if path.is_dir():
            raise HaloError(
                f"structures.sources: {path} is a folder, not a tar; give it the kind `folder`, "
                "or fix the path"
            )
    return paths


def _files(
    settings: SourceSettings,
    archives: Sequence[tuple[Path, Index]],
    wanted: frozenset[str] | None,
    spelt: Mapping[str, str] = NO_SPELLINGS,
) -> Files:
    listed = chain.from_iterable(_listed(index) for _, index in archives)
    told = select_names(settings.pattern, listed, wanted, settings.path, spelt)
    # Of millions, those of this job. The tar is part of the key, as several can have a file of the
    # same name, with models of different sequences.
    places: dict[str, tuple[Path, str, int, int]] = {}
    names: dict[str, FileName] = {}
    for path, index in archives:
        status = path.stat()
        version = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
        rows = zip(_listed(index), index.offset.tolist(), index.size.tolist(), strict=True)
        for name, offset, size in rows:
            if name in told:
                file = f"{path.name}/{name}"
                places[file], names[file] = (path, version, offset, size), told[name]

    def text(file: str) -> bytes:
        path, _, offset, size = places[file]
        if size > MAX_BYTES:
            raise TooLargeError(f"{path.parent}/{file} is larger than {MAX_BYTES >> 20} MiB")
        try:
            with path.open("rb") as archive:
                data = os.pread(archive.fileno(), size, offset)
        except OSError as error:
            raise StructureError(f"{path}: not readable ({error.strerror})") from None
        if len(data) < size:
            raise StructureError(f"{path.parent}/{file} is truncated; get the archive again")
        return data

    def stamp(file: str) -> str:
        return f"{places[file][1]} {places[file][2]}"

    return Files(names, settings.version, text, str(Path(settings.path).parent), stamp)


def _listed(index: Index) -> Iterator[str]:
    """Names of the files of a tar."""
    return (name.decode("utf-8", "replace") for name in index.name.tolist())


def read_index(path: Path, cache: Path) -> Index:
    """The index of one tar, which is cached in the folder `cache` of a store."""
    file = _cached(path, cache, ".npz")
    if file.exists():
        try:
            with open_arrays(file) as arrays:
                return Index(arrays["name"], arrays["offset"], arrays["size"])
        except (DamagedArrays, OSError):
            file.unlink(missing_ok=True)
    index = make_index(path)
    with (
        suppress(PermissionError),  # who may only read the store makes it each time
        atomic_path(file, shared=True) as temporary,
        temporary.open("wb") as opened,
    ):
        np.savez(opened, name=index.name, offset=index.offset, size=index.size)
    return index


def fasta_of_archive(path: Path, cache: Path) -> Path:
    """A FASTA file of the sequences of a tar's models: found in `cache`, or made there.

    Proteins in several fragments, and models that cannot be read, are left out.
    """
    file = _cached(path, cache, ".fasta")
    if not file.exists():
        index = read_index(path, cache)
        files = _files(SourceSettings("archive", str(path)), [(path, index)], None)
        progress = Progress(len(files.accessions), "sequences of the archive")
        with (
            atomic_path(file, shared=True) as temporary,
            temporary.open("w", encoding="ascii") as fasta,
        ):
            for accession in files.accessions:
                progress.add()
                try:
                    model = files.find(accession, "")
                except StructureError as error:
                    log.warning("left out: %s", error)
                    continue
                if model is not None and len(model.fragments) == 1:
                    fasta.write(f">AFDB:AF-{accession}-F1\n{model.fragments[0][0].letters}\n")
    return file


def _cached(path: Path, cache: Path, suffix: str) -> Path:
    """Path of a cached file for the current version of the tar."""
    status = path.stat()
    key = f"{FORMAT}\n{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    return cache / f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}{suffix}"


def make_index(path: Path) -> Index:
    """Build the index of a tar by reading its headers only.

    Of several members with the same name, the last one is used, as in tar; links are followed.

    Raises
    ------
    HaloError
        if a header is damaged or the archive is incomplete; names the byte
    """
    places: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    twice = 0
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isreg():
                    twice += name in places
                    places[name] = member.offset_data, member.size
                elif member.issym() or member.islnk():
                    base = posixpath.dirname(name) if member.issym() else ""
                    links[name] = posixpath.normpath(posixpath.join(base, member.linkname))
                archive.members.clear()  # type: ignore[attr-defined]  # keeps every header otherwise
            end = archive.offset
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise HaloError(
            f"{path}: not readable as a tar ({error}); a packed one (.tar.gz) must be unpacked "
            "to a tar first, one that is truncated must be downloaded again"
        ) from None
    _check_end(path, end)
    for name, target in links.items():
        for _ in range(MOST_LINKS):
            if target not in links:
                break
            target = links[target]
        if target in places:
            places.setdefault(name, places[target])
    if twice:
        log.warning("%s: %s names are there twice; the last member counts", path, f"{twice:,}")
    if not places:
        raise HaloError(f"{path}: no file in this tar; get the archive again")
    names = [name.encode("utf-8", "replace") for name in places]
    offsets, sizes = np.array(list(places.values()), np.int64).T
    return Index(np.array(names), offsets, sizes)


def _check_end(path: Path, end: int) -> None:
    """Raise a HaloError unless the tar ends at `end`, with two blocks of zeros."""
    with path.open("rb") as file:
        file.seek(end)
        if len(file.read(2 * BLOCK).strip(b"\0")) or path.stat().st_size < end + 2 * BLOCK:
            raise HaloError(
                f"{path}: at byte {end:,} there is neither a header nor the end of a tar: it is "
                "damaged or truncated there; get the archive again"
            )
        position = end + 2 * BLOCK
        while data := file.read(CHUNK):
            rest = data.lstrip(b"\0")
            if rest:
                raise HaloError(
                    f"{path}: the tar ends at byte {end:,}, but more follows at byte "
                    f"{position + len(data) - len(rest):,}: it is damaged there, or several tars "
                    "were joined; get the archive again, or name the tars one by one"
                )
            position += len(data)
