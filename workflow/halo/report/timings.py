"""Time and memory of the stages, from tables with the seconds and memory of their jobs."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd


def read_timings(folder: Path, jobs: Collection[str], shards: int = 1) -> dict[str, dict[str, Any]]:
    """Jobs, seconds and memory by stage.

    `jobs` are the names of the run's benchmark files in `folder`, without suffix, where ``{shard}``
    stands for the number of each of `shards`; the folder may have files of earlier settings, too.

    A stage is a file ``<stage>.tsv`` or the files of a folder ``<stage>/``. ``seconds`` is
    the sum over jobs, ``longest`` the longest job; memory is the highest of a job. A job
    that was too short to be measured has no memory (None).
    """
    rows = []
    names = {job.replace("{shard}", f"{shard:03d}") for job in jobs for shard in range(shards)}
    for name in sorted(names):
        file = Path(folder) / f"{name}.tsv"
        if file.is_file():
            table = pd.read_csv(file, sep="\t", na_values="-")
            rows.append(table.assign(stage=name.partition("/")[0]))
    if not rows:
        return {}
    table = pd.concat(rows, ignore_index=True)
    memory = pd.to_numeric(table["max_rss"], errors="coerce")
    return {
        stage: {
            "jobs": len(rows_of),
            "seconds": round(float(rows_of["s"].sum()), 1),
            "longest": round(float(rows_of["s"].max()), 1),
            "memory_mb": _whole(memory[rows_of.index].max()),
        }
        for stage, rows_of in table.groupby("stage", sort=True)
    }


def _whole(value: float) -> int | None:
    return None if pd.isna(value) else round(value)
