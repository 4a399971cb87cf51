"""Settings of the residue graphs."""

from dataclasses import dataclass

from halo.settings import setting


@dataclass(frozen=True)
class GraphSettings:
    """The section ``graphs`` of the configuration. `radius` in Å, the others in residues."""

    radius: float = setting(
        10.0, "greatest distance of the C-alpha atoms of a contact (angstrom)", gt=0, le=30
    )
    sequence_neighbours: int = setting(
        3,
        "residues this far apart in the sequence are joined, with or without a structure",
        ge=1,
        le=64,
    )
    max_contacts: int = setting(
        64, "contacts of a residue beyond its nearest so many are left out", ge=1
    )
