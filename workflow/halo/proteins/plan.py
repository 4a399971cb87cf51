"""Estimate the jobs and the disk space of a run before it starts."""

import json
import logging
import re

from halo.proteins.table import Proteins

log = logging.getLogger(__name__)

# Bytes per residue in the stores, measured on AlphaFold models of human proteins.
STRUCTURE_BYTES = 42
GRAPH_BYTES = 260
# Width of ESM-2's embeddings by the number of layers in the name (t33 and so on).
DIMENSIONS = {"t6": 320, "t12": 480, "t30": 640, "t33": 1280, "t36": 2560}
BYTES_A_NUMBER = 2  # float16


def disk_bytes(residues: int, model: str, embedded: int = 1) -> dict[str, int | None]:
    """Bytes that each store needs for `residues` residues; None if unknown.

    `embedded` is the number of language models that embed every protein.
    """
    layers = re.search(r"t\d+", model)
    dimension = DIMENSIONS.get(layers.group()) if layers else None
    return {
        "structures": residues * STRUCTURE_BYTES,
        "graphs": residues * GRAPH_BYTES,
        "embeddings": dimension and embedded * residues * dimension * BYTES_A_NUMBER,
    }


def log_plan(proteins: Proteins, plan: str) -> None:
    """Log the number of jobs and the disk space of a run of `proteins`.

    `plan` is JSON with the numbers ``shards``, ``folds``, ``seeds``, ``networks``,
    ``baselines``, ``finetunings`` and ``embedded`` (language models that embed every protein),
    and the name of the pretrained language model, ``model``.
    """
    numbers = json.loads(plan)
    distinct = proteins.table.drop_duplicates("seq_hash")
    residues = int(distinct["length"].sum())
    log.info("%s distinct sequences, %s residues", f"{len(distinct):,}", f"{residues:,}")
    folds, embedded = numbers["folds"], numbers["embedded"]
    log.info(
        "at most these jobs: %s x %s shards, %s fine-tunings, %s trainings, %s baselines, 6 others",
        2 + embedded,
        numbers["shards"],
        numbers["finetunings"],
        folds * numbers["seeds"] * numbers["networks"],
        folds * numbers["baselines"],
    )
    needed = disk_bytes(residues, numbers["model"], embedded)
    parts = [f"{store} {size_text(size)}" for store, size in needed.items() if size]
    log.info("at most this disk space, if the store is empty: %s", ", ".join(parts))


def size_text(size: float) -> str:
    """Format a number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
