"""Settings of the residue graphs."""

from dataclasses import dataclass

from halo.settings import setting


@dataclass(frozen=True)
class GraphSettings:
    """The section ``graphs`` of the configuration. `radius` in Å, the others in residues."""

    radius: float = setting(
        10.0, "largest distance of C-alpha atoms in a contact (angstrom)", gt=0, le=30
    )
    sequence_neighbours: int = setting(
        3,
        "residues up to this sequence separation are connected, with or without a structure",
        ge=1,
        le=64,
    )
    max_contacts: int = setting(
        64,
        "nearest contacts of each residue that are kept; a contact stays if it is among those of "
        "either residue, so that one can have more",
        ge=1,
    )
