"""Settings of each stage, from the complete configuration.

`used` is the result of `halo.relevance.relevant`: the configuration without keys that do not
influence results.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from halo.config.merge import Config, merged
from halo.config.yaml_file import load_yaml
from halo.plan import Plan
from halo.proteins.settings import Columns, DatasetSettings
from halo.split.settings import Rule
from halo.training.settings import EXECUTION

EMBEDDING = ("layer", "window", "overlap", "precision")


def chosen(section: Mapping[str, Any], *keys: str) -> Config:
    """The given keys of a section."""
    return {key: section[key] for key in keys}


def ingest_settings(used: Config) -> Config:
    """Settings of the ingest, from the sections `dataset` and `dataset.test`."""
    columns, keys = (
        [field.name for field in fields(section)] for section in (Columns, DatasetSettings)
    )
    dataset = used["dataset"]
    settings = {
        "train": chosen(dataset, *keys),
        "partitioned": used["split"]["mode"] in ("external", "predefined"),
    }
    if dataset["test"]:
        settings["test"] = chosen(dataset["test"], *columns)
    return settings


def network_settings(used: Config, method: str) -> Config:
    """Settings of a network and its training, with the changes of the method."""
    base = chosen(used, "network", "training")
    changes = used["methods"][method]
    return merged(base, {key: changes[key] for key in base if key in changes})


def neighbour_settings(used: Config, method: str) -> Config:
    """Settings of a search among embeddings that differ from their defaults."""
    return used["methods"][method].get("neighbours", {})


def training_execution(config: Config, method: str) -> Config:
    """Settings of a training that do not influence its result."""
    section = config["training"] | config["methods"][method].get("training", {})
    return chosen(section, *EXECUTION)


def embedding_model(config: Mapping[str, Any]) -> str:
    """Name of the language model that makes the embeddings, or has made those of the file."""
    section = config["embeddings"]
    return section["made_by"] if section["source"] == "file" else section["model"]


def embedding_settings(used: Config) -> Config:
    """Settings that influence embeddings; those of a file have fewer."""
    return {key: used["embeddings"][key] for key in EMBEDDING if key in used["embeddings"]}


def finetune_settings(used: Config) -> Config:
    """Settings that influence a fine-tuned language model."""
    section = used.get("finetune", {})
    return {
        "finetune": {key: section[key] for key in section if key not in ("model", "refresh")},
        "embeddings": embedding_settings(used),
    }


def evaluation_settings(config: Config, used: Config) -> Config:
    """Settings of the evaluation, and of what is measured on similar proteins."""
    return {
        "evaluation": chosen(used["evaluation"], "resamples", "seed"),
        "least_identity": config["split"]["identity"],
        "risk": config["cascade"]["risk"],
    }


def release_settings(config: Config, used: Config, plan: Plan, base: Path) -> Config:
    """Arguments of `halo.predict.build_bundle.BundleSettings`; `base` is the workflow's folder."""
    dataset, release = config["dataset"], config["release"]
    registry = load_yaml(Path(base) / "resources/datasets.yaml")
    unknown = {"title": f"The data set of the run {config['run']}"}
    entry = registry.get(dataset.get("registry"), unknown)
    return {
        "name": config["run"],
        "version": release["version"],
        "sequences": release["sequences"],
        "homologues": release["homologues"],
        "language_model": release["language_model"],
        "data": {key: entry[key] for key in ("title", "citation", "licence") if entry.get(key)},
        "simulated": dataset["simulated"],
        "finetuned": plan.released_finetuned,
        "risk": config["cascade"]["risk"],
        "search": chosen(config["split"], *(each.name for each in fields(Rule)), "sensitivity"),
        "embeddings": chosen(config["embeddings"], *EMBEDDING, "tokens_per_batch"),
        "graphs": config["graphs"],
        "structures": used["structures"],
    }
