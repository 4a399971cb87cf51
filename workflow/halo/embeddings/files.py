"""Residue embeddings that other programs have written: an HDF5 file, or a folder.

Several layouts of HDF5 are in use, all of them with one data set [residues, dim] for a protein:

- its name is the id (ProtTrans, which writes ``_`` for ``.`` and ``/``), the accession (UniProt),
  or the md5 (TMbed) or sha256 of the sequence;
- its attribute ``original_id`` is the id, and its name a number or a digest (biotrainer,
  bio_embeddings).

In a folder, each protein has a file named after it, in numpy's format (``.npy``) or PyTorch's
(``.pt``): an array, or what fair-esm's ``extract.py`` writes. PyTorch is imported for the latter
only. Nothing is unpickled that could run a program.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from halo.embeddings.checkpoint_file import HEAD, foreign_fault
from halo.embeddings.hdf5_names import DAMAGED, names_of
from halo.embeddings.index import Entry, Indexed
from halo.embeddings.pattern import ID, split_pattern
from halo.embeddings.pickles import import_fault
from halo.errors import HaloError
from halo.files import listing_digest, sha256_of_file

ENDINGS = (".npy", ".pt")
HDF5 = b"\x89HDF\r\n\x1a\n"
REPRESENTATIONS = "representations"  # by layer, in the files of fair-esm's extract.py
MOST_NUMBERS = 1 << 30  # of an embedding; titin has 88 million of ESM-2 with 3B parameters


class UnusableEmbedding(ValueError):
    """An embedding cannot be used; the message says why."""


class EmbeddingFile:
    """The embeddings of an HDF5 file or a folder; read again after a fork or pickling.

    Parameters
    ----------
    path
        The HDF5 file, or the folder; ``folder/{id}_esm2.npy`` names the files in it by a pattern.
    layer
        Layer of files that have several; a negative number counts from the last.

    Raises
    ------
    HaloError
        if there is no such file, or it has no embeddings
    """

    def __init__(self, path: str | Path, layer: int = -1) -> None:
        self.path, self.pattern = split_pattern(path)
        self.layer = layer
        if self.path.is_dir():
            self.pattern = self.pattern or ID
        elif not self.path.exists():
            raise HaloError(f"{self.path}: there is no such file or folder of embeddings")
        elif self.pattern is not None:
            raise HaloError(f"{self.path}: a file, but {self.pattern} needs a folder; name that")
        else:
            _require_hdf5(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_hdf5"}

    @cached_property
    def _hdf5(self) -> h5py.File:
        return h5py.File(self.path, "r", locking=False)

    def close(self) -> None:
        """Close the HDF5 file; the next reading opens it again."""
        if "_hdf5" in vars(self):
            self._hdf5.close()
            del self._hdf5

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, or of the names and contents of the files in the folder."""
        if self.pattern is None:
            return sha256_of_file(self.path)
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(f"{sha256_of_file(self.path / entry.key)}  {entry.key}\n".encode())
        return digest.hexdigest()

    @cached_property
    def entries(self) -> list[Entry]:
        """All embeddings; HaloError if there is none."""
        found = list(self._in_folder() if self.pattern is not None else self._in_hdf5())
        if not found:
            what = f"no file {self.pattern}.npy or .pt" if self.pattern else "no data set"
            raise HaloError(f"{self.path}: {what}, so there are no embeddings; correct the path")
        return found

    def _in_hdf5(self) -> Iterator[Entry]:
        for key, name in names_of(self.path):
            yield Entry(key, name or key)

    def _in_folder(self) -> Iterator[Entry]:
        assert self.pattern is not None
        ending = Path(self.pattern).suffix
        endings = (ending,) if ending in ENDINGS else ENDINGS
        before, _, after = self.pattern.removesuffix(ending if ending in ENDINGS else "").partition(
            ID
        )
        for file in sorted(self.path.iterdir()):
            name = file.name.removesuffix(file.suffix)
            whole = len(name) > len(before) + len(after)
            fits = name.startswith(before) and name.endswith(after) and whole
            if file.suffix in endings and fits and not name.startswith("."):
                yield Entry(file.name, name[len(before) : len(name) - len(after)])

    def shape(self, entry: Entry) -> tuple[int, int]:
        """Rows and columns of an embedding; raises `UnusableEmbedding`."""
        rows, dim = self._open(entry).shape[-2:]
        return rows, dim

    def read(self, entry: Entry) -> np.ndarray:
        """An embedding [rows, dim], float16 or float32; raises `UnusableEmbedding`."""
        try:
            rows = np.asarray(self._open(entry)[...])
        except (*DAMAGED, MemoryError) as error:
            raise UnusableEmbedding(f"it cannot be read ({error})") from None
        rows = rows.reshape(rows.shape[-2:])
        if rows.dtype != np.float16:
            with np.errstate(over="ignore"):
                rows = rows.astype(np.float32)
        if not np.isfinite(rows).all():
            raise UnusableEmbedding("it has values that are NaN or infinite")
        return rows

    def _open(self, entry: Entry) -> Any:
        """The data set, memory map or array of an embedding, [rows, dim] or [1, rows, dim]."""
        if self.pattern is None:
            try:
                return _checked(self._hdf5[entry.key])
            except UnusableEmbedding:
                raise
            except DAMAGED as error:
                raise UnusableEmbedding(f"it cannot be read ({error})") from None
        file = self.path / entry.key
        if file.suffix == ".pt":
            return _checked(_tensor(file, self.layer))
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # numpy raises exceptions of many types for damaged files
            raise UnusableEmbedding(f"it is not an array of numpy ({error})") from None
        return _checked(array)


