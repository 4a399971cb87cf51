"""Table of the benchmark: every method of every run, with intervals and published results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import read_json, read_text_table
from halo.markdown import cell

METRICS = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "macro_mcc": "MCC",
    "jaccard": "Jaccard",
    "exact_match": "exact match",
    "macro_average_precision": "average precision",
}
# Names of the published figures, and of what they are here.
PUBLISHED = {"f1": "macro_f1", "mcc": "macro_mcc"}
COLUMNS = (
    "run", "method", "metric", "value", "low", "high",
    "difference", "difference_low", "difference_high", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A run of the benchmark that has been evaluated.

    Attributes
    ----------
    title : title in the table
    published : data set of the published results, or None
    metrics : content of its ``metrics.json``
    leaking : test proteins of its split with a similar one in training
    """

    title: str
    published: str | None
    metrics: Mapping[str, Any]
    leaking: int


def read_measured(title: str, published: str, metrics: Path, leakage: Path) -> Measured:
    """A run from its ``metrics.json`` and ``leakage.json``; `published` may be empty."""
    leaking = read_json(Path(leakage))["tested_proteins_above_threshold"]
    return Measured(title, published or None, read_json(Path(metrics)), leaking)


def read_published(path: Path) -> pd.DataFrame:
    """Published results of whole data sets (not of single labels).

    HaloError with the line of a value that is no number.
    """
    table = read_text_table(path)
    missing = {"dataset", "method", "metric", "value", "labels", "split", "source"} - set(table)
    if missing:
        raise HaloError(f"{path}: the columns {', '.join(sorted(missing))} are missing")
    number = np.isfinite(pd.to_numeric(table["value"], errors="coerce"))
    if not number.all():
        row = int(np.argmin(number))
        raise HaloError(
            f"{path}, line {row + 2}: the value {table['value'].iat[row]!r} is no number; write "
            "one such as 0.66, with its standard deviation in the column sd, or delete the line"
        )
    whole = table["labels"].str.fullmatch(r"\d*")
    return table[whole].assign(metric=table["metric"].replace(PUBLISHED))


def long_table(runs: Mapping[str, Measured], published: pd.DataFrame) -> pd.DataFrame:
    """One row a run, method and metric, with the columns `COLUMNS`.

    A difference is the main method's value minus the method's, with the interval of the paired
    bootstrap, for metrics that have one; ``source`` is empty for results of this benchmark.
    """
    rows = [row for name, run in runs.items() for row in _measured_rows(name, run)]
    for name, run in runs.items():
        for row in published[published["dataset"] == run.published].itertuples():
            if row.metric in METRICS:
                labels = f"{row.labels} labels" if row.labels else "labels not stated"
                source = f"{row.source}; {row.split or 'split not stated'}; {labels}"
                value = float(row.value)
                rows.append({"run": name, "method": row.method, "metric": row.metric}
                            | {"value": value, "source": source})  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measured_rows(name: str, run: Measured) -> Iterator[dict[str, Any]]:
    for method, results in run.metrics["methods"].items():
        differences = run.metrics["differences"].get(method, {}).get("overall", {})
        for metric in METRICS:
            row = {"run": name, "method": method, "metric": metric, "source": ""}
            row |= results["overall"][metric]
            if metric in differences:
                difference = differences[metric]
                row |= {
                    "difference": difference["value"],
                    "difference_low": difference["low"],
                    "difference_high": difference["high"],
                }
            yield row


def markdown(runs: Mapping[str, Measured], table: pd.DataFrame) -> str:
    """The table as Markdown: one section per run, one row per method."""
    sections = [_section(name, run, table[table["run"] == name]) for name, run in runs.items()]
    return "\n\n".join(sections) + "\n"


def _section(name: str, run: Measured, rows: pd.DataFrame) -> str:
    metrics = run.metrics
    main = metrics["main"]
    averaged = metrics["labels_averaged"]
    labels = f"{len(averaged)} of {len(metrics['labels'])} labels"
    lines = [
        f"## {run.title}",
        "",
        f"{metrics['proteins']:,} test proteins in {metrics['groups']:,} homology groups. Tested "
        f"proteins of the split that have a similar one in training: {run.leaking:,}. Macro "
        f"averages are over {labels} ({', '.join(averaged)}). The last column is the macro-F1 of "
        f"{main} less the method's, in the same resamples of the homology groups.",
        "",
        f"| method | {' | '.join(METRICS.values())} | {main} is better by |",
        "|---" * (len(METRICS) + 2) + "|",
    ]
    here, elsewhere = rows[rows["source"] == ""], rows[rows["source"] != ""]
    for method, rows_of in here.groupby("method", sort=False):
        cells = rows_of.set_index("metric")
        shown = [_with_interval(*cells.loc[m, ["value", "low", "high"]]) for m in METRICS]
        lines.append(f"| {method} | {' | '.join(shown)} | {_verdict(cells.loc['macro_f1'])} |")
    for (method, source), rows_of in elsewhere.groupby(["method", "source"], sort=False):
        values = rows_of.set_index("metric")["value"]
        shown = [f"{values[m]:.3f}" if m in values else "" for m in METRICS]
        lines.append(f"| *{cell(method)}*, published ({cell(source)}) | {' | '.join(shown)} | |")
    return "\n".join(lines)


def _with_interval(value: float, low: float, high: float) -> str:
    """The value and its interval, which a test of one homology group does not have."""
    if pd.isna(value):
        return "–"
    if pd.isna(low):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _verdict(row: pd.Series) -> str:
    """The difference to the main method, and whether it is significant."""
    if pd.isna(row["difference"]):
        return ""
    low, high = row["difference_low"], row["difference_high"]
    if pd.isna(low):
        return f"{_with_interval(row['difference'], low, high)}: interval not defined"
    word = "better" if low > 0 else "worse" if high < 0 else "not different"
    return f"{_with_interval(row['difference'], low, high)}: {word}"
