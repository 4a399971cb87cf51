"""``model.json``: the description of a trained model of any method."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from halo import __version__
from halo.fold_parts import FoldParts
from halo.label_groups import MAIN, LabelGroup, as_content, from_content
from halo.methods import CLASSES
from halo.model_key import ModelKey
from halo.network.settings import NetworkSettings
from halo.proteins.table import Proteins
from halo.regions.decode import Transitions
from halo.typed_json import LabelSet, Part, Versioned, read_typed, write_typed

NAME = "model.json"
FORMAT = 3  # 3: the same fields for every class; tensors `standardize.mean` and `.std`
FORMAT_GROUPS = 4  # 4: like 3, with further groups of labels

Positive = Annotated[FiniteFloat, Field(gt=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Band(Part):
    """The uncertainty up to which the first member decides alone; see `halo.cascade`.

    `asked` is the fraction of proteins for which the second member is used, by part.
    """

    certainty: FiniteFloat
    weight: FiniteFloat
    asked: dict[str, Share]


class Conformal(Part):
    """The cut of conformal sets, and the fraction of labels that they may miss."""

    risk: FiniteFloat
    cut: FiniteFloat


class JoinedMember(Part):
    """A member of a combined method, with its calibration."""

    method: str
    seed: int
    temperature: Positive
    shifts: dict[str, FiniteFloat]


class Neighbourhood(Part):
    """How many neighbours vote, and by which distance; see `halo.baselines.neighbours`."""

    k: Annotated[int, Field(ge=1)]
    distance: Literal["cosine", "euclidean"]
    standardize: bool


class RegionKinds(Part):
    """Kinds of regions that a network predicts; see `halo.regions.decode.Transitions`."""

    kinds: Annotated[list[str], Field(min_length=1)]
    first: list[FiniteFloat]
    next: list[list[FiniteFloat]]

    @model_validator(mode="after")
    def _has_a_number_for_each(self) -> "RegionKinds":
        n = len(self.kinds) + 1
        if {len(self.first), len(self.next), *map(len, self.next)} != {n}:
            raise ValueError(f"regions has {n - 1} kinds, but not {n} numbers for each")
        return self

    @property
    def transitions(self) -> Transitions:
        """The transitions as arrays."""
        return Transitions(np.array(self.first), np.array(self.next))


class DescribedGroup(LabelSet):
    """A further group of labels: what `ModelDescription` has of the main one."""

    members: list[JoinedMember] | None = None
    band: Band | None = None
    conformal: Conformal | None = None


class ModelDescription(Versioned):
    """The content of ``model.json``.

    Attributes
    ----------
    method_class
        ``class`` in the file.
    split, fold, seed, method
        Key of the model, see `halo.model_key.ModelKey`.
    task, labels, thresholds
        A label is predicted if its probability is at least its threshold. The task is that of the
        main group of labels; labels and thresholds are those of all groups.
    groups
        Further groups of labels.
    proteins
        Number of proteins, by part.
    network, training, embedding_dim, graphs, embeddings, modality_weights, kept_epoch
        For networks: settings, width of the embeddings, fingerprints of the stores used in
        training, mean weights of the modalities, the epoch that was kept.
    parameters, epochs
        For trained methods: number of trainable parameters, number of epochs.
    best_epoch
        For the method `esm`.
    regions
        For networks that predict regions: their kinds and transitions.
    members, band, conformal
        For a cascade or an average, of the main group of labels.
    neighbours
        For `nearest_neighbour`: the neighbourhood that was chosen.
    """

    method_class: Literal[CLASSES] = Field(alias="class")  # type: ignore[valid-type]  # a constant
    split: str
    fold: str
    seed: int
    method: str
    task: Literal["multilabel", "singlelabel"]
    labels: Annotated[list[str], Field(min_length=1)]
    groups: dict[str, DescribedGroup] | None = None
    thresholds: dict[str, FiniteFloat]
    proteins: dict[str, int]
    parameters: int | None = None
    epochs: int | None = None
    network: NetworkSettings | None = None
    training: dict[str, Any] | None = None
    embedding_dim: int | None = None
    graphs: str | None = None
    embeddings: str | None = None
    modality_weights: dict[str, FiniteFloat] | None = None
    kept_epoch: int | None = None
    best_epoch: int | None = None
    regions: RegionKinds | None = None
    members: list[JoinedMember] | None = None
    band: Band | None = None
    conformal: Conformal | None = None
    neighbours: Neighbourhood | None = None

    @model_validator(mode="after")
    def _has_every_threshold(self) -> "ModelDescription":
        missing = [label for label in self.labels if label not in self.thresholds]
        if missing:
            raise ValueError(f"thresholds lack {', '.join(missing)}")
        _ = self.further  # ValueError if labels are not in their place
        return self

    @property
    def further(self) -> tuple[LabelGroup, ...]:
        """The further groups of labels."""
        named = {name: each.model_dump() for name, each in (self.groups or {}).items()}
        return from_content(self.labels, named)

    def of_group(self, group: LabelGroup) -> "ModelDescription":
        """The description of the model as one of this group of labels only."""
        own: dict[str, Any] = {"labels": list(group.labels), "groups": None}
        if group.name != MAIN:
            described_group = (self.groups or {})[group.name]
            kept = ("task", "members", "band", "conformal")
            own |= {name: getattr(described_group, name) for name in kept}
        return self.model_copy(update=own)

    @property
    def key(self) -> ModelKey:
        """Key of the model."""
        return ModelKey(self.split, self.fold, self.seed, self.method)


def described(method_class: str, key: ModelKey, **fields: Any) -> ModelDescription:
    """The description of a model of this version."""
    names = {"split": key.split, "fold": key.fold, "seed": key.seed, "method": key.method}
    content: dict[str, Any] = {"class": method_class, **names, **fields}
    format_ = FORMAT_GROUPS if fields.get("groups") else FORMAT
    return ModelDescription(format=format_, halo=__version__, **content)


def groups_of(proteins: Proteins) -> dict[str, DescribedGroup] | None:
    """Further groups of labels of the proteins that a model is trained on."""
    content = as_content(proteins.further)
    return {name: DescribedGroup(**each) for name, each in content.items()} or None


def write_model(
    folder: Path,
    method_class: str,
    key: ModelKey,
    proteins: Proteins,
    parts: FoldParts,
    thresholds: Sequence[float] | np.ndarray,
    **fields: Any,
) -> None:
    """Write ``model.json`` of a model of one fold.

    Parameters
    ----------
    proteins, parts : what it was trained on
    thresholds : of the labels of all groups, in the order of the proteins' labels
    fields : further fields of `ModelDescription`; ``groups`` if they have more than labels
    """
    names = list(proteins.label_names)
    common = {
        "task": proteins.task,
        "labels": names,
        "groups": groups_of(proteins),
        "thresholds": dict(zip(names, map(float, thresholds), strict=True)),
        "proteins": parts.counts,
    }
    write_description(folder, described(method_class, key, **common | fields))


def write_description(folder: Path, description: ModelDescription) -> None:
    """Write ``model.json`` to a folder."""
    write_typed(Path(folder) / NAME, description)


def read_description(folder: Path) -> ModelDescription:
    """Read ``model.json`` of a folder; HaloError if it is damaged or of another format."""
    fix = "train it again with this version, or use the version that wrote it"
    return read_typed(Path(folder) / NAME, ModelDescription, (FORMAT, FORMAT_GROUPS), fix)