def opened(path: str | Path, layer: int = -1) -> EmbeddingFile:
    """The file as an `EmbeddingFile`, kept while it stays the same, so that it is hashed once."""
    return _opened(str(path), layer, listing_digest([split_pattern(path)[0]]))


@lru_cache(maxsize=1)
def _opened(path: str, layer: int, listing: str) -> EmbeddingFile:
    return EmbeddingFile(path, layer)


def _checked(values: Any) -> Any:
    """The data set or array, if it is an embedding of residues."""
    shape, dtype = values.shape, values.dtype
    if dtype.kind not in "fiu":
        raise UnusableEmbedding(f"it holds no numbers ({dtype})")
    if len(shape) == 1:
        raise UnusableEmbedding(
            f"it is one vector of {shape[0]:,} numbers for the whole protein; HALO needs one for "
            "each residue"
        )
    if math.prod(shape) > MOST_NUMBERS:
        raise UnusableEmbedding(f"its shape is {tuple(shape)}, too large for a protein")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1) or 0 in shape:
        raise UnusableEmbedding(f"its shape is {tuple(shape)}, not [residues, dim]")
    return values


def _tensor(file: Path, layer: int) -> np.ndarray:
    """The array of a ``.pt`` file: a tensor, or ``representations`` by layer."""
    import torch  # takes seconds, and for these files alone

    fault = import_fault(file)
    if fault is not None:
        raise UnusableEmbedding(f"it is {fault}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises exceptions of many types for damaged files
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnusableEmbedding(f"it is not read safely as a tensor of PyTorch ({first})") from None
    if isinstance(content, Mapping):
        layers = content.get(REPRESENTATIONS)
        if not isinstance(layers, Mapping) or not layers:
            raise UnusableEmbedding(f"it has no tensor and no {REPRESENTATIONS!r}")
        wanted = max(layers) + 1 + layer if layer < 0 else layer
        if wanted not in layers:
            known = ", ".join(map(str, sorted(layers)))
            raise UnusableEmbedding(f"it has the layers {known}, but not {wanted}")
        content = layers[wanted]
    if not isinstance(content, torch.Tensor):
        raise UnusableEmbedding(f"it holds a {type(content).__name__}, not a tensor")
    content = content.detach()
    return (content.float() if content.dtype == torch.bfloat16 else content).numpy()


def _require_hdf5(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(HDF5):
        try:
            with h5py.File(path, "r", locking=False):
                return
        except (OSError, RuntimeError) as error:
            raise HaloError(
                f"{path}: truncated or damaged ({error}); make the file again"
            ) from None
    what = foreign_fault(head, "download it again", "an HDF5 file") or (
        "not an HDF5 file; give one, or a folder of .npy or .pt files"
    )
    raise HaloError(f"{path}: {what}")


def index_of(file: EmbeddingFile, entries: Iterable[Entry], values: bool) -> list[Indexed]:
    """Shapes of embeddings; with `values`, all numbers are read, to find NaN."""
    found = []
    for entry in entries:
        try:
            rows, dim = file.read(entry).shape if values else file.shape(entry)
        except UnusableEmbedding as error:
            found.append(Indexed(entry, fault=str(error)))
        else:
            found.append(Indexed(entry, rows, dim))
    return found


def require_usable(file: EmbeddingFile, index: Sequence[Indexed]) -> None:
    """Raise a HaloError if no embedding of a file can be used; the first fault says why."""
    if index and all(each.fault for each in index):
        first = index[0]
        raise HaloError(
            f"{file.path}: none of {len(index):,} embeddings can be used; the first, "
            f"{first.entry.key}: {first.fault}"
        )
