"""The tables that the stage writes."""

import gzip
import io
from pathlib import Path

import pandas as pd

from halo.files import atomic_path


def write_gzipped_table(path: Path, table: pd.DataFrame) -> None:
    """Write a gzipped CSV atomically; equal tables give equal bytes."""
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as zipped,
        io.TextIOWrapper(zipped, encoding="utf-8", newline="") as text,
    ):
        table.to_csv(text, index=False)
