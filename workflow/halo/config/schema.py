"""The JSON schema of the configuration, for editors and for messages."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from halo.config.fault import Path

Schema = Mapping[str, Any]


@cache
def schema_of(kind: type[BaseModel]) -> Schema:
    """The JSON schema of a model, with `$defs` for its sections."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | kind.model_json_schema()


def part_at(kind: type[BaseModel], path: Path) -> Schema:
    """The part of the schema that describes the key at `path`, or an empty one."""
    root = schema_of(kind)
    part = resolved(root, root)
    for step in path:
        for each in alternatives(part, root):
            below = _below(each, step)
            if below is not None:
                part = resolved(below, root)
                break
        else:
            return {}
    return part


def alternatives(part: Schema, root: Schema) -> Iterator[Schema]:
    """A part itself, and what it may be instead: ``anyOf``."""
    yield part
    for each in part.get("anyOf", ()):
        yield resolved(each, root)


def resolved(part: Schema, root: Schema) -> Schema:
    """A part with what it refers to; its own description comes first."""
    if "$ref" not in part:
        return part
    target = root["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**target, **{key: value for key, value in part.items() if key != "$ref"}}


def _below(part: Schema, step: str | int) -> Schema | None:
    if isinstance(step, int):
        return part.get("items")
    if step in part.get("properties", {}):
        return part["properties"][step]
    others = part.get("additionalProperties")
    patterns = part.get("patternProperties", {})
    return next(iter(patterns.values()), others if isinstance(others, Mapping) else None)
