"""What ``bundle.json`` has to hold, checked before any of it is used."""

from collections import Counter
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from halo.embeddings.registry import ESM2
from halo.embeddings.settings import EmbeddingSettings
from halo.graphs.settings import GraphSettings
from halo.label_groups import from_content

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
# Of log-odds: more than 1,000 is no weight of evidence, and could overflow.
NonNegative = Annotated[FiniteFloat, Field(ge=0, le=1000)]


class _Part(BaseModel):
    """A part of the description; keys that this HALO does not know are skipped."""

    model_config = ConfigDict(strict=True, populate_by_name=True)


class LanguageModel(_Part):
    """Which language model is needed, or whose embeddings."""

    name: str
    sha256: Sha256
    included: bool = False
    source: Literal["model", "file"] = "model"
    model_class: str = Field(ESM2, alias="class")


class Structures(_Part):
    """What a structure must be like."""

    model_config = ConfigDict(extra="forbid")

    min_identity: Share
    min_coverage: Share
    max_length: int


class Search(_Part):
    """When a training protein counts as found, by the rule of the split.

    Bundles of earlier versions do not say what identity and coverage are relative to.
    """

    identity: Share
    identity_of: Literal["aligned", "shorter"] = "aligned"
    coverage: Share
    coverage_of: Literal["shorter", "both"] = "shorter"
    evalue: Annotated[FiniteFloat, Field(gt=0)]
    sensitivity: Annotated[FiniteFloat, Field(ge=1, le=7.5)]


class Member(_Part):
    """One method of a model; `temperatures` are those of further groups of labels."""

    method: str
    method_class: str = Field(alias="class")
    folder: str
    thresholds: dict[str, Share]
    temperature: Annotated[FiniteFloat, Field(gt=0)]
    shifts: dict[str, FiniteFloat]
    temperatures: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = {}


class Band(_Part):
    """Where the second member of a cascade is asked, and how much it counts."""

    certainty: Annotated[FiniteFloat, Field(ge=-1, le=1)]  # -1: always
    weight: Share


class Conformal(_Part):
    """The cut of the conformal sets."""

    risk: Share
    cut: Share


class Homologues(_Part):
    """How the labels of a similar training protein are part of a decision."""

    model_config = ConfigDict(extra="forbid")

    scale: NonNegative
    present: NonNegative
    present_by_identity: NonNegative
    absent: NonNegative
    absent_by_identity: NonNegative
    least: Share
    threshold: Share
    cut: Share
    proteins: int
    groups: int


class JoinedGroup(_Part):
    """How a model joins and cuts the probabilities of a further group of labels."""

    band: Band | None
    conformal: Conformal | None


class Group(_Part):
    """A further group of labels."""

    task: Literal["multilabel", "singlelabel"]
    labels: Annotated[list[str], Field(min_length=1)]
    homologues: Homologues | None = None


class Model(_Part):
    """One fold and seed of the bundle's method."""

    fold: str
    seed: int
    adapter: str | None
    members: Annotated[list[Member], Field(min_length=1)]
    band: Band | None
    conformal: Conformal | None
    groups: dict[str, JoinedGroup] = {}

    @property
    def explained(self) -> int:
        """Number of the member that is explained: the last network, or else the last member."""
        networks = [row for row, one in enumerate(self.members) if one.method_class != "esm"]
        return networks[-1] if networks else len(self.members) - 1


class Description(_Part):
    """The content of ``bundle.json``.

    `labels` are those of all groups; `task` and `homologues` are of the main one.
    """

    format: int
    halo: str
    name: str
    version: str
    method: str
    method_class: str = Field(alias="class")
    task: Literal["multilabel", "singlelabel"]
    labels: Annotated[list[str], Field(min_length=1)]
    groups: dict[str, Group] = {}
    simulated: bool
    language_model: LanguageModel
    embeddings: EmbeddingSettings
    graphs: GraphSettings
    structures: Structures
    search: Search
    content: dict[str, int]
    homologues: Homologues | None = None
    models: Annotated[list[Model], Field(min_length=1)]

    @field_validator("embeddings", "graphs", mode="before")
    @classmethod
    def _knows_every_key(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):  # which the field's own type refuses
            return value
        kind = EmbeddingSettings if info.field_name == "embeddings" else GraphSettings
        unknown = sorted({*value} - {field.name for field in fields(kind)})
        if unknown:
            raise ValueError(f"unknown keys: {', '.join(unknown)}")
        return value

    @model_validator(mode="after")
    def _has_distinct_labels(self) -> "Description":
        for label, count in Counter(self.labels).items():
            if count > 1:
                raise ValueError(f"the label {label!r} is there {count} times")
            if not label or ";" in label or not label.isprintable():
                raise ValueError(f"{label!r} is no label: empty, or with a ; or a line break")
        return self

    @model_validator(mode="after")
    def _joins_two_members(self) -> "Description":
        for model in self.models:
            joined = [model.band, *(each.band for each in model.groups.values())]
            if any(joined) and len(model.members) != 2:
                raise ValueError(
                    f"the model of fold {model.fold} has a band, which joins two members, and "
                    f"{len(model.members)} members"
                )
        return self

    @model_validator(mode="after")
    def _has_every_label(self) -> "Description":
        for member in (member for model in self.models for member in model.members):
            for name, values in (("thresholds", member.thresholds), ("shifts", member.shifts)):
                missing = [label for label in self.labels if label not in values]
                if missing:
                    raise ValueError(f"{name} of {member.folder} lack {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _has_every_group(self) -> "Description":
        from_content(self.labels, {name: each.model_dump() for name, each in self.groups.items()})
        for model in self.models:
            described: list[dict[str, Any]] = [
                model.groups,
                *(member.temperatures for member in model.members),
            ]
            if any(set(each) != set(self.groups) for each in described):
                raise ValueError(
                    f"the model of fold {model.fold} does not have the groups "
                    f"{', '.join(self.groups) or 'none'}"
                )
        return self


def parse_description(text: str) -> Description:
    """The content of a ``bundle.json``; ValueError, with the key and the fault, if it is wrong."""
    try:
        return Description.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None
