"""Settings of the network."""

from dataclasses import dataclass
from typing import Literal

from halo.settings import Faults, setting


@dataclass(frozen=True)
class NetworkSettings:
    """The section ``network`` of the configuration."""

    hidden: int = setting(128, "hidden width of a residue; a multiple of heads", ge=8)
    layers: int = setting(3, "layers of graph attention", ge=1)
    heads: int = setting(
        4,
        "attention heads per layer, an even number; half of them attend to sequence neighbours, "
        "half to contacts",
        ge=2,
        multiple_of=2,
    )
    pooling_heads: int = setting(4, "heads of the attention pooling", ge=1)
    dropout: float = setting(0.2, "dropout of activations in training", ge=0, lt=1)
    modalities: tuple[Literal["embedding", "structure", "biochemistry"], ...] = setting(
        ("embedding", "structure", "biochemistry"),
        "modalities that the network uses",
        min_length=1,
        unique=True,
    )
    weights: Literal["learned", "fixed"] = setting(
        "learned", "whether the weights of the modalities are learned, or fixed and equal"
    )
    edges: Literal["contacts", "neighbours", "shuffled"] = setting(
        "contacts",
        "edges: contacts and sequence neighbours, sequence neighbours only, or, as a control, a "
        "structure permuted over the residues",
    )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
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
