"""Faults of a configuration, and the error that lists them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from halo.errors import HaloError

Path = tuple[str | int, ...]  # of a key: ("structures", "sources", 0, "kind")
Lines = Mapping[Path, str]  # where the key at a path was written, such as "mine.yaml, line 3"


@dataclass(frozen=True)
class Fault:
    """A key and what is wrong with it, with the fix."""

    path: Path
    text: str


def path_text(path: Sequence[str | int]) -> str:
    """A path as it is written in messages: ``structures.sources[0].kind``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def raise_faults(faults: Iterable[Fault], lines: Lines | None = None) -> None:
    """Raise a HaloError that lists the faults, each once, if there are any."""
    listed = dict.fromkeys(_line(fault, lines or {}) for fault in faults)
    if listed:
        raise HaloError("the configuration has errors:\n" + "\n".join(listed))


def _line(fault: Fault, lines: Lines) -> str:
    known = (
        lines[fault.path[:n]] for n in range(len(fault.path), 0, -1) if fault.path[:n] in lines
    )
    where = next(known, None)
    text = ": ".join(filter(None, (path_text(fault.path), fault.text)))
    return f"  - {text}" + (f" [{where}]" if where else "")


def suggestion(name: object, known: Iterable[str]) -> str:
    """``, did you mean …?``, where a known name is close to it."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
