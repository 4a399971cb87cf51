"""What a run will need, said before it starts to need it."""

import json
import logging
import re

from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

# Bytes a residue in the stores, measured on AlphaFold models of human proteins.
STRUCTURE_BYTES = 42
GRAPH_BYTES = 260
# Width of ESM-2's embeddings by the number of layers in the name (t33 and so on).
DIMENSIONS = {"t6": 320, "t12": 480, "t30": 640, "t33": 1280, "t36": 2560}
BYTES_A_NUMBER = 2  # float16


def disk_bytes(residues: int, model: str, embedded: int = 1) -> dict[str, int | None]:
    """Bytes that each store needs for `residues` residues; None where it is not known.

    They are embedded by `embedded` language models.
    """
    found = re.search(r"t\d+", model)
    dimension = DIMENSIONS.get(found.group()) if found else None
    return {
        "structures": residues * STRUCTURE_BYTES,
        "graphs": residues * GRAPH_BYTES,
        "embeddings": dimension and embedded * residues * dimension * BYTES_A_NUMBER,
    }


def log_plan(proteins: Proteins, plan: str) -> None:
    """Log the jobs and the disk that a run of `proteins` takes.

    `plan` is JSON with the numbers ``shards``, ``folds``, ``seeds``, ``networks``,
    ``baselines``, ``finetunings`` and ``embedded``, how many language models embed every protein,
    and ``model``, the one that was published.
    """
    numbers = json.loads(plan)
    distinct = proteins.table.drop_duplicates("seq_hash")
    residues = int(distinct["length"].sum())
    log.info("%s distinct sequences, %s residues", f"{len(distinct):,}", f"{residues:,}")
    folds, embedded = numbers["folds"], numbers["embedded"]
    log.info(
        "jobs to come at most: %s x %s shards, %s fine-tunings, %s trainings, %s baselines, "
        "6 others",
        2 + embedded,
        numbers["shards"],
        numbers["finetunings"],
        folds * numbers["seeds"] * numbers["networks"],
        folds * numbers["baselines"],
    )
    needed = disk_bytes(residues, numbers["model"], embedded)
    parts = [f"{kind} {size_text(size)}" for kind, size in needed.items() if size]
    log.info("disk for what the store does not hold yet, at most: %s", ", ".join(parts))


def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
