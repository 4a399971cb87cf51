"""Figures of the data: the split and the structures."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from halo.proteins.table import Proteins
from halo.report.plots_results import MOST_LABELS
from halo.report.style import COLOURS, DASHES, INK, MARKERS, QUIET, cycle, new_figure, plain

PLDDT_BANDS = (50, 70, 90)  # of AlphaFold DB: very low, low, high, very high


def frequent_labels(proteins: Proteins) -> np.ndarray:
    """Columns of the labels of a figure, the most frequent first."""
    return np.argsort(-proteins.labels.sum(axis=0, dtype=int), kind="stable")[:MOST_LABELS]


def label_shares(proteins: Proteins, assignments: pd.DataFrame) -> Figure:
    """Share of the proteins of each fold that have a label, of those of which it is known."""
    folds = assignments["fold"].reindex(proteins.ids).to_numpy(dtype=object)
    names = sorted(fold for fold in set(folds) if fold)
    columns = frequent_labels(proteins)
    figure = new_figure(1.1 + 0.32 * len(columns))
    axes = figure.subplots()
    rows = np.arange(len(columns))
    for index, fold in enumerate(names):
        positives, known = (
            array[folds == fold][:, columns].sum(axis=0)
            for array in (proteins.labels, proteins.known)
        )
        shares = np.where(known > 0, positives / np.maximum(known, 1), np.nan)
        axes.plot(shares, rows + (index - (len(names) - 1) / 2) * 0.12, linestyle="none",
                  marker=cycle(MARKERS, index), color=cycle(COLOURS, index), markersize=5,
                  label=f"fold {fold}")  # fmt: skip
    axes.set_yticks(rows, [plain(proteins.label_names[column]) for column in columns])
    axes.invert_yaxis()
    axes.set_xlabel("share of the fold's proteins")
    axes.set_xlim(left=0)
    figure.legend(loc="outside upper center", ncols=min(len(names), 5))
    return figure


def identity_histogram(identity: pd.DataFrame, threshold: float | None) -> Figure:
    """Histogram of the highest identity of each protein with a protein in another part."""
    values = 100 * identity["max_cross_identity"].dropna()
    figure = new_figure(2.8)
    axes = figure.subplots()
    axes.hist(values, bins=np.arange(0, 102, 2).tolist(), color=COLOURS[0])
    if threshold is not None:
        axes.axvline(100 * threshold, color=COLOURS[5], linestyle=DASHES[1])
        axes.text(100 * threshold + 1, 0.96, "threshold", color=COLOURS[5], va="top",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(xlabel="highest identity with another part (%)", ylabel="proteins", xlim=(0, 100))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def structure_coverage(proteins: Proteins, manifest: pd.DataFrame) -> Figure:
    """Share of each label's proteins that have a structure; a label without proteins has none."""
    has = (manifest.set_index("id")["status"].reindex(proteins.ids) == "ok").to_numpy()
    labels = proteins.labels.astype(bool)
    columns = [column for column in frequent_labels(proteins) if labels[:, column].any()]
    shares = [100 * has[labels[:, column]].mean() for column in columns]
    figure = new_figure(0.9 + 0.3 * len(columns))
    axes = figure.subplots()
    axes.barh(range(len(columns)), shares, height=0.65, color=COLOURS[0])
    axes.axvline(100 * has.mean(), color=INK, linestyle=DASHES[1], linewidth=1)
    axes.set_yticks(
        range(len(columns)), [plain(proteins.label_names[column]) for column in columns]
    )
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="proteins with a structure (%)", xlim=(0, 100))
    return figure


def structure_confidence(manifest: pd.DataFrame) -> Figure:
    """Histogram of the mean pLDDT of the structures."""
    plddt = pd.to_numeric(manifest["mean_plddt"], errors="coerce").dropna()
    figure = new_figure(2.8)
    axes = figure.subplots()
    axes.hist(plddt, bins=np.arange(0, 102.5, 2.5).tolist(), color=COLOURS[0])
    for band in PLDDT_BANDS:
        axes.axvline(band, color=QUIET, linestyle=DASHES[3], linewidth=1)
    axes.set(xlabel="mean pLDDT of the structure", ylabel="structures", xlim=(0, 100))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
