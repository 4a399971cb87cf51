"""Settings of predictions that are not part of the bundle."""

from dataclasses import dataclass, field
from pathlib import Path

from halo.errors import HaloError
from halo.predict.options import PredictOptions
from halo.structures.files import NamePattern
from halo.structures.settings import AFDB_PATTERN, SourceSettings, TransportSettings

FETCH, PREDICT = "fetch", "predict"
PATTERNS = (AFDB_PATTERN, "{accession}.*")


@dataclass(frozen=True)
class PredictSettings(PredictOptions):
    """The options of ``halo predict``.

    Attributes
    ----------
    structures
        Folder of structures (PDB or mmCIF), named like files of AlphaFold DB or ``<id>.…``.
    confidence
        ``plddt`` if their B-factor is the pLDDT, else ``none``.
    download
        Whether structures that are not in the folder are downloaded from AlphaFold DB.
    store
        Root of a permanent store. With None, structures, graphs and embeddings are in the output
        folder, and the latter two are removed when they are no longer needed.
    language_model
        Path of the checkpoint; None to download the published one once.
    embeddings
        File or folder of residue embeddings, see `halo.embeddings.files`; None to compute them.
    device
        ``cpu`` or ``cuda``; None or ``auto`` for a GPU if available.
    precision
        Precision of the language model; None for that of the bundle.
    threads
        CPU threads.
    chunk
        Proteins per chunk; an interrupted call loses at most one chunk.
    max_length
        Longer proteins are rejected (residues).
    page
        Number of proteins, the first of the input, that are explained on the page and in
        `structures`.
    stage
        `FETCH` to only download into the store, `PREDICT` to only predict with downloaded files;
        None for both.
    transport
        Settings of requests to AlphaFold DB.
    unreachable
        Why AlphaFold DB is not asked though `download` is set: proteins that it would be asked for
        are predicted without a structure, with the status ``error``. See
        `halo.predict.sources.noting_unreachable`.
    """

    store: Path | None = None
    device: str | None = None
    precision: str | None = None
    threads: int = 1
    max_length: int = 40_000
    stage: str | None = None
    transport: TransportSettings = field(default_factory=TransportSettings)
    unreachable: str = ""

    def __post_init__(self) -> None:
        for name, lowest in (("threads", 1), ("chunk", 1), ("max_length", 1), ("page", 0)):
            if getattr(self, name) < lowest:
                raise HaloError(f"{name}: {getattr(self, name)} is below {lowest}; give more")
        if self.stage is not None and self.store is None:
            raise HaloError("--stage: needs a --store for downloaded files; add it")

    def sources(self) -> tuple[SourceSettings, ...]:
        """Sources of structures, in the order of the search."""
        local = [] if self.structures is None else self._in_folder(self.structures)
        return (*local, *([SourceSettings("afdb")] if self.download else []))

    def _in_folder(self, folder: Path) -> list[SourceSettings]:
        if not folder.is_dir():
            raise HaloError(f"--structures: there is no folder {folder}; fix the path")
        names = [entry.name for entry in folder.iterdir() if not entry.is_dir()]
        sources = [
            SourceSettings("folder", str(folder), pattern, confidence=self.confidence)
            for pattern in PATTERNS
            if any(map(NamePattern(pattern).read, names))
        ]
        if not sources:
            raise HaloError(
                f"--structures: {folder} has no file named <accession>.cif, <id>.pdb or like "
                f"{AFDB_PATTERN}; fix the path"
            )
        return sources
