"""Figures of the results of methods."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from halo.model_key import ModelKey
from halo.report.style import COLOURS, DASHES, INK, MARKERS, QUIET, cycle, new_figure, plain

MOST_LABELS = 30  # rows of a figure; of more labels the most frequent are drawn
SWEPT_NAMES = {"macro_f1": "macro-F1", "micro_f1": "micro-F1", "micro_mcc": "overall MCC"}
METRIC_NAMES = {"f1": "F1", "mcc": "Matthews correlation (MCC)"}


def shown_labels(metrics: Mapping[str, Any]) -> list[str]:
    """The labels of a figure, the most frequent in the test part first."""
    support = metrics["support"]
    return sorted(metrics["labels_averaged"], key=lambda name: -support[name])[:MOST_LABELS]


def label_metric(metrics: Mapping[str, Any], name: str) -> Figure:
    """A metric by label and method, with its interval."""
    labels, methods = shown_labels(metrics), metrics["methods"]
    figure = new_figure(1.2 + len(labels) * (0.18 + 0.1 * len(methods)))
    axes = figure.subplots()
    rows = np.arange(len(labels))
    offsets = np.linspace(-0.3, 0.3, len(methods)) if len(methods) > 1 else [0.0]
    for index, (method, offset) in enumerate(zip(methods, offsets, strict=True)):
        estimates = [methods[method]["labels"][label][name] for label in labels]
        _points(axes, estimates, rows + offset, index, method)
    axes.set_yticks(rows, [f"{plain(label)} ({metrics['support'][label]:,})" for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for row in rows[:-1]:
        axes.axhline(row + 0.5, color="#eeeeee", linewidth=0.8)
    axes.set_xlabel(METRIC_NAMES[name])
    axes.set_xlim(right=1.02)
    figure.legend(loc="outside upper center", ncols=min(len(methods), 3))
    return figure


def _points(
    axes: Axes, estimates: list[Mapping[str, Any]], rows: np.ndarray, index: int, method: str
) -> None:
    value, low, high = _columns(estimates)
    # The value may lie outside of a percentile interval by a hair.
    errors = np.maximum([value - low, high - value], 0)
    axes.errorbar(
        value, rows, xerr=errors, label=method, linestyle="none", markersize=5, capsize=2,
        elinewidth=1.2, color=cycle(COLOURS, index), marker=cycle(MARKERS, index),
    )  # fmt: skip


def _columns(estimates: list[Mapping[str, Any]]) -> Iterator[np.ndarray]:
    """``value``, ``low`` and ``high`` of all estimates, NaN where one is not defined."""
    return (np.array([e[key] for e in estimates], dtype=float) for key in ("value", "low", "high"))


def reliability(metrics: Mapping[str, Any]) -> Figure:
    """The reliability curve of every method, above the sizes of the bins of the main one."""
    figure = new_figure(5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    for index, (method, content) in enumerate(metrics["methods"].items()):
        bins = content["reliability"]
        x = [b["probability"] for b in bins]
        value, low, high = _columns([b["observed"] for b in bins])
        colour = cycle(COLOURS, index)
        upper.plot(
            x, value, label=method, color=colour, marker=cycle(MARKERS, index), markersize=5,
            linestyle=cycle(DASHES, index),
        )  # fmt: skip
        if method == metrics["main"]:
            upper.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            width = bins[0]["high"] - bins[0]["low"]
            lower.bar([b["low"] + width / 2 for b in bins], [b["count"] for b in bins],
                      width=0.9 * width, color=colour)  # fmt: skip
    upper.set(ylabel="share that is true", ylim=(-0.02, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    lower.set(xlabel="predicted probability", ylabel="pairs", yscale="log", ylim=(0.8, None))
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_xlim(0, 1)
    return figure


def threshold_sweep(sweep: Mapping[str, Any]) -> Figure:
    """Metrics of a method against one common threshold; the chosen one is marked."""
    figure = new_figure(3.6)
    axes = figure.subplots()
    for index, (name, title) in enumerate(SWEPT_NAMES.items()):
        colour = cycle(COLOURS, index)
        curve = np.array(sweep[name], dtype=float)  # NaN where the metric is not defined
        axes.plot(
            sweep["thresholds"], curve, label=title, color=colour,
            linestyle=cycle(DASHES, index),
        )  # fmt: skip
        if sweep["chosen"] is not None and sweep["chosen"][name]["value"] is not None:
            axes.plot(
                sweep["chosen"]["threshold"], sweep["chosen"][name]["value"], color=colour,
                marker=cycle(MARKERS, index), markersize=6,
            )  # fmt: skip
    if sweep["chosen"] is not None:
        axes.axvline(sweep["chosen"]["threshold"], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlabel="threshold of all labels", ylabel="value on the test", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def confusion(predictions: pd.DataFrame, metrics: Mapping[str, Any], column: str) -> Figure:
    """Of the proteins that truly have a row's label, the share with a column's label.

    `column` says where that one is taken from: ``labels``, the truth, or ``decisions``,
    the predictions of the main method. True labels are counted among the proteins of which the
    column's label is known.
    """
    labels = shown_labels(metrics)
    table = predictions[predictions["method"] == metrics["main"]]
    truth, other = membership(table["labels"], labels), membership(table[column], labels)
    counted = np.ones_like(truth)
    if column == "labels":
        counted = ~membership(table["unknown"], labels)
    shares = shares_of(truth, other, counted)
    figure = new_figure(1.3 + 0.34 * len(labels))
    _heat_map(figure.subplots(), shares, labels)
    return figure


def shares_of(truth: np.ndarray, other: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Of the proteins with the label of a row, the share with that of a column; NaN of none.

    All are bool [n, labels]; a protein is in a column where it is `counted` there.
    """
    of_row = truth.T.astype(float)
    both, number = of_row @ (other & counted), of_row @ counted
    return np.divide(both, number, out=np.full_like(both, np.nan), where=number > 0)


