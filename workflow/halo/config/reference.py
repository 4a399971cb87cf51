"""The reference of the configuration, in Markdown, and its JSON schema for editors."""

import argparse
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

from halo.config.methods import CHANGES
from halo.config.model import RunConfig
from halo.config.schema import Schema, alternatives, resolved, schema_of
from halo.files import write_text

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/configuration.md"
HEADING = "## Every key\n\n"
GENERAL = "General keys"
HEAD = "| key | type | default | description |\n|---|---|---|---|\n"


def reference() -> str:
    """A table for each section, with each key's path, type, default and description.

    A key without a default is required, or may be left out.
    """
    root = schema_of(RunConfig)
    tables: dict[str, list[str]] = {}
    for path, part, required in _keys(root, root, ""):
        section, *below = re.split(r"[.\[]", path, maxsplit=1)
        default = "*required*" if required else "*none*"
        if "default" in part:
            default = f"`{json.dumps(part['default'])}`"
        kinds = " or ".join(dict.fromkeys(_kinds(part, root)))
        description = html.escape(part.get("description", ""), quote=False)
        tables.setdefault(section if below else GENERAL, []).append(
            f"| `{path}` | {kinds} | {default} | {description} |\n"
        )
    return "\n".join(f"### {name}\n\n{HEAD}{''.join(rows)}" for name, rows in tables.items())


def _keys(part: Schema, root: Schema, prefix: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, below in part.get("properties", {}).items():
        below = resolved(below, root)
        path = f"{prefix}{name}"
        if "properties" not in below or _changes(below):
            yield path, below, name in part.get("required", ())
        for each in alternatives(below, root):
            if "properties" in each and not _changes(each):
                yield from _keys(each, root, f"{path}.")
            for inner, step in _inner(each, root):
                yield from _keys(inner, root, f"{path}{step}")


def _changes(part: Schema) -> bool:
    """Whether these are keys of another section, which are listed there."""
    return part.get("title", "").endswith(CHANGES)


def _inner(part: Schema, root: Schema) -> Iterator[tuple[Schema, str]]:
    """What stands in a list or under names that are free."""
    if isinstance(part.get("items"), dict):
        yield resolved(part["items"], root), "[]."
    free = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
    for below in free:
        if isinstance(below, dict):
            yield resolved(below, root), ".<name>."


def _kinds(part: Schema, root: Schema) -> Iterator[str]:
    if "anyOf" in part:
        for each in part["anyOf"]:
            yield from _kinds(resolved(each, root), root)
    elif "enum" in part:
        yield ", ".join(f"`{value}`" for value in part["enum"])
    else:
        yield part.get("type", "any")


def main() -> None:
    """Write the tables into their page, or the schema to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schema", type=Path, help="write the JSON schema to this file instead")
    arguments = parser.parse_args()
    if arguments.schema is not None:
        write_text(arguments.schema, json.dumps(schema_of(RunConfig), indent=2) + "\n")
        return
    text = PAGE.read_text(encoding="utf-8").split(HEADING)[0]
    write_text(PAGE, text + HEADING + reference())


if __name__ == "__main__":
    main()
