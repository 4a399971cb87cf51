"""Sections of the configuration that belong to no single stage."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from halo.settings import MOST_SEED, setting

Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]


@dataclass(frozen=True)
class ReleaseSection:
    """The section ``release`` of the configuration."""

    method: str | None = setting(
        None,
        "method that it predicts with; null for the first that joins two trained ones, or the "
        "first network",
    )
    folds: tuple[str, ...] | None = setting(
        None,
        "folds whose models it has, as a mean; null for all that are trained",
        min_length=1,
        unique=True,
    )
    all_proteins: bool = setting(
        False,
        "whether its models are trained once more, on the proteins of all parts, those of the test "
        "as well; its metrics are those of the folds",
    )
    seeds: tuple[Seed, ...] | None = setting(
        None, "seeds whose models it has; null for all", min_length=1, unique=True
    )
    version: str = setting("1", "version of the bundle", min_length=1)
    sequences: bool = setting(
        True, "whether it has the training sequences, for the nearest training protein"
    )
    language_model: bool = setting(
        False,
        "whether it has the pretrained language model, so that nothing is downloaded; not with "
        "licences that forbid it",
    )
    homologues: bool = setting(
        True,
        "whether the known labels of a similar training protein are part of its decisions "
        "(needs sequences)",
    )
    licence: str | None = setting(None, "text of its licence; null for HALO's own")
    notes: str | None = setting(
        None, "text in Markdown for its card, such as results on other data; null for none"
    )
