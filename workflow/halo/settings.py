"""Fields of the sections of the configuration.

Each stage declares its section as a dataclass whose fields are made by `setting`: name, type,
default, description and limits stand in one place. The stage takes such an object and needs
nothing but the standard library for it; `halo.config` has pydantic read the same fields, checks a
run's configuration by them, and makes the reference and the JSON schema of them.
"""

from dataclasses import MISSING, field
from typing import Any

REQUIRED = MISSING  # in place of a default
# Patterns of text.
RUN_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
NAME = "^[a-z][a-z0-9_]*$"
SHA256 = "^[0-9a-f]{64}$"
URL = "^https?://[^/]+"
MOST_SEED = 2**32 - 1  # what the generators of NumPy, PyTorch and scikit-learn all take

Faults = list[tuple[str, str]]  # key within a section, and what is wrong with it and the fix


def setting(default: Any, description: str, *, unique: bool = False, **limits: Any) -> Any:
    """A field of a section.

    Parameters
    ----------
    default
        Its default, a class or function that makes it, or `REQUIRED`.
    description
        One line for the reference and for messages.
    unique
        Of a sequence: no value may stand in it twice.
    limits
        As in ``pydantic.Field``: ``ge``, ``gt``, ``le``, ``lt``, ``multiple_of``, ``pattern``,
        ``min_length``, ``max_length``.
    """
    metadata = {"description": description, **limits}
    if unique:
        metadata["json_schema_extra"] = {"uniqueItems": True}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)
