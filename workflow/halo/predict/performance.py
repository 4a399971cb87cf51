"""What the test of its run says of a bundle's method: written to the bundle, shown on the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from halo.errors import HaloError
from halo.files import read_json
from halo.fold_parts import ALL
from halo.predict.bundle import METRICS, Bundle

LEAKS = ("pairs_above_threshold", "identical_sequences_apart", "isoform_families_apart")
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A part of ``metrics.json``; keys that are not needed here are skipped."""

    model_config = ConfigDict(strict=True)


class Estimate(_Part):
    """A metric and its interval, which is left out where there is none."""

    value: FiniteFloat | None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


class _LabelMetrics(_Part):
    f1: Estimate


class _Test(_Part):
    proteins: Count
    groups: Count
    folds: list[str]
    support: dict[str, Count]
    similar_apart: Count | None = None
    homology: dict[str, Estimate] | None = None


class _Metrics(_Part):
    overall: dict[str, Estimate]
    labels: dict[str, _LabelMetrics]
    test: _Test | None = None


class _AllMetrics(_Metrics):
    label_groups: dict[str, _Metrics] = {}


@dataclass(frozen=True)
class LabelPerformance:
    """A label: its test proteins, and F1 of the method and of homology transfer as texts.

    `homology` is None if the run had no homology transfer.
    """

    name: str
    support: int
    f1: str
    homology: str | None


@dataclass(frozen=True)
class Performance:
    """Metrics of the bundle's method on the test of its run.

    Attributes
    ----------
    proteins, groups
        Numbers of test proteins and of their homology groups.
    folds
        Folds whose models were measured.
    other_models
        Whether the bundle has other models than those.
    how
        What the split kept apart, see `how_apart`.
    macro_f1
        Of the main group of labels.
    labels
        The labels of all groups.
    homology
        Whether there are values of homology transfer.
    further
        Whether there are further groups of labels.
    notes
        Text in Markdown that the bundle's author added, or an empty one.
    """

    proteins: int
    groups: int
    folds: tuple[str, ...]
    other_models: bool
    how: str
    macro_f1: str
    labels: tuple[LabelPerformance, ...]
    homology: bool
    further: bool
    notes: str


def of_test(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The key ``test`` of a bundle's ``metrics.json``, from the metrics of the run.

    ``homology`` has the F1 of homology transfer for each label, and is left out without it.
    """
    methods = metrics["methods"].values()
    homology = next((one for one in methods if one["class"] == "homology"), None)
    content = {
        "proteins": metrics["proteins"],
        "groups": metrics["groups"],
        "folds": list(metrics["folds"]),
        "support": metrics["support"],
        "similar_apart": metrics.get("similar_apart"),
    }
    if homology is not None:
        content["homology"] = {name: of["f1"] for name, of in homology["labels"].items()}
    return content


def how_apart(similar_apart: int | None) -> str:
    """What the audit of the split says of the test, as a part of a sentence on its proteins.

    `similar_apart` is the result of `leaks`, None if it is not known.
    """
    if similar_apart is None:
        return "it is not known whether similar proteins were in the training"
    if similar_apart == 0:
        return "each by a model without similar training proteins"
    return (
        f"but the split has similar proteins in different parts ({similar_apart:,} pairs, "
        "sequences and families of isoforms), so that the metrics may be too high for others"
    )


def leaks(leakage: Mapping[str, Any]) -> int:
    """What the audit of a split found apart that should be in one part; 0 if nothing.

    `leakage` is the content of ``split/leakage.json``. Pairs of similar sequences, sequences of
    several proteins and families of isoforms are counted.
    """
    return sum(leakage[key] for key in LEAKS)


def read_performance(bundle: Bundle) -> Performance | None:
    """The performance of a bundle; None for one of a version that did not write it.

    HaloError if its ``metrics.json`` has something else.
    """
    path = bundle.folder / METRICS
    if METRICS not in bundle.files:
        return None
    try:
        content = _AllMetrics.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise HaloError(
            f"{path}: damaged, {place}: {first['msg']}; make the bundle again"
        ) from None
    if content.test is None:
        return None
    groups = (content, *content.label_groups.values())
    notes = bundle.notes
    return Performance(
        proteins=content.test.proteins,
        groups=content.test.groups,
        folds=tuple(content.test.folds),
        other_models=any(model.fold == ALL for model in bundle.description.models),
        how=how_apart(content.test.similar_apart),
        macro_f1=str(content.overall.get("macro_f1", "–")),
        labels=tuple(label for group in groups for label in _labels(group)),
        homology=any(group.test and group.test.homology for group in groups),
        further=bool(content.label_groups),
        notes=notes.read_text(encoding="utf-8").strip() if notes else "",
    )


def _labels(metrics: _Metrics) -> Iterator[LabelPerformance]:
    test = metrics.test
    if test is None:
        return
    for name, found in metrics.labels.items():
        homology = (test.homology or {}).get(name)
        yield LabelPerformance(
            name,
            test.support.get(name, 0),
            str(found.f1),
            str(homology) if homology is not None else None,
        )
