"""All figures of a run, with titles and captions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from halo.report import plots_data, plots_results
from halo.report.inputs import RunResults, finetuned_method
from halo.report.style import save, style

# Figures of results that each further group of labels has, too.
OF_GROUPS = ("label_f1", "label_mcc", "cooccurrence", "confusion", "threshold_sweep", "calibration")


@dataclass(frozen=True)
class Drawn:
    """A figure: its file is ``<name>.svg``."""

    name: str
    title: str
    caption: str
    figure: Figure


def draw_figures(run: RunResults, folder: Path) -> list[Drawn]:
    """Draw every figure that the run has data for, and write them to `folder`."""
    with style():
        drawn = [
            *_data_figures(run),
            *_training_figures(run),
            *_finetuning_figures(run),
            *_result_figures(run.metrics, run.predictions),
            *(
                figure
                for group, metrics in run.metrics.get("label_groups", {}).items()
                for figure in _group_figures(run, group, metrics)
            ),
        ]
        for figure in drawn:
            save(figure.figure, folder / f"{figure.name}.svg")
    return drawn


def _data_figures(run: RunResults) -> Iterator[Drawn]:
    alone = int(run.identity["max_cross_identity"].isna().sum())
    yield Drawn(
        "labels_by_fold",
        "Labels by fold",
        "A symbol is the share of a fold's proteins that have the label; where the symbols lie "
        "close together, the folds are alike.",
        plots_data.label_shares(run.proteins, run.assignments),
    )
    yield Drawn(
        "cross_identity",
        "Similarity between parts",
        "For every protein, the highest sequence identity with a protein in another part. "
        f"Not shown: {alone:,} proteins without a hit there.",
        plots_data.identity_histogram(run.identity, run.leakage.get("identity")),
    )
    if not (run.structures["status"] == "ok").any():
        return
    yield Drawn(
        "structure_coverage",
        "Structures by label",
        "How many proteins of each label have a structure; the dashed line is the share of all.",
        plots_data.structure_coverage(run.proteins, run.structures),
    )
    if not (run.structures["mean_plddt"] != "").any():  # such as where contacts are all
        return
    yield Drawn(
        "structure_confidence",
        "Confidence of the structures",
        "Confidence of the structure predictions: a mean pLDDT above 90 is very high, above 70 "
        "high, below 50 very low.",
        plots_data.structure_confidence(run.structures),
    )


def _training_figures(run: RunResults) -> Iterator[Drawn]:
    main = run.metrics["main"]
    if not any(key.method == main for key in run.histories):
        return
    yield Drawn(
        "training_loss",
        "Loss",
        "Loss of every model: thin lines on training proteins, thick ones on validation proteins; "
        "rising thick lines indicate overfitting.",
        plots_results.training_loss(run.histories, main),
    )
    yield Drawn(
        "training_f1",
        "Macro-F1 in validation",
        "Macro-F1 of each model on validation proteins after every epoch; the symbol marks the "
        "epoch that was kept.",
        plots_results.training_f1(run.histories, main),
    )


def _finetuning_figures(run: RunResults) -> Iterator[Drawn]:
    method = finetuned_method(run)
    if method is None:
        return
    yield Drawn(
        "finetuning_loss",
        "Loss of the fine-tuning",
        "Loss of the fine-tuning of the language model for every fold: thin lines on training "
        "proteins, thick ones on validation proteins.",
        plots_results.training_loss(run.histories, method),
    )
    yield Drawn(
        "finetuning_f1",
        "Macro-F1 of the fine-tuning in validation",
        "Macro-F1 of the fine-tuned language model on validation proteins after every epoch; the "
        "symbol marks the epoch that was kept.",
        plots_results.training_f1(run.histories, method),
    )


def _group_figures(run: RunResults, group: str, metrics: Mapping[str, Any]) -> Iterator[Drawn]:
    """The figures of results of a further group of labels, with the name of the group."""
    columns = {f"{name}:{group}": name for name in ("labels", "unknown", "decisions")}
    predictions = run.predictions.drop(columns=list(columns.values())).rename(columns=columns)
    for drawn in _result_figures(metrics, predictions):
        if drawn.name in OF_GROUPS:
            yield replace(drawn, name=f"{drawn.name}_{group}", title=f"{drawn.title} ({group})")


def _result_figures(metrics: Mapping[str, Any], predictions: pd.DataFrame) -> Iterator[Drawn]:
    main = metrics["main"]
    if metrics["labels_averaged"]:  # the test may have none of a group of labels
        yield from _label_figures(metrics, predictions)
    sweep = metrics["threshold_sweep"].get(main)
    if sweep is not None:
        line = "The dashed line is the threshold with the best macro-F1 on the calibration part."
        yield Drawn(
            "threshold_sweep",
            "One threshold for all labels",
            f"Metrics of {main} on the test proteins if all labels have the same threshold."
            + (f" {line}" if sweep["chosen"] else ""),
            plots_results.threshold_sweep(sweep),
        )
    if metrics["methods"][main].get("modality_weights"):
        yield Drawn(
            "modality_weights",
            "Weights of the modalities",
            "How much the language model's embedding, the structure and the biochemistry count in "
            "the sum that the network works on; a dot is one trained model.",
            plots_results.modality_weights(metrics),
        )
    yield Drawn(
        "calibration",
        "What a probability is worth",
        "Of the predictions with a given probability, the share that is true; on the dashed line "
        "a probability means what it says. Below, how many pairs of protein and label get each "
        f"probability from {main}.",
        plots_results.reliability(metrics),
    )


def _label_figures(metrics: Mapping[str, Any], predictions: pd.DataFrame) -> Iterator[Drawn]:
    """The figures of the labels that test proteins have."""
    main = metrics["main"]
    for name, title in (("f1", "F1 by label"), ("mcc", "MCC by label")):
        yield Drawn(
            f"label_{name}",
            title,
            "A symbol is the value on the test proteins, the bar its 95 % interval; in brackets, "
            "how many test proteins have the label. Further right is better.",
            plots_results.label_metric(metrics, name),
        )
    yield Drawn(
        "cooccurrence",
        "Labels that go together",
        "Of 100 test proteins that have the label of a row, so many also have that of a column, "
        "where it is known.",
        plots_results.confusion(predictions, metrics, "labels"),
    )
    yield Drawn(
        "confusion",
        "Labels that are predicted",
        f"Of 100 test proteins that have the label of a row, so many are given that of a column by "
        f"{main} (the mean of its seeds); the nearer to the labels that go together, the better.",
        plots_results.confusion(predictions, metrics, "decisions"),
    )
