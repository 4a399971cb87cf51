"""Settings of the methods that join two others."""

from dataclasses import dataclass

from halo.settings import setting


@dataclass(frozen=True)
class CascadeSettings:
    """The section ``cascade`` of the configuration."""

    risk: float = setting(
        0.1,
        "share of a protein's labels that its conformal set may miss, on average",
        gt=0,
        lt=1,
    )
