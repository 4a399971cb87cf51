"""The language models that are known by a name."""

# Published ESM-2 checkpoints (github.com/facebookresearch/esm) by name; size in bytes, rounded
# up, as the bound of the download.
PUBLISHED = {
    "esm2_t6_8M_UR50D": 100_000_000,
    "esm2_t12_35M_UR50D": 400_000_000,
    "esm2_t30_150M_UR50D": 1_500_000_000,
    "esm2_t33_650M_UR50D": 4_000_000_000,
    "esm2_t36_3B_UR50D": 15_000_000_000,
}
