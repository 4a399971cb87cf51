"""The options of a prediction that the configuration has, too."""

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
    download: bool = setting(True, "ask AlphaFold DB for what is not there")
    language_model: Path | None = setting(
        None, "path of the language model of another run's bundle; null for a published one"
    )
    chunk: int = setting(1000, "proteins that are worked on together; fewer need less memory", ge=1)
    page: int = setting(
        100,
        "so many proteins, the first ones, are explained residue by residue on the page",
        ge=0,
    )
