"""The ESM-2 checkpoints that fair-esm has published (github.com/facebookresearch/esm).

fair-esm publishes no checksums. These were recorded by users of the files, each identically in
three or more independent projects: for t33_650M among others haddocking/DeepRank-Ab, for t6_8M
Synthyra/FastPLMs.
"""

from dataclasses import dataclass

URL = "https://dl.fbaipublicfiles.com/fair-esm/models/{name}.pt"


@dataclass(frozen=True)
class Published:
    """A published checkpoint: dimensions, SHA-256, and an upper bound of its size in bytes."""

    layers: int
    sha256: str
    max_bytes: int


PUBLISHED = {
    "esm2_t6_8M_UR50D": Published(
        6, "46f002a9870c9bdecd0ea887acb1f9a38a6b561e8f8bf8a6990b679b9d31b928", 100_000_000
    ),
    "esm2_t12_35M_UR50D": Published(
        12, "7f21e80e61d16a71735163ef555d3009afb0c98da74c48e29df08606973cc55e", 400_000_000
    ),
    "esm2_t30_150M_UR50D": Published(
        30, "881c7176cf198ef8dec26a3c375d40eb58d0c33df95c22562ca6cc6d3f812c62", 1_500_000_000
    ),
    "esm2_t33_650M_UR50D": Published(
        33, "ea9d0522b335a8778dea6535a65301f10208dece28cd5865482b0b1fc446168c", 4_000_000_000
    ),
    "esm2_t36_3B_UR50D": Published(
        36, "7de8b4082ba15891959ab368b77ce3886697af1efb16d3c9e9e7b0c5d3f07500", 15_000_000_000
    ),
}
