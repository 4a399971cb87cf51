"""Ablation: the contribution of each part of HALO on real human proteins.

The proteins are human ones of DeepLoc 2.0 or ProtGPS that have a structure (contacts of AlphaFold's
models, 370 of them with coordinates); the partitions are the authors', audited and repaired, so
that nothing similar is apart. The language model is the repository's offline one, which has met no
protein of DeepLoc 2.0's partition 4 and of ProtGPS' dev and test, and nothing similar to one. It is
fine-tuned on the training proteins; `halo_published` reads it as it was before.

    make ablation PROTEINS=500             # DeepLoc 2.0: partition 3 is tested, 4 is left out
    make ablation PROTEINS=500 TESTED=dev  # ProtGPS: dev is tested, test is left out
    make ablation TESTED=4                 # DeepLoc 2.0, once, at the end

PROTEINS are those that there are to train on, about; by default 1,000.

It runs the workflow below `results/`, keeps what is done, and prints the table in Markdown, with
95 % intervals over homology groups, pooled over the seeds.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from samples import DEEPLOC, PROTGPS, SHARED

ROOT = Path(__file__).resolve().parents[2]
CONTACTS = SHARED / "af2_contacts"
METRICS = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "macro_mcc": "MCC",
    "jaccard": "Jaccard",
    "macro_average_precision": "average precision",
}
# The model is small, and so are the data; see compare_finetuning.py.
FINETUNE = {
    "method": "last_layers",
    "last_layers": 4,
    "learning_rate": 0.001,
    "patience": 5,
    "tokens_per_batch": 2048,
    "accumulate": 1,
    "precision": "bfloat16",
}
EVERYTHING = ["embedding", "structure", "biochemistry"]


def without(name: str) -> dict[str, Any]:
    """The network without one modality."""
    return network(modalities=[other for other in EVERYTHING if other != name])


def network(**changes: Any) -> dict[str, Any]:
    """The network with some keys changed."""
    return {"class": "network", "network": changes}


METHODS: dict[str, dict[str, Any]] = {
    "halo": {"class": "network"},
    "without_structure": without("structure"),
    "without_esm": without("embedding"),
    "without_biochemistry": without("biochemistry"),
    "fixed_weights": network(weights="fixed"),
    "cross_entropy": {"class": "network", "training": {"gamma": 0}},
    "neighbours_only": network(edges="neighbours"),
    "shuffled_structures": network(edges="shuffled"),
    "reference": {"class": "reference"},
    "halo_published": {"class": "network", "embeddings": "pretrained"},
    "esm": {"class": "esm"},
    "average": {"class": "average", "of": ["esm", "halo"]},
    "cascade": {"class": "cascade", "of": ["esm", "halo"]},
    "mean_embedding": {"class": "mean_embedding"},
    "homology": {"class": "homology"},
    "majority": {"class": "majority"},
}


def human_proteins(tested: str, size: int, longest: int) -> pd.DataFrame:
    """Human proteins with a structure: all that are tested, and `size` random others."""
    if tested == "dev":
        table = pd.read_csv(PROTGPS)
        table = table[table["split"] != "test"].replace({"split": {"dev": "test"}})
        name, ids, sequences = "protgps", table["entry"], table["sequence"]
        is_tested = table["split"] == "test"
    else:
        table = pd.read_csv(DEEPLOC)
        if tested == "3":
            table = table[table["Partition"] != 4]
        name, ids, sequences = "deeploc2_swissprot", table["ACC"], table["Sequence"]
        is_tested = table["Partition"] == int(tested)
    structures = pd.read_csv(CONTACTS / "overlap_by_dataset.csv.gz")
    known = structures[(structures["dataset"] == name) & (structures["graph_len_equal"] == 1)]
    usable = ids.isin(known["record_id"]) & (sequences.str.len() <= longest)
    others = table[usable & ~is_tested]
    return pd.concat(
        [table[usable & is_tested], others.sample(min(size, len(others)), random_state=1)]
    )


def configuration(table: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The run's configuration."""
    if arguments.tested == "dev":
        data = {"registry": "protgps", "proteins": str(table), "duplicates": "merge"}
        fold, folds = "0", 1
    else:
        data = {"registry": "deeploc2", "proteins": str(table)}
        fold, folds = arguments.tested, int(arguments.tested) + 1
    return {
        "run": f"ablation_{arguments.tested}",
        "seeds": arguments.seeds,
        "shards": 2,
        "dataset": data,
        # With a tenth for validation, the thresholds of rare labels are mostly chance.
        "split": {
            "mode": "predefined",
            "repair": True,
            "folds": folds,
            "val_fraction": 0.2,
            "cal_fraction": 0.1,
        },
        "folds": [fold],
        "structures": {
            "sources": [
                {"kind": "folder", "path": str(SHARED / "afdb")},
                {"kind": "contacts", "path": str(CONTACTS)},
            ]
        },
        "embeddings": {"model": str(ROOT / "resources/language_model/esm2_offline.pt")},
        "finetune": {"model": "finetuned", **FINETUNE},
        "graphs": {"max_contacts": 12},
        "network": {"hidden": arguments.hidden, "layers": 2},
        "training": {
            "epochs": arguments.epochs,
            "patience": arguments.epochs,
            "learning_rate": 0.002,
            "residues_per_batch": 8192,
        },
        "methods": METHODS,
    }


def markdown(metrics: dict[str, Any]) -> str:
    """One row per method, and one for each other way to set HALO's thresholds."""
    lines = [f"| method | {' | '.join(METRICS.values())} | halo is better by |"]
    lines.append("|---" * (len(METRICS) + 2) + "|")
    rows = {name: method["overall"] for name, method in metrics["methods"].items()}
    better = {
        name: difference["overall"]["macro_f1"]
        for name, difference in metrics["differences"].items()
    }
    thresholds = metrics["thresholds"]["halo"]
    for way, difference in thresholds["differences"].items():
        rows[f"thresholds {way}"] = thresholds["overall"][way]
        better[f"thresholds {way}"] = difference["macro_f1"]
    for name, overall in rows.items():
        # Thresholds change nothing of the average precision.
        cells = [estimate(overall[metric]) if metric in overall else "" for metric in METRICS]
        cells.append(estimate(better[name]) if name in better else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def estimate(found: dict[str, float | None]) -> str:
    """A value with its interval, which a single homology group does not have."""
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def main() -> None:
    """Run the workflow and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tested", choices=("3", "4", "dev"), default="3", help="part")
    parser.add_argument("--proteins", type=int, default=1000, help="to train on, about")
    parser.add_argument("--longest", type=int, default=600, help="residues")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    folder = Path("results/ablation_input")
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"human_{arguments.tested}.csv"
    chosen = human_proteins(arguments.tested, arguments.proteins, arguments.longest)
    chosen.to_csv(table, index=False)
    file = folder / f"config_{arguments.tested}.yaml"
    config = configuration(table, arguments)
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", str(file)]
    command += ["--cores", str(arguments.cores), "--set-threads"]
    command += ["train=1", "embeddings=1", "finetune=1", "esm=1"]
    if subprocess.run(command, check=False).returncode:
        sys.exit(1)
    metrics = json.loads(Path(f"results/{config['run']}/evaluation/metrics.json").read_text())
    print(markdown(metrics))


if __name__ == "__main__":
    main()
