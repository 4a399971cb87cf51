"""A benchmark's section of the configuration: which runs there are, and what each is."""

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


@dataclass(frozen=True)
class BenchmarkRun:
    """A run of a benchmark.

    Attributes
    ----------
    title : what the table calls it
    published : data set of ``published_results.csv``, or None
    config : its configuration, complete
    """

    title: str
    published: str | None
    config: Config


def benchmark_runs(
    config: Mapping[str, Any], base: Path, lines: Lines | None = None
) -> tuple[str, dict[str, BenchmarkRun]]:
    """The benchmark's name, and its runs by their names.

    A run's configuration is its ``configfile``, over which goes what stands in `config` beside
    ``benchmark``, over which go the run's own keys. Files are sought from the working directory,
    then from the workflow's folder `base`. `lines` says where the keys of `config` stand.
    HaloError where something is at fault, in any of the runs.
    """
    lines = lines or {}
    section = checked_benchmark(config["benchmark"], lines)
    common = {key: value for key, value in config.items() if key != "benchmark"}
    runs, faults = {}, []
    for name, run in section["runs"].items():
        own = {key: value for key, value in run.items() if key not in OF_THE_BENCHMARK}
        try:
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
    """Where the keys of a run stand: its file, over it what holds for all, over that its own."""
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
        f"configfile: there is no file {configfile!r}; correct the path (it is sought from "
        f"{Path.cwd()} and from the workflow)"
    )


def _layered(*configs: Config) -> Config:
    """Each over the ones before it; methods replace those before, or none could be left out."""
    result: Config = {}
    for config in configs:
        result = merged(result, config)
        if "methods" in config:
            result["methods"] = config["methods"]
    return result
