"""Compare attributions of test proteins of a demo run with their planted signals.

    snakemake --cores 2 -- all          # or `make demo`
    PYTHONPATH=workflow python tests/benchmarks/attributions.py results/demo

Every protein is predicted by the network of the fold that did not train on it, for each true label
that the network gives it. The signals of that label are to be found; those of other labels and
the decoys are not. Prints one JSON object; areas are those below the ROC curve, chance is 0.5.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.predict.attribution import network_attribution
from halo.predict.regions import regions, smoothed
from halo.proteins.table import read_proteins
from halo.shards import open_store
from halo.training.checkpoint import load_model
from halo.training.data import ProteinDataset

DEMO = Path(__file__).parents[2] / "resources/demo"
# What resources/demo/README.md says that each signal leads to.
LEADS_TO = {
    "signal peptide": {"Extracellular", "Endoplasmic reticulum", "Cell membrane"},
    "transmembrane helix": {"Cell membrane"},
    "GPI anchor signal": {"Extracellular", "Cell membrane"},
    "ER retention signal": {"Endoplasmic reticulum"},
    "dilysine signal": {"Endoplasmic reticulum", "Cell membrane"},
    "presequence": {"Mitochondrion"},
    "transit peptide": {"Plastid"},
    "peroxisomal targeting signal 1": {"Peroxisome"},
    "nuclear localization signal": {"Nucleus"},
    "nuclear export signal": {"Nucleus", "Cytoplasm"},
}


def marked(signals: pd.DataFrame, length: int, label: str | None) -> np.ndarray:
    """The residues of the signals that lead to `label`, or of all signals and decoys; bool."""
    inside = np.zeros(length, dtype=bool)
    for row in signals.itertuples():
        if label is None or label in LEADS_TO.get(row.signal, ()):
            inside[row.start - 1 : row.end] = True
    return inside


def measure(run: Path, store: Path, method: str) -> dict[str, object]:
    """The figures of a run, whose folder is `run`, with the store at `store`."""
    proteins = read_proteins(run / "proteins.csv")
    signals = dict(list(pd.read_csv(DEMO / "signals.csv").groupby("id")))
    folds = pd.read_csv(run / "split/assignments.csv", dtype=str).set_index("id")["fold"]
    dataset = ProteinDataset(
        proteins.table["seq_hash"].to_numpy(dtype=object),
        proteins.labels,
        open_store([run / "graphs.json"], GRAPHS, store),
        open_store([run / "embeddings.json"], EMBEDDINGS, store),
    )
    areas: dict[str, list[float]] = defaultdict(list)
    found = np.zeros(3, dtype=int)  # residues in regions, of them in the signal, regions' hits
    chance, regional = [], 0
    for folder in sorted(run.glob(f"kfold/*/1/{method}")):
        network, description = load_model(folder)
        table = pd.read_csv(folder / "predictions.csv").set_index("id")
        thresholds = description.thresholds
        for row in np.flatnonzero(folds.reindex(proteins.ids) == folder.parts[-3]):
            name, length = proteins.ids[row], int(proteins.table["length"].iat[row])
            own = signals.get(name, pd.DataFrame(columns=["signal", "start", "end"]))
            everything = marked(own, length, None)
            for column in np.flatnonzero(proteins.labels[row]):
                label = proteins.label_names[column]
                wanted = marked(own, length, label)
                if (
                    table.loc[name, f"p:{label}"] < thresholds[label]
                    or not 0 < wanted.sum() < length
                ):
                    continue
                parts = network_attribution(network, dataset[row], [column], proteins.groups, "cpu")
                kinds = {
                    "attribution": smoothed(parts.values[0]),
                    "attention": smoothed(parts.attention),
                    "attribution, single residues": parts.values[0],
                    "attention, single residues": parts.attention,
                }
                for kind, values in kinds.items():
                    areas[kind].append(roc_auc_score(wanted, values))
                    top = np.argsort(-values)[: wanted.sum()]
                    areas[f"{kind}, top"].append(wanted[top].mean())
                    if (everything & ~wanted).any():
                        others = roc_auc_score(wanted[everything], values[everything])
                        areas[f"{kind}, against other signals"].append(others)
                chance.append(wanted.mean())
                inside = np.zeros(length, dtype=bool)
                for region in regions(label, parts.values[0]):
                    inside[region.start - 1 : region.end] = True
                regional += inside.any()
                found += (inside.sum(), (inside & wanted).sum(), (inside & wanted).any())
    return {
        "pairs of protein and label": len(chance),
        "share of residues in signals": round(float(np.mean(chance)), 3),
        **{kind: round(float(np.mean(values)), 3) for kind, values in areas.items()},
        "residues of regions in signals": round(float(found[1] / found[0]), 3),
        "proteins with a region": round(float(regional / len(chance)), 3),
        "of them with one in the signal": round(float(found[2] / regional), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of a run of the demo")
    parser.add_argument("--store", type=Path, default=Path("store"), help="root of the store")
    parser.add_argument("--method", default="halo", help="a network of the run (default: halo)")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.run, arguments.store, arguments.method), indent=1))
