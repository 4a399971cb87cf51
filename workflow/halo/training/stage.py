"""The train stage: train one method on one fold with one seed, and predict its held-out parts."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from halo.code_digest import code_digest
from halo.device import needing_memory
from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.layout import layout_of
from halo.embeddings.leakage import require_own_language_model
from halo.files import read_json, write_table
from halo.fold_parts import ALL, TRAIN, FoldParts
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.label_groups import as_content
from halo.methods import WITH_REGIONS, modules_of
from halo.model_description import write_model
from halo.model_key import ModelKey
from halo.network.classes import NETWORKS
from halo.network.graph_attention import fuse_inference
from halo.network.model import NetworkSettings
from halo.network.standardize import PROTEINS, StandardizeEmbedding
from halo.predictions import write_predictions
from halo.proteins.table import Proteins
from halo.regions.table import read_regions
from halo.shards import open_store
from halo.store import Store, fingerprint_of
from halo.training.checkpoint import parameter_count, save_weights
from halo.training.data import ProteinDataset
from halo.training.decisions import probabilities
from halo.training.loop import Training, score
from halo.training.regions import predict_regions, write_predicted
from halo.training.settings import EXECUTION, TrainingSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """Graphs and embeddings of a fold.

    Attributes
    ----------
    graphs, embeddings : shard files of these stages
    store : root of the store
    language_model : ``language_model.json`` of the fold's fine-tuned language model, see
        `require_own_language_model`
    regions : ``regions.csv`` of the data set, if it has regions
    """

    graphs: list[Path]
    embeddings: list[Path]
    store: Path
    language_model: Path | None = None
    regions: Path | None = None


def train_fold(
    proteins: Proteins,
    parts: FoldParts,
    inputs: Inputs,
    key: ModelKey,
    method_class: str,
    network_settings: NetworkSettings,
    settings: TrainingSettings,
    folder: Path,
    device: str,
) -> None:
    """Write ``model.safetensors``, ``model.json``, ``history.csv`` and ``predictions.csv``.

    And, for a data set with regions, ``regions.csv``, see `halo.training.regions`.

    `parts` is the part (train, val, cal, test, removed) of each protein, by id. HaloError if
    the embeddings are not of the fold's language model, or that has seen what the fold keeps apart.
    """
    parts.require(TRAIN, "val", *(["test"] if key.fold != ALL else []))
    train, val = parts.rows(TRAIN), parts.rows("val")
    graphs = open_store(inputs.graphs, GRAPHS, inputs.store)
    embeddings = open_store(inputs.embeddings, EMBEDDINGS, inputs.store)
    # Again with its own layout: of a model that reads structures, it has their versions.
    of_model = layout_of(read_json(embeddings.path / "fingerprint.json"))
    embeddings = open_store(inputs.embeddings, of_model, inputs.store)
    require_own_language_model(embeddings.path, inputs.language_model, proteins, parts)
    lengths = proteins.table["length"].to_numpy()
    regions = read_regions(inputs.regions) if inputs.regions else None
    targets = None
    if regions is not None:
        targets = [regions.targets(*each) for each in zip(proteins.ids, lengths, strict=True)]
    dataset = ProteinDataset(
        proteins.table["seq_hash"].to_numpy(dtype=object),
        proteins.targets,
        graphs,
        embeddings,
        settings.cache_gb * 1e9,
        regions=targets,
    )
    sizes = ", ".join(f"{count:,} {name}" for name, count in parts.counts.items())
    log.info("fold %s, seed %s: %s proteins", key.fold, key.seed, sizes)
    embedding_dim = dataset[int(train[0])].embedding.shape[1]
    torch.manual_seed(key.seed)
    learned = method_class in WITH_REGIONS and settings.region_weight > 0
    kinds = regions.kinds if regions and learned else ()
    more = {"n_kinds": len(kinds)} if kinds else {}
    network: Any = NETWORKS[method_class](
        embedding_dim, len(proteins.label_names), network_settings, **more
    )
    fit_standardization(network, dataset, train)
    note = {
        **asdict(key),
        "class": method_class,
        "task": proteins.task,
        **({"groups": as_content(proteins.further)} if proteins.further else {}),
        "network": asdict(network_settings),
        "training": {k: v for k, v in asdict(settings).items() if k not in EXECUTION},
        "graphs": graphs.fingerprint,
        "embeddings": dataset.embeddings.fingerprint,
    }
    content = _content(
        proteins, parts, method_class, targets if kinds else None, [graphs, embeddings]
    )
    state = folder / f"state-{fingerprint_of(note | content)}.safetensors"
    with needing_memory("the network", "ask for a GPU with more memory, or free this one"):
        network = network.to(device)
    fuse_inference(network)  # for the validation; the function is compiled for the training anyway
    training = Training(
        network,
        dataset,
        lengths,
        train.tolist(),
        val.tolist(),
        proteins.groups,
        settings,
        key.seed,
        state,
    )
    held_out = parts.held_out
    with needing_memory(
        f"a batch of {settings.residues_per_batch:,} residues or of the longest protein",
        "lower training.residues_per_batch or network.hidden, or ask for a GPU with more memory",
    ):
        training.run()
        logits, _ = score(network, dataset, lengths, held_out.tolist(), settings)
    write_table(folder / "history.csv", pd.DataFrame(training.position.history))
    predicted = probabilities(logits, proteins.groups).numpy()
    write_predictions(folder / "predictions.csv", proteins, parts, held_out, predicted)
    found_kinds = None
    if regions is not None and kinds:
        found_kinds = predict_regions(network, dataset, proteins, parts, regions, settings, folder)
    elif regions is not None:
        write_predicted(folder, [])  # this network predicts none
    save_weights(folder, network)
    write_model(
        folder,
        method_class,
        key,
        proteins,
        parts,
        training.tau.sigmoid().tolist(),
        network=network_settings,
        training=asdict(settings),
        graphs=graphs.fingerprint,
        embeddings=dataset.embeddings.fingerprint,
        embedding_dim=embedding_dim,
        modality_weights=network.global_weights(),
        parameters=parameter_count(network),
        epochs=len(training.position.history),
        kept_epoch=training.position.kept_epoch,
        regions=found_kinds,
    )
    for file in folder.glob("state-*.safetensors"):
        file.unlink()


def fit_standardization(network: nn.Module, dataset: ProteinDataset, rows: np.ndarray) -> None:
    """Fit the network's standardization, if any, to `PROTEINS` of the training proteins `rows`."""
    for module in network.modules():
        if isinstance(module, StandardizeEmbedding):
            chosen = rows[np.linspace(0, len(rows) - 1, min(PROTEINS, len(rows))).astype(int)]
            module.fit(dataset[int(row)].embedding for row in chosen)


