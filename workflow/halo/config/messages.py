"""Convert errors of pydantic to messages with the key, the error, and the fix."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from halo.config.fault import Fault, suggestion
from halo.config.schema import alternatives, part_at, schema_of
from halo.settings import NAME, RUN_NAME, SHA256, URL

WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a section of keys",
    "dataclass_type": "a section of keys",
    "model_type": "a section of keys",
}
LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
# What the patterns of the model say, in words.
PATTERNS = {
    RUN_NAME: "does not begin with a letter or digit, or has more than letters, digits, _ . and -",
    NAME: "does not begin with a small letter, or has more than small letters, digits and _",
    SHA256: "is not 64 hexadecimal digits in small letters",
    URL: "does not begin with http:// or https:// and a host",
}
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MISSING = ("missing", "missing_argument")
KEY = "[key]"  # pydantic's last step to a key that is wrong itself


def explain(error: Mapping[str, Any], kind: type[BaseModel]) -> Iterator[Fault]:
    """Convert an error of pydantic for this model to a fault."""
    path, value, context = error["loc"], error["input"], error.get("ctx", {})
    own_key = bool(path) and path[-1] == KEY
    path = path[:-1] if own_key else path
    if error["type"] in UNKNOWN:
        yield Fault(path, _unknown(path, kind))
        return
    part = part_at(kind, path)
    if error["type"] in MISSING:
        yield Fault(path, f"missing; give it ({part.get('description', '')})")
        return
    if error["type"] == "tuple_type" and "$ref" in part.get("items", {}):
        text = (
            f"{_shown(value)} is {_type(value)}, but a list of sections is expected, "
            "[{key: value}]"
        )
    else:
        text = f"{_shown(value)} {_wrong(error['type'], value, context, own_key)}"
    yield Fault(path, text + _hint(part))


def _unknown(path: tuple, kind: type[BaseModel]) -> str:
    root = schema_of(kind)
    parts = alternatives(part_at(kind, path[:-1]), root)
    known = sorted({key for part in parts for key in part.get("properties", ())})
    return f"unknown key{suggestion(path[-1], known)}; known here: {', '.join(known)}"


def _wrong(kind: str, value: Any, context: Mapping[str, Any], own_key: bool) -> str:
    if kind in WANTED:
        return _other_type(kind, value)
    if kind in LIMITS:
        key, words = LIMITS[kind]
        return f"is not {words} {context[key]:.15g}"
    match kind:
        case "finite_number":
            return "is not a finite number; give one"
        case "literal_error":
            known = context["expected"].replace(" or ", ", ")
            hint = suggestion(str(value).lower(), re.findall(r"'([^']*)'", known))
            return f"is not one of {known}{hint}"
        case "string_pattern_mismatch":
            what = "is a name that" if own_key else "is text that"
            return (
                f"{what} {PATTERNS.get(context['pattern'], 'does not match ' + context['pattern'])}"
            )
        case "string_too_short":
            return "is empty text; give it, or leave the key out"
        case "too_short":
            return f"has {context['actual_length']} of at least {context['min_length']} entries"
        case "too_long":
            return f"has {context['actual_length']} of at most {context['max_length']} entries"
        case _:
            return f"is not valid: {kind.replace('_', ' ')}"


def _other_type(kind: str, value: Any) -> str:
    wanted = WANTED[kind]
    if value is None:
        return f"stands for no value, but {wanted} is expected; leave the key out for its default"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return (
            f"is {_type(value)} to YAML, but text is expected; put it in quotes as it is to be read"
        )
    if kind == "tuple_type" and not isinstance(value, Mapping):
        return f"is {_type(value)}, but a list is expected; write it in brackets, [{value}]"
    if isinstance(value, str) and kind in ("int_type", "float_type", "bool_type"):
        way = "; write it without quotes" if _type(_read(value)) != "text" else ""
        return f"is text, but {wanted} is expected{way}"
    return f"is {_type(value)}, but {wanted} is expected"


def _read(text: str) -> Any:
    """The value of a text without quotes in YAML."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # such as of 2024-13-45, which begins like a date
        return text


def _type(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number with a fraction"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a section of keys"


def _shown(value: Any) -> str:
    """A value in YAML, truncated if it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hint(part: Mapping[str, Any]) -> str:
    description = part.get("description", "")
    return f" ({description})" if description else ""
