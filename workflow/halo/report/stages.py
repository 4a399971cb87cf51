"""Time and memory of the stages, from Snakemake's benchmark files."""

from pathlib import Path
from typing import Any

import pandas as pd


def read_stages(folder: Path) -> dict[str, dict[str, Any]]:
    """Jobs, seconds and memory by stage.

    A stage is a file ``<stage>.tsv`` or the files of a folder ``<stage>/``. ``seconds`` is
    the sum over jobs, ``longest`` the longest job; memory is the highest of a job. A job
    that was too short to be measured has no memory (None).
    """
    rows = []
    for file in sorted(Path(folder).rglob("*.tsv")):
        stage = file.relative_to(folder).parts[0].removesuffix(".tsv")
        rows.append(pd.read_csv(file, sep="\t", na_values="-").assign(stage=stage))
    if not rows:
        return {}
    table = pd.concat(rows, ignore_index=True)
    memory = pd.to_numeric(table["max_rss"], errors="coerce")
    return {
        stage: {
            "jobs": len(found),
            "seconds": round(float(found["s"].sum()), 1),
            "longest": round(float(found["s"].max()), 1),
            "memory_mb": _whole(memory[found.index].max()),
        }
        for stage, found in table.groupby("stage", sort=True)
    }


def _whole(value: float) -> int | None:
    return None if pd.isna(value) else round(value)
