"""Structures given as contacts only: tables of residue pairs without coordinates."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from halo.arrays import DamagedArrays, open_arrays
from halo.errors import HaloError
from halo.structures.settings import MAX_LENGTH, SourceSettings
from halo.structures.sources import Model, digest_of, names_to_try


class Contacts:
    """Contacts in ``*.npz`` files.

    The arrays of each are ``accession`` [n], ``n_res`` [n] (length of the protein), ``offsets``
    [n + 1], and for the pairs of protein k, from offsets[k] to offsets[k + 1]: ``di``, whose
    running sum is the first position i (from 0), and ``dj`` = j - i > 0.

    Only the proteins in `wanted` are kept in memory.
    """

    def __init__(self, settings: SourceSettings, wanted: frozenset[str]) -> None:
        path = Path(settings.path)
        files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise HaloError(f"structures.sources: no npz file in {path}; fix the path")
        self._models: dict[str, Model] = {}
        for file in files:
            try:
                self._load(file, wanted)
            except DamagedArrays as error:
                raise HaloError(f"{file}: no table of contacts ({error}); get it again") from None

    def candidates(self, name: str, sequence: str) -> Iterator[Callable[[], Model]]:
        """See `halo.structures.sources.Source`."""
        for accession in names_to_try(name):
            if accession in self._models:
                yield partial(self._models.__getitem__, accession)

    def find(self, name: str, sequence: str) -> Model | None:
        """The first of the candidates."""
        read = next(self.candidates(name, sequence), None)
        return read() if read is not None else None

    def not_asked(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        return ""

    def state(self, names: Iterable[str]) -> str:
        """See `halo.structures.sources.Source`."""
        accessions = {accession for name in names for accession in names_to_try(name)}
        digests = [self._models[name].sha256 for name in sorted(accessions & set(self._models))]
        return digest_of(digest.encode() for digest in digests)[:16] if digests else ""

    def _load(self, file: Path, wanted: frozenset[str]) -> None:
        with open_arrays(file) as table:
            self._add(table, wanted)

    def _add(self, table: Mapping[str, np.ndarray], wanted: frozenset[str]) -> None:
        accessions = table["accession"].astype(str).tolist()
        rows = [row for row, accession in enumerate(accessions) if accession in wanted]
        if not rows:
            return
        lengths, offsets = table["n_res"], table["offsets"]
        di, dj = table["di"], table["dj"]
        for array in (lengths, offsets, di, dj):
            if array.dtype.kind not in "iu":
                raise ValueError(f"an array of {array.dtype} in place of whole numbers")
        if not len(accessions) == len(lengths) == len(offsets) - 1:
            raise ValueError(
                f"{len(accessions):,} accessions, {len(lengths):,} lengths and {len(offsets):,} "
                "offsets, which must be one more"
            )
        ends = offsets.astype(np.int64)
        if not ((np.diff(ends) >= 0).all() and ends[0] == 0 and ends[-1] == len(di) == len(dj)):
            raise ValueError(
                f"its offsets do not lead from 0 to the {len(di):,} and {len(dj):,} numbers of its "
                "pairs: it is cut off or damaged"
            )
        for row in rows:
            accession, length = accessions[row], int(lengths[row])
            if accession in self._models or length > MAX_LENGTH:
                continue
            if length < 1:
                raise ValueError(f"{accession} has {length} residues")
            part = slice(int(offsets[row]), int(offsets[row + 1]))
            first = np.cumsum(di[part].astype(np.int64))
            pairs = np.stack([first, first + dj[part]], axis=1)
            if len(pairs) and not (
                (pairs[:, 0] >= 0).all()
                and (pairs[:, 0] < pairs[:, 1]).all()
                and pairs[:, 1].max() < length
            ):
                raise ValueError(f"{accession} has contacts outside of its {length} residues")
            pairs = np.unique(pairs, axis=0).astype(np.uint16)  # some tables repeat pairs
            text = f"{length}\n".encode() + pairs.astype("<u2").tobytes()
            self._models[accession] = Model(
                accession, "", hashlib.sha256(text).hexdigest(), contacts=pairs, length=length
            )
