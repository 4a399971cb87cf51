"""Read the release of a download from UniProt."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

HEADER = "uniprot"  # key of the first line of a download, which says where it is from
START = "uniprot-"  # how the name of such a download begins


def release_of(path: Path) -> dict[str, Any] | None:
    """``release``, ``date``, ``query`` and ``entries`` of a download; None of other files."""
    if not Path(path).name.startswith(START):
        return None
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, EOFError, ValueError, RecursionError, zlib.error):
        return None
    return header.get(HEADER) if isinstance(header, dict) else None