def membership(joined: pd.Series, labels: list[str]) -> np.ndarray:
    """Whether each name of `labels` is in each text of names joined by ``;``, bool [n, labels]."""
    sets = [set(text.split(";")) for text in joined]
    return np.array([[label in names for label in labels] for names in sets])


def _heat_map(axes: Axes, shares: np.ndarray, labels: list[str]) -> None:
    centres = np.arange(len(labels))
    axes.pcolormesh(centres, centres, shares, cmap="Blues", vmin=0, vmax=1.15,
                    edgecolors="white", linewidth=1)  # fmt: skip
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    names = list(map(plain, labels))
    axes.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, names)
    axes.spines[:].set_visible(False)
    if len(labels) > 16:
        return
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.6 else INK
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour,
                      fontsize=9)  # fmt: skip


Histories = Mapping[ModelKey, pd.DataFrame]


def training_loss(histories: Histories, main: str) -> Figure:
    """Loss of one method's models in training (thin) and validation."""
    figure, axes, runs = _training_figure(histories, main)
    for index, table in runs:
        colour, dash = cycle(COLOURS, index), cycle(DASHES, index)
        axes.plot(table["epoch"], table["train_loss"], color=colour, linewidth=0.8, alpha=0.7)
        axes.plot(table["epoch"], table["val_loss"], color=colour, linestyle=dash)
    axes.set_ylabel("loss")
    return figure


def training_f1(histories: Histories, main: str) -> Figure:
    """Macro-F1 of one method's models in validation, with the epoch that was kept."""
    figure, axes, runs = _training_figure(histories, main)
    for index, table in runs:
        colour, dash = cycle(COLOURS, index), cycle(DASHES, index)
        kept = table[table["kept"] == 1].iloc[-1]
        axes.plot(table["epoch"], table["val_macro_f1"], color=colour, linestyle=dash)
        axes.plot(kept["epoch"], kept["val_macro_f1"], color=colour,
                  marker=cycle(MARKERS, index), markersize=6)  # fmt: skip
    axes.set(ylabel="validation macro-F1", ylim=(0, 1))
    return figure


def _training_figure(
    histories: Histories, main: str
) -> tuple[Figure, Axes, list[tuple[int, pd.DataFrame]]]:
    """An empty figure with a legend of the folds, and each history with its fold's number."""
    chosen = {(k.fold, k.seed): table for k, table in histories.items() if k.method == main}
    folds = sorted({fold for fold, _ in chosen})
    figure = new_figure(3.3)
    axes = figure.subplots()
    for index, fold in enumerate(folds):
        axes.plot([], [], color=cycle(COLOURS, index), linestyle=cycle(DASHES, index),
                  marker=cycle(MARKERS, index), label=f"fold {fold}")  # fmt: skip
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=min(len(folds), 5))
    return figure, axes, [(folds.index(fold), chosen[fold, seed]) for fold, seed in sorted(chosen)]


def modality_weights(metrics: Mapping[str, Any]) -> Figure:
    """The weights of the main method's modalities; a dot is a trained model."""
    models = metrics["methods"][metrics["main"]]["modality_weights"]
    names = [name for name in models[0] if name not in ("fold", "seed")]
    figure = new_figure(0.9 + 0.5 * len(names))
    axes = figure.subplots()
    for row, name in enumerate(names):
        weights = np.array([model[name] for model in models])
        axes.barh(row, weights.mean(), height=0.55, color=cycle(COLOURS, row), alpha=0.75)
        axes.plot(weights, np.full(len(weights), row), "o", color=INK, markersize=3.5)
        axes.text(weights.max() + 0.02, row, f"{weights.mean():.2f}", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="weight in the sum", xlim=(0, 1))
    return figure
