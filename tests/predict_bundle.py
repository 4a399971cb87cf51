"""A model bundle of a small run of the demo's proteins, built without Snakemake in seconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.cascade.stage import CascadeSettings, join_fold
from halo.embeddings.embed import embed_buckets
from halo.embeddings.find import find_weights
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.weights import write_weights
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.files import write_json, write_table
from halo.fold_parts import FoldParts
from halo.graphs.build import GraphSettings
from halo.graphs.stage import build_graphs
from halo.model_key import ModelKey
from halo.network.model import NetworkSettings
from halo.predict.build_bundle import BundleSettings, build_bundle
from halo.predict.settings import PredictSettings
from halo.proteins.ingest import DatasetSettings, ingest
from halo.proteins.members import members_of
from halo.proteins.settings import GroupLabels, RegionsSettings
from halo.proteins.table import Proteins, read_proteins, write_proteins
from halo.regions.read import read_user_regions
from halo.regions.table import write_regions
from halo.shards import write_shard
from halo.structures.fetch import fetch_structures
from halo.structures.settings import StructureSettings, TransportSettings
from halo.training.settings import TrainingSettings
from halo.training.stage import Inputs, train_fold

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "resources/demo"
CHECKPOINT = DEMO / "esm2_demo.pt"
FOLDS = ("0", "1")
KINDS = {"plain": "mean_embedding", "halo": "network"}
STRUCTURES = {"sources": [{"kind": "folder", "path": str(DEMO / "afdb")}]}
SEARCH = {"identity": 0.3, "coverage": 0.8, "evalue": 1e-3, "sensitivity": 5.7}
REGION_KINDS = ("signal peptide", "presequence")
OTHER_SIGNALS = tuple(sorted(set(pd.read_csv(DEMO / "signals.csv")["signal"]) - set(REGION_KINDS)))
EMBEDDINGS = {"layer": -1, "window": 60, "overlap": 20, "tokens_per_batch": 2048}
# Structures from the demo's folder, and nothing from the internet.
OFFLINE = PredictSettings(
    structures=DEMO / "afdb", download=False, language_model=CHECKPOINT, chunk=8
)


@dataclass(frozen=True)
class SmallRun:
    """The files of a run from which bundles are made."""

    folder: Path
    proteins: Proteins
    assignments: pd.DataFrame

    def bundle(
        self,
        folder: Path,
        method: str = "cascade",
        hits: pd.DataFrame | None = None,
        similar_apart: int | None = 0,
        **change: Any,
    ) -> Path:
        """Make a bundle of `method`."""
        settings = {
            "name": "small",
            "version": "1",
            "sequences": True,
            "homologues": True,
            "language_model": False,
            "data": {"title": "The demo's simulated proteins"},
            "simulated": True,
            "finetuned": False,
            "risk": 0.2,
            "search": SEARCH,
            "embeddings": {**EMBEDDINGS, "precision": "float32"},
            "graphs": {},
            "structures": STRUCTURES | {"min_identity": 0.95, "min_coverage": 0.5}
            | {"max_length": 65_535},
        }  # fmt: skip
        build_bundle(
            self.proteins,
            self.assignments,
            [self.folder / f"kfold/{fold}/1/{method}/predictions.csv" for fold in FOLDS],
            self.folder / "language_model.json",
            self.folder / "metrics.json",
            ROOT / "LICENSE",
            BundleSettings(**(settings | change)),
            folder,
            hits=hits,
            similar_apart=similar_apart,
        )
        return folder


def read_small_run(folder: Path) -> SmallRun:
    """The run that `make_small_run` has made in `folder`."""
    proteins = read_proteins(folder / "proteins.csv")
    return SmallRun(folder, proteins, _assignments(proteins))


def make_small_run(
    folder: Path, count: int = 60, groups: dict[str, GroupLabels] | None = None
) -> None:
    """Train two networks on each of two folds, join them, and evaluate all.

    `groups` are further groups of labels, of the columns that `small_table` adds.
    """
    columns = {"accession": "accession", "annotations": ["kingdom"], "duplicates": "merge"}
    table = small_table(count) if groups else small_table(count).drop(columns="membrane")
    write_table(folder / "input.csv", table)
    settings = DatasetSettings(**columns, groups=groups)
    proteins, _ = ingest(folder / "input.csv", None, settings)
    write_proteins(folder / "proteins.csv", proteins, long_labels=False)
    assignments = _assignments(proteins)
    members = members_of(proteins.table)
    store = folder / "store"
    structures, _ = fetch_structures(
        members, store, StructureSettings(**STRUCTURES), TransportSettings()
    )
    graphs = build_graphs(members, store, structures, GraphSettings())
    weights = find_weights(str(CHECKPOINT), folder, None)
    write_weights(folder / "language_model.json", weights)
    settings = EmbeddingSettings(**EMBEDDINGS, precision="float32")
    embeddings = embed_buckets(members, store, weights, settings, "cpu")
    write_shard(folder / "graphs.json", graphs, members)
    signals = RegionsSettings(
        str(DEMO / "signals.csv"), kind="signal", kinds=REGION_KINDS, unknown=OTHER_SIGNALS
    )
    regions = read_user_regions(DEMO / "signals.csv", signals, proteins.table)
    write_regions(folder / "regions.csv", regions)
    write_shard(folder / "embeddings.json", embeddings, members)
    for fold in FOLDS:
        for method, kind in KINDS.items():
            place = folder / f"kfold/{fold}/1/{method}"
            place.mkdir(parents=True)
            train_fold(
                proteins,
                FoldParts.of_fold(assignments, fold, proteins.ids),
                Inputs(
                    [folder / "graphs.json"],
                    [folder / "embeddings.json"],
                    store,
                    regions=folder / "regions.csv",
                ),
                ModelKey("kfold", fold, 1, method),
                kind,
                NetworkSettings(hidden=16, layers=1, heads=2, pooling_heads=2),
                TrainingSettings(epochs=3, learning_rate=0.01),
                place,
                "cpu",
            )
        for kind in ("cascade", "average"):
            members_of_it = [folder / f"kfold/{fold}/1/{m}/predictions.csv" for m in KINDS]
            place = folder / f"kfold/{fold}/1/{kind}"
            place.mkdir()
            key = ModelKey("kfold", fold, 1, kind)
            join_fold(proteins, assignments, members_of_it, kind, key, CascadeSettings(0.2), place)
    paths = sorted(folder.glob("kfold/*/1/*/predictions.csv"))
    metrics, _ = evaluate(proteins, assignments, paths, {}, EvaluationSettings(resamples=100))
    write_json(folder / "metrics.json", metrics)


def small_table(count: int) -> pd.DataFrame:
    """Proteins of the demo with a membrane type each, which is unknown for a quarter of them."""
    table = pd.read_csv(DEMO / "proteins.csv", dtype=str, keep_default_na=False).head(count)
    types = np.where(table["Cell membrane"] == "1", "Transmembrane", "Soluble")
    return table.assign(membrane=np.where(np.arange(count) % 4 == 3, "", types))


def _assignments(proteins: Proteins) -> pd.DataFrame:
    """Two folds; every protein is a group of its own."""
    rng = np.random.default_rng(0)
    fold = rng.integers(0, 2, len(proteins)).astype(str)
    table = pd.DataFrame({"id": proteins.ids, "group": proteins.ids, "fold": fold})
    for name in FOLDS:
        inner = rng.choice(["train", "train", "val", "cal"], len(proteins))
        table[f"part_{name}"] = np.where(fold == name, "test", inner)
    return table.set_index("id").astype(object)


def queries(count: int = 20) -> dict[str, str]:
    """Demo proteins by accession, some of the training and some new, half with a structure."""
    table = pd.read_csv(DEMO / "proteins.csv", dtype=str, keep_default_na=False).iloc[50:]
    return dict(zip(table["accession"][:count], table["sequence"][:count], strict=True))


def write_fasta(file: Path, sequences: dict[str, str]) -> Path:
    """Write sequences by id."""
    file.write_text("".join(f">{name} a protein\n{text}\n" for name, text in sequences.items()))
    return file
