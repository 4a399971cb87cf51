"""The runs of a benchmark, from the section ``benchmark`` of the configuration."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halo.config import (
    Config,
    checked_benchmark,
    completed_config,
    key_lines,
    load_yaml,
    merged,
)
from halo.config.fault import Lines
from halo.errors import HaloError

OF_THE_BENCHMARK = ("title", "configfile", "published")
PUBLISHED_RESULTS = "resources/published_results.csv"


@dataclass(frozen=True)
class BenchmarkRun:
    """A run of a benchmark.

    Attributes
    ----------
    title : title in the table
    published : data set of ``published_results.csv``, or None
    config : complete configuration
    """

    title: str
    published: str | None
    config: Config


def benchmark_runs(
    config: Mapping[str, Any], base: Path, lines: Lines | None = None
) -> tuple[str, dict[str, BenchmarkRun]]:
    """Name of the benchmark, and its runs by their names.

    The configuration of a run is its ``configfile``, updated with the keys of `config` other than
    ``benchmark``, and then with the keys of the run. Paths are relative to the working directory or
    to the workflow's folder `base`. `lines` are the line numbers of the keys of `config`.

    Raises
    ------
    HaloError
        with the faults of all runs
    """
    lines = lines or {}
    section = checked_benchmark(config["benchmark"], lines)
    common = {key: value for key, value in config.items() if key != "benchmark"}
    runs, faults = {}, []
    for name, run in section["runs"].items():
        own = {key: value for key, value in run.items() if key not in OF_THE_BENCHMARK}
        try:
            _check_published(run["published"], base)
            file = _found(run["configfile"], base)
            complete = completed_config(
                _layered(load_yaml(file) if file else {}, common, own)
                | {"run": f"{section['name']}-{name}"},
                base,
                _lines(file, lines, name),
            )
        except HaloError as error:
            faults.append(f"benchmark.runs.{name}: {error}")
        else:
            runs[name] = BenchmarkRun(run["title"], run["published"], complete)
    if faults:
        raise HaloError("\n".join(faults))
    return section["name"], runs


def _lines(file: Path | None, lines: Lines, run: str) -> Lines:
    """Locations of the keys of a run: its file, the common keys, and its own keys."""
    above = ("benchmark", "runs", run)
    return (
        (key_lines([file]) if file else {})
        | {path: where for path, where in lines.items() if path[0] != "benchmark"}
        | {path[3:]: where for path, where in lines.items() if path[:3] == above and path[3:]}
    )


def _found(configfile: str | None, base: Path) -> Path | None:
    if configfile is None:
        return None
    for folder in (Path(), Path(base)):
        if (folder / configfile).is_file():
            return folder / configfile
    raise HaloError(
        f"configfile: there is no file {configfile!r}; correct the path (relative to "
        f"{Path.cwd()} or to the workflow's folder)"
    )


def _check_published(dataset: str | None, base: Path) -> None:
    """HaloError if there are no published results of the data set of a run."""
    if dataset is None:
        return
    with (base / PUBLISHED_RESULTS).open(newline="", encoding="utf-8") as file:
        known = list(dict.fromkeys(row["dataset"] for row in csv.DictReader(file)))
    if dataset not in known:
        raise HaloError(
            f"published: there are no published results of {dataset!r} in {PUBLISHED_RESULTS}; "
            f"correct the name, one of {', '.join(known)}, or leave it out"
        )


def _layered(*configs: Config) -> Config:
    """Configurations merged in order; methods are replaced as a whole, to omit some."""
    result: Config = {}
    for config in configs:
        result = merged(result, config)
        if "methods" in config:
            result["methods"] = config["methods"]
    return result
