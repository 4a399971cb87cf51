"""Options of predictions that are also in the configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from halo.settings import setting


@dataclass(frozen=True)
class PredictOptions:
    """The section ``predict`` of the configuration."""

    structures: Path | None = setting(
        None, "folder of structures named by id or accession, or null"
    )
    confidence: Literal["plddt", "none"] = setting(
        "plddt", "whether their B-factor holds the pLDDT"
    )
    download: bool = setting(True, "download missing structures from AlphaFold DB")
    language_model: Path | None = setting(
        None,
        "checkpoint of the language model of another run's bundle; null to download it",
    )
    embeddings: str | None = setting(
        None,
        "file or folder of residue embeddings of the proteins to predict, as embeddings.path; null "
        "to compute them",
    )
    chunk: int = setting(1000, "proteins per chunk; fewer need less memory", ge=1)
    page: int = setting(
        100,
        "number of proteins (the first ones) that the page explains residue by residue",
        ge=0,
    )
