"""Settings of methods that combine two others: the section ``cascade``."""

from dataclasses import dataclass

from halo.settings import setting


@dataclass(frozen=True)
class CascadeSettings:
    """The section ``cascade`` of the configuration."""

    risk: float = setting(
        0.1,
        "fraction of a protein's labels that conformal sets may miss, on average",
        gt=0,
        lt=1,
    )
