"""A benchmark's section of the configuration: which runs there are, and what each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halo.config import Config, checked_benchmark, completed_config, load_yaml, merged
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


def benchmark_runs(config: Mapping[str, Any], base: Path) -> tuple[str, dict[str, BenchmarkRun]]:
    """The benchmark's name, and its runs by their names.

    A run's configuration is its ``configfile``, over which goes what stands in `config` beside
    ``benchmark``, over which go the run's own keys. Files are sought from the working directory,
    then from the workflow's folder `base`. HaloError where something is at fault.
    """
    section = checked_benchmark(config["benchmark"])
    common = {key: value for key, value in config.items() if key != "benchmark"}
    runs = {}
    for name, run in section["runs"].items():
        own = {key: value for key, value in run.items() if key not in OF_THE_BENCHMARK}
        try:
            complete = completed_config(
                _layered(_read(run["configfile"], base), common, own)
                | {"run": f"{section['name']}-{name}"},
                base,
            )
        except HaloError as error:
            raise HaloError(f"benchmark.runs.{name}: {error}") from None
        runs[name] = BenchmarkRun(run["title"], run["published"], complete)
    return section["name"], runs


def _read(configfile: str | None, base: Path) -> Config:
    if configfile is None:
        return {}
    for folder in (Path(), Path(base)):
        if (folder / configfile).is_file():
            return load_yaml(folder / configfile)
    raise HaloError(
        f"configfile: there is no file {configfile!r}; mend the path (it is sought from "
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
