"""AlphaFold DB's bulk archives: models read out of the tar, which stays packed."""

import hashlib
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from halo.errors import HaloError
from halo.files import atomic_path
from halo.job import Progress, log
from halo.structures.files import Files, select_names
from halo.structures.parse import MAX_BYTES, StructureError, TooLargeError
from halo.structures.settings import SourceSettings


@dataclass(frozen=True)
class Index:
    """Where the files of a tar lie: names (bytes) [n], offset and size in bytes, int64 [n]."""

    name: np.ndarray
    offset: np.ndarray
    size: np.ndarray


def open_archive(settings: SourceSettings, wanted: frozenset[str], cache: Path) -> Files:
    """The structures of one or several tars (wildcards in the name) called one of `wanted`.

    Where the files lie is read once and kept in the folder `cache`, so that a job finds
    its few proteins without going through the archive.
    """
    path = Path(settings.path)
    paths = sorted(path.parent.glob(path.name))
    if not paths:
        raise HaloError(f"structures.sources: there is no archive {settings.path}; mend the path")
    return _files(settings, [(path, read_index(path, cache)) for path in paths], wanted)


def _files(
    settings: SourceSettings,
    archives: Iterable[tuple[Path, Index]],
    wanted: frozenset[str] | None,
) -> Files:
    places: dict[str, tuple[Path, int, int]] = {}
    for path, index in archives:
        names = (name.decode("utf-8", "replace") for name in index.name.tolist())
        rows = zip(names, index.offset.tolist(), index.size.tolist(), strict=True)
        for name, offset, size in rows:
            places.setdefault(name, (path, offset, size))
    names = select_names(settings.pattern, places, wanted, settings.path)
    places = {file: places[file] for file in names}  # of millions, those of this job

    def text(file: str) -> bytes:
        path, offset, size = places[file]
        if size > MAX_BYTES:
            raise TooLargeError(f"{path}: {file} is larger than {MAX_BYTES >> 20} MiB")
        try:
            with path.open("rb") as archive:
                data = os.pread(archive.fileno(), size, offset)
        except OSError as error:
            raise StructureError(f"{path}: not readable ({error.strerror})") from None
        if len(data) < size:
            raise StructureError(f"{path}: {file} is cut off; get the archive anew")
        return data

    return Files(names, settings.version, text, settings.path)


def read_index(path: Path, cache: Path) -> Index:
    """The index of one tar: from the folder `cache`, or made anew and put there."""
    file = _cached(path, cache, ".npz")
    if file.exists():
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return Index(arrays["name"], arrays["offset"], arrays["size"])
        except (KeyError, ValueError, EOFError, OSError, BadZipFile):
            file.unlink(missing_ok=True)
    index = make_index(path)
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
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
        with atomic_path(file) as temporary, temporary.open("w", encoding="ascii") as fasta:
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
    """A file of `cache` that belongs to the tar as it is now."""
    status = path.stat()
    key = f"{path.resolve()}\n{status.st_size}\n{status.st_mtime_ns}"
    return cache / f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}{suffix}"


def make_index(path: Path) -> Index:
    """Go through the headers of a tar, from one to the next without reading the files."""
    names, offsets, sizes = [], [], []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isreg():
                    names.append(member.name.rpartition("/")[2].encode("utf-8", "replace"))
                    offsets.append(member.offset_data)
                    sizes.append(member.size)
                archive.members.clear()  # it keeps every header otherwise
    except tarfile.TarError as error:
        raise HaloError(
            f"{path}: not readable as a tar ({error}); a packed one (.tar.gz) must be unpacked "
            "to a tar first, one that is cut off must be got anew"
        ) from None
    if not names:
        raise HaloError(f"{path}: no file in this tar; get the archive anew")
    return Index(np.array(names), np.array(offsets, np.int64), np.array(sizes, np.int64))