def _content(
    proteins: Proteins,
    parts: FoldParts,
    method_class: str,
    regions: Sequence[np.ndarray] | None,
    stores: Sequence[Store],
) -> dict[str, str]:
    """Digests of proteins, inputs and code, on which a state depends besides the settings."""
    learned = parts.is_in(TRAIN, "val")
    table = proteins.table.loc[learned, ["seq_hash"]].assign(part=parts.part[learned])
    digest = sha256()
    digest.update(table.to_csv(index=False).encode())
    digest.update(np.ascontiguousarray(proteins.targets[learned]).tobytes())
    if regions is not None:
        for row in np.flatnonzero(learned).tolist():
            digest.update(regions[row].tobytes())
    return {
        "proteins": digest.hexdigest(),
        "versions": _versions(table["seq_hash"].tolist(), stores),
        "code": code_digest("halo.training.stage", *modules_of([method_class])),
    }


def _versions(hashes: Iterable[str], stores: Sequence[Store]) -> str:
    """Digest of the structures that the content of `stores` was made with, of each sequence.

    Graphs, and embeddings by a model that reads structures, are replaced in the same store where a
    structure has changed. The shard files do not tell, since another run can share the store.
    """
    digest = sha256()
    for name in sorted(set(hashes)):  # proteins of a segment are neighbours
        for store in stores:
            if store.layout.attributes:
                digest.update(f"{name} {store.attributes(name)}\n".encode())
    return digest.hexdigest()
