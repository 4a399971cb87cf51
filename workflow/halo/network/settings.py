"""Settings of the network."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import Faults, setting


@dataclass(frozen=True)
class NetworkSettings:
    """The section ``network`` of the configuration."""

    hidden: int = setting(128, "width of a residue in the network; a multiple of heads", ge=8)
    layers: int = setting(3, "rounds of graph attention", ge=1)
    heads: int = setting(
        4,
        "attention heads of a round, an even number; half of them look along the sequence, half "
        "across contacts",
        ge=2,
        multiple_of=2,
    )
    pooling_heads: int = setting(4, "heads of the attention that pools residues to a protein", ge=1)
    dropout: float = setting(
        0.2, "share of the activations that is dropped in training", ge=0, lt=1
    )
    modalities: tuple[Literal["embedding", "structure", "biochemistry"], ...] = setting(
        ("embedding", "structure", "biochemistry"),
        "what the network sees of a residue",
        min_length=1,
        unique=True,
    )
    weights: Literal["learned", "fixed"] = setting(
        "learned", "whether the weights of the modalities are learned, or fixed and equal"
    )
    edges: Literal["contacts", "neighbours", "shuffled"] = setting(
        "contacts",
        "contacts and sequence neighbours, sequence neighbours alone, or, as a control, the "
        "structure moved to other residues",
    )

    def faults(self) -> Faults:
        """What does not fit together."""
        if self.hidden % self.heads == 0:
            return []
        above = (self.hidden // self.heads + 1) * self.heads
        return [
            (
                "hidden",
                f"{self.hidden} is not a multiple of heads, {self.heads}; set hidden to {above}, "
                "for instance",
            )
        ]
