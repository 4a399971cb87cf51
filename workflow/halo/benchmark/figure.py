"""Figure of the benchmark: macro-F1 of every method, with one panel per run."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from halo.benchmark.table import METRICS, Measured
from halo.report.style import COLOURS, INK, MARKERS, QUIET, new_figure, plain, save, style

METRIC = "macro_f1"
ROW, MARGIN = 0.24, 0.75  # inches


def draw(runs: Mapping[str, Measured], table: pd.DataFrame, file: Path) -> None:
    """Write an SVG; published results have open markers and no intervals."""
    rows = table[table["metric"] == METRIC]
    by_run = {name: rows[rows["run"] == name].iloc[::-1] for name in runs}
    heights = [len(rows) * ROW + MARGIN for rows in by_run.values()]
    with style():
        figure = new_figure(sum(heights))
        panels = figure.subplots(len(runs), squeeze=False, height_ratios=heights, sharex=True)
        for (name, rows), (axes,) in zip(by_run.items(), panels, strict=True):
            for place, row in enumerate(rows.itertuples()):
                main = row.method == runs[name].metrics["main"]
                colour = COLOURS[0] if main else QUIET if row.source else INK
                if pd.notna(row.low):
                    axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.4)
                filling = "white" if row.source else colour
                marker = MARKERS[1] if main else MARKERS[0]
                axes.plot(row.value, place, marker, color=colour, markerfacecolor=filling)
            axes.set_yticks(
                range(len(rows)),
                [
                    f"{plain(row.method)}{' (published)' * bool(row.source)}"
                    for row in rows.itertuples()
                ],
            )
            axes.set_title(plain(runs[name].title))
        panels[-1, 0].set_xlabel(f"{METRICS[METRIC]} on the test proteins, 95 % interval")
        save(figure, file)
