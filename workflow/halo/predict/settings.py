"""How predictions are made; nothing of it is part of the bundle."""

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
        Folder of structures (PDB or mmCIF), named like AlphaFold DB's files or ``<id>.…``.
    confidence
        ``plddt`` where their B-factor holds the pLDDT, ``none`` where it does not.
    download
        Whether AlphaFold DB is asked for what is not in that folder.
    store
        Root of a store that is kept; None: structures, graphs and embeddings lie in the output
        folder, and the latter two are removed when they are no longer needed.
    language_model
        Path of the checkpoint; None: the published one, which is downloaded once.
    device
        ``cpu`` or ``cuda``; None or ``auto``: a GPU where there is one.
    precision
        Of the language model, where it is not to be the bundle's own.
    threads
        CPU threads.
    chunk
        Proteins that are worked on together, and lost at most when the run is killed.
    max_length
        Residues; longer proteins are not predicted.
    page
        Proteins of which the page and `structures` show the explanations, the first of the input.
    stage
        `FETCH`: only get what comes from the internet, into the store; `PREDICT`: only predict
        with that; None: both.
    transport
        How AlphaFold DB is asked.
    """

    store: Path | None = None
    device: str | None = None
    precision: str | None = None
    threads: int = 1
    max_length: int = 40_000
    stage: str | None = None
    transport: TransportSettings = field(default_factory=TransportSettings)

    def __post_init__(self) -> None:
        for name, lowest in (("threads", 1), ("chunk", 1), ("max_length", 1), ("page", 0)):
            if getattr(self, name) < lowest:
                raise HaloError(f"{name}: {getattr(self, name)} is below {lowest}; give more")
        if self.stage is not None and self.store is None:
            raise HaloError("--stage: give a --store too, in which what is fetched is kept")

    def sources(self) -> tuple[SourceSettings, ...]:
        """Where structures are sought, in this order."""
        found = [] if self.structures is None else self._in_folder(self.structures)
        return (*found, *([SourceSettings("afdb")] if self.download else []))

    def _in_folder(self, folder: Path) -> list[SourceSettings]:
        if not folder.is_dir():
            raise HaloError(f"--structures: there is no folder {folder}; mend the path")
        names = [entry.name for entry in folder.iterdir() if not entry.is_dir()]
        found = [
            SourceSettings("folder", str(folder), pattern, confidence=self.confidence)
            for pattern in PATTERNS
            if any(map(NamePattern(pattern).read, names))
        ]
        if not found:
            raise HaloError(
                f"--structures: {folder} holds no file called <accession>.cif, <id>.pdb or like "
                f"{AFDB_PATTERN}; mend the path"
            )
        return found
