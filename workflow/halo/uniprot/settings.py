"""Settings of a data set from UniProt."""

from collections.abc import Mapping
from dataclasses import dataclass

from halo.settings import URL, setting

# Evidence codes of GO for experiments, by one protein and by many.
GO_EXPERIMENTS = ("EXP", "IDA", "IPI", "IMP", "IGI", "IEP", "HTP", "HDA", "HMP", "HGI", "HEP")


@dataclass(frozen=True)
class UniprotSettings:
    """The section ``dataset.uniprot`` of the configuration."""

    query: str | None = setting(
        None,
        "query in the syntax of UniProt's website; null if taxonomy is sufficient, or if "
        "dataset.proteins is a file from UniProt (TSV or JSON)",
        min_length=1,
    )
    taxonomy: int | None = setting(
        None,
        "only proteins of this taxon and its descendants, such as 9606; null for all, or if "
        "dataset.proteins is a file from UniProt",
        ge=1,
    )
    reviewed: bool | None = setting(
        True,
        "only entries of Swiss-Prot (true), only of TrEMBL (false), or both (null); entries of a "
        "file that does not say which they are count as both",
    )
    evidence: tuple[str, ...] = setting(
        ("ECO:0000269",),
        "accepted evidence codes of locations; with others, or none, the label is unknown",
        min_length=1,
        unique=True,
    )
    go: bool = setting(
        False, "whether to use cellular components of GO as well; a TSV has no evidence for them"
    )
    go_evidence: tuple[str, ...] = setting(
        GO_EXPERIMENTS, "accepted evidence codes of cellular components", unique=True
    )
    mapping: str | None = setting(
        None,
        "path of a table with the columns location and label; null for the ten of DeepLoc "
        "(resources/uniprot_deeploc.csv)",
    )
    base_url: str = setting(
        "https://rest.uniprot.org", "address of UniProt's REST service", pattern=URL
    )

    @classmethod
    def from_config(cls, section: Mapping | None) -> "UniprotSettings | None":
        """From the section, or None where there is none."""
        return None if section is None else cls(**section)

    @property
    def search(self) -> str:
        """The whole query, in UniProt's syntax."""
        parts = [f"({self.query})"] if self.query else []
        if self.taxonomy is not None:
            parts.append(f"(taxonomy_id:{self.taxonomy})")
        if self.reviewed is not None:
            parts.append(f"(reviewed:{str(self.reviewed).lower()})")
        return " AND ".join(parts)
