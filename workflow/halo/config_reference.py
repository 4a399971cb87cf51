"""The reference of the configuration, in Markdown, made from its schema."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from halo.config import load_yaml
from halo.files import write_text

ROOT = Path(__file__).parents[2]
HEADING = "## Every key\n\n"


def reference(schema: Mapping[str, Any]) -> str:
    """A table with each key's path, type, default and description.

    A key without a default is required, or may be left out.
    """
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for path, part, required in _keys(schema, schema, ""):
        default = "*required*" if required else "*none*"
        if "default" in part:
            default = f"`{json.dumps(part['default'])}`"
        cells = (f"`{path}`", _type(part), default)
        lines.append(f"| {' | '.join(cells)} | {part.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _keys(
    node: Mapping[str, Any], schema: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    for name, part in node.get("properties", {}).items():
        if "$ref" in part:
            part = {**schema["$defs"][part["$ref"].rsplit("/", 1)[1]], **part}
        path = f"{prefix}{name}"
        if part.get("properties"):
            yield from _keys(part, schema, f"{path}.")
        else:
            yield path, part, name in node.get("required", ())
            for below, step in (("items", "[]."), ("additionalProperties", ".<name>.")):
                if isinstance(part.get(below), Mapping):
                    yield from _keys(part[below], schema, f"{path}{step}")


def _type(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    kinds = part.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else kinds


if __name__ == "__main__":
    readme = ROOT / "config/README.md"
    text = readme.read_text(encoding="utf-8").split(HEADING)[0]
    schema = load_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    write_text(readme, text + HEADING + reference(schema))
