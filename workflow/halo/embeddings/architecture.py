"""The architecture of ESM-2, ESM-1b and ESM-1v, which have the same modules."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """Number of layers, width, heads, and what differs between the models.

    Attributes
    ----------
    token_dropout
        Whether embeddings are scaled for the fraction of <mask> tokens.
    positions
        Rows of the table of learned positions (ESM-1b, ESM-1v), two more than tokens that a
        sequence may have; None for rotary positions (ESM-2).
    norm_before
        Whether the embeddings of the tokens are normalized (ESM-1b).
    """

    layers: int
    dim: int
    heads: int
    token_dropout: bool
    positions: int | None = None
    norm_before: bool = False
