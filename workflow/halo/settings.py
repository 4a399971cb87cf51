"""Fields of the sections of the configuration.

Each stage declares its section as a dataclass whose fields are made by `setting`, which combines
type, default, description and limits. Stages need only the standard library for such objects.
`halo.config` uses the same fields with pydantic to validate the configuration, and to generate the
reference and the JSON schema.
"""

from dataclasses import MISSING, field
from typing import Any

REQUIRED = MISSING  # instead of a default
# Patterns of text.
RUN_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
NAME = "^[a-z][a-z0-9_]*$"
SHA256 = "^[0-9a-f]{64}$"
URL = "^https?://[^/]+"
MOST_SEED = 2**32 - 1  # largest seed for the generators of NumPy, PyTorch and scikit-learn

Faults = list[tuple[str, str]]  # key within a section, and what is wrong with it and the fix


def setting(default: Any, description: str, *, unique: bool = False, **limits: Any) -> Any:
    """Declare a field of a section.

    Parameters
    ----------
    default
        Default value, a class or function that makes it, or `REQUIRED`.
    description
        One line for the reference and for messages.
    unique
        Whether the values of a sequence must be distinct.
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
