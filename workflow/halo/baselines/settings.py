"""Settings of the nearest neighbours in embedding space: the key ``neighbours`` of a method."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from halo.settings import setting


@dataclass(frozen=True)
class NeighbourSettings:
    """Candidates for `halo.baselines.neighbours`; the best combination on ``val`` is used."""

    k: tuple[Annotated[int, Field(ge=1)], ...] = setting(
        (1, 3, 5, 10, 20, 50), "numbers of neighbours", min_length=1, unique=True
    )
    distance: tuple[Literal["cosine", "euclidean"], ...] = setting(
        ("cosine", "euclidean"),
        "distances between mean embeddings",
        min_length=1,
        unique=True,
    )
    standardize: tuple[bool, ...] = setting(
        (False, True),
        "whether each channel is standardized over the training proteins",
        min_length=1,
        unique=True,
    )
