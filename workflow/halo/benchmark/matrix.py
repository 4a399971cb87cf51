"""Estimate the cost of a benchmark before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halo.benchmark.runs import BenchmarkRun
from halo.config import Config, folds, load_yaml
from halo.methods import NETWORKS
from halo.proteins.plan import DIMENSIONS, disk_bytes, size_text
from halo.stage_settings import embedding_model

# Parameters of the published language models (Lin et al. 2023), by the layers in their names.
PARAMETERS = {"t6": 8e6, "t12": 35e6, "t30": 150e6, "t33": 650e6, "t36": 3e9}
SMALL = 2e6  # of a checkpoint that is not among them
# Rates of two CPU cores, measured: residues x parameters a second in embedding (make bench-embed),
# residues x width x layers per second in training.
EMBEDDING_RATE = 7.7e10
TRAINING_RATE = 7.5e6
STEP = 3  # forward passes that a step of the fine-tuning costs
OTHERS = 7  # jobs that a run has once


@dataclass(frozen=True)
class Size:
    """Estimates for one run: number of jobs, hours of two CPU cores, bytes; None: unknown."""

    jobs: int
    hours: float | None
    disk: int | None


def sizes_of(runs: Mapping[str, BenchmarkRun], base: Path) -> dict[str, Size]:
    """Estimates for each run; `base` is the workflow's folder, with the registry of data sets."""
    registry = load_yaml(Path(base) / "resources/datasets.yaml")
    return {name: size_of(run.config, registry) for name, run in runs.items()}


def size_of(config: Config, registry: Mapping[str, Any]) -> Size:
    """Estimates for a run, given its complete configuration and the registry of data sets."""
    classes = [method["class"] for method in config["methods"].values()]
    networks = sum(each in NETWORKS for each in classes)
    count, seeds = len(folds(config)), len(config["seeds"])
    finetuned = config["finetune"]["model"] == "finetuned"
    embedded = count if finetuned else 1  # times that every protein is embedded
    jobs = config["shards"] * (2 + embedded) + count * (finetuned + seeds * len(classes)) + OTHERS
    residues = _residues(config["dataset"], registry)
    if residues is None:
        return Size(jobs, None, None)
    model = embedding_model(config)
    layers = next((name for name in DIMENSIONS if f"_{name}_" in model), "")
    encoding = residues * PARAMETERS.get(layers, SMALL) / EMBEDDING_RATE  # seconds, once
    seconds = embedded * encoding
    if finetuned:
        seconds += count * config["finetune"]["epochs"] * STEP * encoding
    work = residues * config["network"]["hidden"] * config["network"]["layers"]
    seconds += count * seeds * networks * config["training"]["epochs"] * work / TRAINING_RATE
    disk = disk_bytes(residues, model, embedded)
    return Size(jobs, seconds / 3600, sum(size for size in disk.values() if size))


def _residues(dataset: Mapping[str, Any], registry: Mapping[str, Any]) -> int | None:
    """Number of residues of a data set and of its test set; None if unknown."""
    total = 0
    for section in filter(None, (dataset, dataset.get("test"))):
        entry = registry.get(section["registry"])
        if entry is None:
            return None
        share = min(1.0, (section["sample"] or entry["records"]) / entry["records"])
        total += round(share * entry["residues"])
    return total


def matrix_text(sizes: Mapping[str, Size]) -> str:
    """Table of the sizes of all runs and their sum."""
    lines = [f"{'run':24} {'jobs':>7} {'hours':>9} {'disk':>9}"]
    for name, size in sizes.items():
        hours = "?" if size.hours is None else f"{size.hours:,.1f}"
        disk = "?" if size.disk is None else size_text(size.disk)
        lines.append(f"{name:24} {size.jobs:7,} {hours:>9} {disk:>9}")
    all_hours = sum(size.hours or 0 for size in sizes.values())
    all_disk = sum(size.disk or 0 for size in sizes.values())
    total = sum(size.jobs for size in sizes.values())
    lines.append(f"{'all, at most':24} {total:7,} {all_hours:9,.1f} {size_text(all_disk):>9}")
    lines.append(
        "Hours are of two CPU cores and a rough estimate; with GPUs they are a small part of it. "
        "What the store or an earlier call has is not computed again."
    )
    return "\n".join(lines)
