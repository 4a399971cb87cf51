"""Keys of the configuration that influence results; changes of others cause no reruns."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from halo.canonical import canonical
from halo.methods import JOINING, NETWORKS

# Keys about execution, paths, and further use of the results.
EXECUTION = (
    "shards", "store", "device", "container",
    "fasta", "variants", "scan", "bundle", "predict", "release",
    "structures.transport",
    "embeddings.tokens_per_batch",
    "training.workers", "training.cache_gb",
    "finetune.gpus", "finetune.save_minutes", "finetune.keep_embeddings",
)  # fmt: skip
# Files whose content matters (as an input), and not their path.
FILES = (
    "dataset.proteins", "dataset.labels.table", "dataset.test.proteins",
    "dataset.test.labels.table", "dataset.regions.table",
    "split.base", "structures.names", "structures.sequences",
    "embeddings.path",
)  # fmt: skip
# Keys of `embeddings` that only one of its sources uses.
MODEL_ONLY = ("model", "sha256", "window", "overlap", "precision")
FILE_ONLY = ("source", "path", "made_by")
# Keys of `split` that only some of its modes use.
OF_MODES = {
    "folds": ("kfold", "predefined"),
    "fractions": ("fractions",),
    "test": ("external", "predefined"),
    "val": ("external", "predefined"),
    "val_fraction": ("kfold", "external", "predefined"),
    "cal_fraction": ("kfold", "external", "predefined"),
    "repair": ("predefined",),
}


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete configuration without the keys that do not influence results of the run."""
    kept = deepcopy(dict(config))
    classes = {method["class"] for method in kept["methods"].values()}
    mode = kept["split"]["mode"]
    unused = [f"split.{key}" for key, modes in OF_MODES.items() if mode not in modes]
    from_file = kept["embeddings"]["source"] == "file"
    of_source = MODEL_ONLY if from_file else FILE_ONLY
    unused += [f"embeddings.{key}" for key in of_source]
    if kept["finetune"]["model"] != "finetuned":
        unused.append("finetune")
    if kept["dataset"]["regions"] is None:
        unused.append("training.region_weight")
    if not classes & set(JOINING):
        unused.append("cascade")
    if not classes & set(NETWORKS):
        unused += ["network", "training"]
    if kept["dataset"]["groups"] is None:
        unused.append("training.group_weight")
    for section in ("dataset", "dataset.test"):
        groups = (kept["dataset"] if section == "dataset" else kept["dataset"]["test"]) or {}
        unused += [f"{section}.groups.{name}.table" for name in groups.get("groups") or ()]
    for key in (*EXECUTION, *FILES, *unused):
        _drop(kept, key.split("."))
    for method in kept["methods"].values():
        for key in EXECUTION:
            if key.startswith("training."):
                _drop(method, key.split("."))
        if not method.get("training"):
            method.pop("training", None)
    return canonical(kept)


def _drop(section: dict[str, Any], path: list[str]) -> None:
    *parents, key = path
    for name in parents:
        section = section.get(name) or {}
    section.pop(key, None)
