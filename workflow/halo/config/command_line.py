"""Parse ``--config key=value`` of the command line as YAML."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePath
from typing import Any

import yaml

from halo.config.fault import Lines, Path
from halo.config.merge import Config, merged
from halo.config.yaml_file import parse_yaml
from halo.errors import HaloError

YAML_STARTS = ("{", "[", '"', "'")
ONCE = {  # options of which Snakemake reads the last one alone, and what to write
    re.compile(r"--config(=|$)|-C"): "write one with all keys: --config run=a seeds=[1]",
    re.compile(r"--configfiles?(=|$)"): (
        "write one with all files, of which later ones override: --configfile first.yaml "
        "second.yaml (halo run has an option of its own for one file: halo run --configfile "
        "first.yaml)"
    ),
}


def with_command_line(config: Mapping[str, Any], arguments: Sequence[str] | None) -> Config:
    """The configuration with the values of ``--config`` as YAML reads them.

    Snakemake reads what stands in braces or brackets as text, so that ``split={"folds": 4}`` gives
    the text ``"4"``. `arguments` are the entries as they were written. Each is read again, and
    replaces Snakemake's reading.
    """
    return merged(config, _values(arguments))


def check_options(program: Sequence[str]) -> None:
    """Refuse a second ``--config`` or ``--configfile``, for which Snakemake drops the first.

    It is another run that would be planned then. `program` are the words of the call; calls by
    Snakemake's API have other words.
    """
    if not program or "snakemake" not in PurePath(program[0]).parts[-2:]:
        return
    options = list(takewhile(lambda word: word != "--", program[1:]))
    for option, fix in ONCE.items():
        given = [word for word in options if option.match(word)]
        if len(given) > 1:
            raise HaloError(
                f"{' and '.join(given)} are given, and Snakemake would ignore all but the last; "
                f"{fix}"
            )


def command_line_keys(arguments: Sequence[str] | None) -> Lines:
    """The keys that ``--config`` sets, for messages."""
    return dict.fromkeys(_paths(_values(arguments), ()), "--config")


def _paths(values: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, key))


def _values(arguments: Sequence[str] | None) -> Config:
    values: Config = {}
    for entry in arguments or ():
        key, _, text = str(entry).partition("=")
        if key in values and not isinstance(values[key], Mapping):
            raise HaloError(f"--config: {key} is given twice; remove one")
        values = merged(values, {key: _value(key, text)})
    return values


def _value(key: str, text: str) -> Any:
    if text.lstrip().startswith(YAML_STARTS):
        return parse_yaml(text, f"--config {key}")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # such as of 2024-13-45, which begins like a date
        return text
    if isinstance(value, int | float):
        return parse_yaml(text, f"--config {key}")  # which refuses numbers such as 0500
    # A date, or a path with a colon in it, is the text that it was written as.
    return value if value is None else text
