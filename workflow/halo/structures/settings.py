"""Settings of the structures stage: sources, requirements, and requests."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from halo.code_digest import code_digest
from halo.settings import REQUIRED, URL, Faults, setting

PATTERN_FIELDS = ("accession", "fragment", "version")
AFDB_PATTERN = "AF-{accession}-F{fragment}-model_v{version}.*"
MAX_LENGTH = 65_535  # positions are stored as uint16


def pattern_fault(pattern: str) -> str | None:
    """The fault of a pattern of file names, or None."""
    counts = {field: pattern.count(f"{{{field}}}") for field in PATTERN_FIELDS}
    for part in re.findall(r"\{[^}]*\}", pattern):
        if part[1:-1] not in PATTERN_FIELDS:
            return (
                f"has the unknown field {part}; known are {{accession}}, {{fragment}} and "
                "{version}"
            )
    if counts["accession"] != 1 or max(counts.values()) > 1:
        return "must have {accession} once, and the other fields at most once"
    return None


@dataclass(frozen=True)
class SourceSettings:
    """One source of structures.

    `pattern` is of file names, or with ``/`` of paths below `path`, with the fields
    ``{accession}``, ``{fragment}`` and ``{version}``, and ``*`` for anything else.
    """

    kind: Literal["afdb", "folder", "archive", "contacts"] = setting(
        REQUIRED,
        "AlphaFold DB over HTTP, a folder of PDB or mmCIF files, a tar of them, or tables of "
        "contacts",
    )
    path: str = setting("", "the folder, or the archive (wildcards in the file name for several)")
    pattern: str = setting(
        AFDB_PATTERN,
        "names of the files, with the fields {accession}, {fragment} and {version}, * for "
        "anything, and / for folders below the path",
        min_length=1,
    )
    version: int | None = setting(
        None, "take this version of AlphaFold DB's models; null for the current one", ge=1
    )
    confidence: Literal["plddt", "none"] = setting(
        "plddt",
        "whether the B-factor of files is the pLDDT (0 to 100 or 0 to 1); none for other values",
    )

    def description(self) -> dict[str, Any]:
        """Keys that influence the content from this source."""
        if self.kind == "afdb":
            return {"kind": self.kind, "version": self.version}
        if self.kind == "contacts":
            return {"kind": self.kind, "path": self.path}
        return asdict(self)

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        if self.kind == "afdb" and self.path:
            return [("path", "AlphaFold DB has none; leave it out, or set kind: folder")]
        if self.kind != "afdb" and not self.path:
            return [("path", f"missing; the source {self.kind!r} needs it")]
        wrong = pattern_fault(self.pattern) if self.kind in ("folder", "archive") else None
        return [("pattern", f"{self.pattern!r} {wrong}")] if wrong else []


@dataclass(frozen=True)
class StructureSettings:
    """The section ``structures`` of the configuration, without ``transport``."""

    sources: tuple[SourceSettings, ...] = setting(
        (SourceSettings("afdb"),), "sources of structures, in the order of preference"
    )
    min_identity: float = setting(
        0.95,
        "smallest fraction of a structure's residues that equal the protein's",
        ge=0,
        le=1,
    )
    min_coverage: float = setting(
        0.5,
        "smallest fraction of the protein's residues in a structure",
        ge=0,
        le=1,
    )
    max_length: int = setting(
        MAX_LENGTH, "longer proteins get no structure (residues)", ge=1, le=MAX_LENGTH
    )
    retry_missing: bool = setting(
        False, "search again for proteins without a structure in an earlier run"
    )
    retry_after_days: int | None = setting(
        30,
        "days after which a protein without a structure is searched again; null for never",
        ge=1,
    )
    names: str | None = setting(
        None, "table (name, accession) for ids that are not accessions, or null"
    )
    sequences: str | None = setting(
        None,
        "FASTA or archive of accessions in which a protein's exact sequence is looked up, or null",
    )

    def __post_init__(self) -> None:
        sources = tuple(
            SourceSettings(**source) if isinstance(source, Mapping) else source
            for source in self.sources
        )
        object.__setattr__(self, "sources", sources)

    def description(self) -> dict[str, Any]:
        """Everything that the content of the store depends on, for its fingerprint.

        The resolution of names is not included: a protein without a usable structure is searched
        again when it has a new name.
        """
        return {
            "kind": "structures",
            "sources": [source.description() for source in self.sources],
            "min_identity": self.min_identity,
            "min_coverage": self.min_coverage,
            "max_length": self.max_length,
            "code": code_digest("halo.structures.parse", "halo.structures.match"),
        }


@dataclass(frozen=True)
class TransportSettings:
    """The section ``structures.transport``: requests, which do not influence the content."""

    base_url: str = setting(
        "https://alphafold.ebi.ac.uk", "AlphaFold DB, or a mirror of it", pattern=URL
    )
    concurrency: int = setting(4, "connections at a time", ge=1, le=64)
    requests_per_second: float = setting(
        10.0, "largest number of requests per second, over all connections of a job", gt=0
    )
    timeout: float = setting(60.0, "timeout of a request in seconds", gt=0)
    retries: int = setting(5, "retries of a request after a temporary error", ge=0)
    backoff: float = setting(1.0, "seconds before the first retry, doubled each time", ge=0)
    max_error_share: float = setting(
        0.05,
        "largest fraction of searches that may fail before the job fails",
        ge=0,
        le=1,
    )


@dataclass(frozen=True)
class StructureSection(StructureSettings):
    """The section ``structures`` of the configuration."""

    transport: TransportSettings = setting(
        TransportSettings, "requests to AlphaFold DB; changes cause no rerun"
    )
