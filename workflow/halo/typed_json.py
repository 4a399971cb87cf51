"""Write and read JSON files with a format version, validated by a typed model.

Files may come from anywhere: the format is checked first, then every field.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from halo.errors import HaloError
from halo.files import read_json, write_json


class Part(BaseModel):
    """A part of a file; unknown keys are errors, also in nested settings."""

    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True, frozen=True)


class Versioned(Part):
    """A whole file, with its format and the version of HALO that wrote it."""

    format: int
    halo: str


class LabelSet(Part):
    """Task and labels of a further group of labels, see `halo.label_groups`."""

    task: Literal["multilabel", "singlelabel"]
    labels: Annotated[list[str], Field(min_length=1)]


T = TypeVar("T", bound=Versioned)


def write_typed(file: Path, content: Versioned) -> None:
    """Write all fields that are not None."""
    write_json(
        file, content.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
    )


def read_typed(
    file: Path, kind: type[T], formats: Sequence[int], fix: str, unnumbered: int | None = None
) -> T:
    """Read and check a file of one of the `formats`.

    `unnumbered` is the format of files that were written before there was a number. HaloError with
    the `fix` where the file has another format, or where a field is missing or of another type.
    """
    content = read_json(file)
    if isinstance(content, dict) and unnumbered is not None:
        content.setdefault("format", unnumbered)
    version = content.get("format") if isinstance(content, dict) else None
    if version not in formats or isinstance(version, bool):
        fault = f"has the format {version!r}" if version is not None else "names no format"
        current = " and ".join(map(str, formats))
        raise HaloError(f"{file}: {fault}, and this HALO reads format {current}; {fix}")
    try:
        return kind.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        fault = f"{place}: {first['msg']}" if place else first["msg"]
        raise HaloError(f"{file}: damaged ({fault}); {fix}") from None
