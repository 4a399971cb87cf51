"""Settings of the stage: what the content of the store depends on, and how it is fetched."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from halo.code import code_digest
from halo.errors import HaloError

AFDB_PATTERN = "AF-{accession}-F{fragment}-model_v{version}.*"
MAX_LENGTH = 65_535  # positions are stored as uint16


@dataclass(frozen=True)
class SourceSettings:
    """One place to look for structures.

    Attributes
    ----------
    kind
        ``afdb`` (AlphaFold DB over HTTP), ``folder`` (PDB or mmCIF files), ``archive``
        (a tar of such files) or ``contacts`` (edges without coordinates).
    path
        The folder, the archive, or the folder of contact tables.
    pattern
        File names of a folder or archive, with the fields ``{accession}``,
        ``{fragment}`` and ``{version}``, and ``*`` for anything else.
    version
        Take this version of AlphaFold DB's models; None takes the current one.
    confidence
        ``plddt`` where the B-factor holds the pLDDT (0 to 100), ``none`` where it does
        not, as in experimental structures.
    """

    kind: str
    path: str = ""
    pattern: str = AFDB_PATTERN
    version: int | None = None
    confidence: str = "plddt"

    def description(self) -> dict[str, Any]:
        """What the content that comes from here depends on."""
        if self.kind == "afdb":
            return {"kind": self.kind, "version": self.version}
        if self.kind == "contacts":
            return {"kind": self.kind, "path": self.path}
        return asdict(self)


@dataclass(frozen=True)
class StructureSettings:
    """The section ``structures`` of the configuration, without ``transport``.

    Attributes
    ----------
    sources
        Places to look, in the order of preference.
    min_identity
        Smallest share of a structure's residues that equal the protein's.
    min_coverage
        Smallest share of the protein's residues that a structure has.
    max_length
        Residues of the longest protein that gets a structure.
    retry_missing
        Ask again for the proteins that had no usable structure at an earlier run.
    names
        Table (TSV or CSV, two columns: name, accession) that tells the accessions of
        entry names, of other databases' ids and of obsolete accessions; or None.
    sequences
        FASTA file with accessions as names, to find the accession of a protein by its
        exact sequence; or None.
    """

    sources: tuple[SourceSettings, ...] = (SourceSettings("afdb"),)
    min_identity: float = 0.95
    min_coverage: float = 0.5
    max_length: int = MAX_LENGTH
    retry_missing: bool = False
    names: str | None = None
    sequences: str | None = None

    def __post_init__(self) -> None:
        sources = tuple(
            SourceSettings(**source) if isinstance(source, Mapping) else source
            for source in self.sources
        )
        object.__setattr__(self, "sources", sources)
        for source in sources:
            if source.kind != "afdb" and not source.path:
                raise HaloError(
                    f"structures.sources: the source {source.kind!r} has no path; give it one"
                )
        if self.max_length > MAX_LENGTH:
            raise HaloError(
                f"structures.max_length: {self.max_length:,} is more than {MAX_LENGTH:,}, "
                "the longest protein that the store can hold; lower it"
            )

    def description(self) -> dict[str, Any]:
        """What the content of the store depends on, for its fingerprint.

        How names are resolved to accessions is left out: a protein without a usable
        structure is asked for again as soon as it has a new name.
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
    """The section ``structures.transport``: how to ask, with no influence on the content.

    Attributes
    ----------
    base_url
        AlphaFold DB or a mirror of it.
    concurrency
        Connections at a time.
    requests_per_second
        Most requests started in a second, over all connections.
    timeout
        Seconds that one request may take in all.
    retries
        How often a request that failed for a passing reason is sent again.
    backoff
        Seconds before the first of these; doubled each time, with jitter.
    max_error_share
        Share of the asked-for proteins that may end in an error before the job does.
    """

    base_url: str = "https://alphafold.ebi.ac.uk"
    concurrency: int = 4
    requests_per_second: float = 10.0
    timeout: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    max_error_share: float = 0.05
