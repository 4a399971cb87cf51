"""Convert values of YAML to the expected types if the conversion is unambiguous."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from halo.config.fault import Path
from halo.errors import HaloError

# A number that YAML 1.1, which Python's readers follow, takes for text: 1e-3 instead of 1.0e-3.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
FOLDS = (("folds",), ("release", "folds"))  # names of folds, which are numbers


def as_json(value: Any) -> str:
    """A configuration as JSON: mappings of other kinds and dates as text.

    HaloError if a value contains itself, as YAML's anchors allow, or half of a surrogate pair.
    """
    try:
        plain = _plain(value)
        json.dumps(plain, default=str, ensure_ascii=False).encode("utf-8")
        return json.dumps(plain, default=str)
    except RecursionError:
        raise HaloError("an anchor of the configuration contains itself; write it out") from None
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise HaloError(
            f"the configuration contains {half!r}, which is half of a character; write the "
            "character itself"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _key(key: Any) -> str:
    """A key as text; YAML reads ``on``, ``no`` and ``1`` as other types."""
    return key if isinstance(key, str) else json.dumps(key, default=str)


def corrected(config: dict[str, Any], errors: Iterable[Mapping[str, Any]]) -> bool:
    """Correct unambiguous values with `errors` of pydantic in place; returns whether any was.

    These are whole numbers written as floats (20.0, 1e3), numbers with an exponent that YAML reads
    as text (1e-3), names of folds written as numbers, and empty sections.
    """
    changed = False
    for error in errors:
        value = _meant(error["type"], error["loc"], error["input"])
        if value is not None and error["loc"]:
            _put(config, error["loc"], value)
            changed = True
    return changed


def _meant(kind: str, path: Path, value: Any) -> Any:
    if kind in ("int_type", "float_type") and isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
        if kind == "float_type":
            return value
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "string_type" and path[:-1] in FOLDS and type(value) is int:
        return str(value)
    if kind in ("dataclass_type", "model_type") and value is None:
        return {}
    return None


def _put(config: dict[str, Any], path: Path, value: Any) -> None:
    node: Any = config
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
