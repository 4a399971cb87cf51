"""Settings of the evaluation."""

from dataclasses import dataclass

from halo.settings import MOST_SEED, setting


@dataclass(frozen=True)
class EvaluationSettings:
    """The section ``evaluation`` of the configuration, without ``main``."""

    resamples: int = setting(
        1000, "bootstrap resamples of homology groups behind each interval", ge=100
    )
    seed: int = setting(1, "seed of the bootstrap", ge=0, le=MOST_SEED)


@dataclass(frozen=True)
class MainMethod:
    """The method with which the others are compared; the stage gets it as the first file."""

    main: str | None = setting(
        None, "method with which the others are compared; null for the first network"
    )


@dataclass(frozen=True)
class EvaluationSection(EvaluationSettings, MainMethod):
    """The section ``evaluation`` of the configuration."""
