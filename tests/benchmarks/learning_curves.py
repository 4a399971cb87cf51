"""Learning curves: what each part of HALO earns with more training proteins.

DeepLoc 2.0 in the published division: partitions 0 to 2 for training, 3 for validation and
calibration, 4 for the test; proteins similar to the test or the validation are removed from
training. There are two sets: human proteins with a structure (contacts of AlphaFold's models, 370
of them with coordinates), and all proteins. The training proteins of a smaller size are among those
of a larger one. The language model is the repository's offline one, which has met no protein of
partition 4, and nothing similar to one.

    make learning-curves
    make learning-curves CURVES='--sets human --sizes 500 1500'

Each size is a run of the workflow below `results/`; what is done is kept, so the command can be
repeated after an interruption. It prints the table in Markdown, with 95 % intervals over homology
groups, pooled over the seeds, and as its last line one JSON object. The same figures are in
`results/learning_curves/table.csv`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from samples import DEEPLOC, SHARED

ROOT = Path(__file__).resolve().parents[2]
CONTACTS = SHARED / "af2_contacts"
FOLDER = Path("results/learning_curves")
METRICS = {"macro_f1": "macro-F1", "macro_average_precision": "average precision"}
METHODS: dict[str, dict[str, Any]] = {
    "halo": {"class": "network"},
    "without_structure": {
        "class": "network", "network": {"modalities": ["embedding", "biochemistry"]}
    },
    "without_embedding": {
        "class": "network", "network": {"modalities": ["structure", "biochemistry"]}
    },
    "neighbours_only": {"class": "network", "network": {"edges": "neighbours"}},
    "light_attention": {"class": "light_attention"},
}  # fmt: skip
TEST, VALIDATION = 4, 3  # partitions
ALL = "all"


def proteins_of(name: str) -> pd.DataFrame:
    """The proteins of a set, in an order that is the same for every size."""
    table = pd.read_csv(DEEPLOC)
    if name == "human":
        structures = pd.read_csv(CONTACTS / "overlap_by_dataset.csv.gz")
        known = structures[structures["dataset"] == "deeploc2_swissprot"]
        known = known[known["graph_len_equal"] == 1]
        table = table[table["ACC"].isin(known["record_id"])]
    return table.sample(frac=1, random_state=1)


def sampled(table: pd.DataFrame, size: int | None, validation: int, test: int) -> pd.DataFrame:
    """At most so many proteins for training (None: all), validation and test."""
    training = table[~table["Partition"].isin([VALIDATION, TEST])]
    parts = [training if size is None else training.head(size)]
    for part, most in ((VALIDATION, validation), (TEST, test)):
        parts.append(table[table["Partition"] == part].head(most))
    return pd.concat(parts)


def configuration(name: str, table: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration of the run with this name."""
    return {
        "run": name,
        "seeds": arguments.seeds,
        "shards": 2,
        "dataset": {"registry": "deeploc2", "proteins": str(table)},
        "split": {
            "mode": "external",
            "test": [str(TEST)],
            "val": [str(VALIDATION)],
            "val_fraction": 0.2,
            "cal_fraction": 0.1,
        },
        "structures": {
            "sources": [
                {"kind": "folder", "path": str(SHARED / "afdb")},
                {"kind": "contacts", "path": str(CONTACTS)},
            ]
        },
        "embeddings": {"model": str(ROOT / "resources/language_model/esm2_offline.pt")},
        "graphs": {"max_contacts": 12},
        "network": {"hidden": arguments.hidden, "layers": 2},
        "training": {
            "epochs": arguments.epochs,
            "patience": max(3, arguments.epochs // 3),
            "learning_rate": 0.002,
            "residues_per_batch": 8192,
            "longest": arguments.longest,
        },
        "methods": METHODS,
    }


def run(name: str, config: dict[str, Any], cores: int) -> dict[str, Any]:
    """Run the workflow as far as it is not done; the content of ``metrics.json``."""
    file = FOLDER / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    metrics = f"results/{name}/evaluation/metrics.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", str(file), "--rerun-incomplete", "--cores", str(cores)]
    command += ["--set-threads", "train=1", "embeddings=1", "--", metrics]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"{name}: the workflow has failed; repeat the command to continue")
    return json.loads(Path(metrics).read_text(encoding="utf-8"))


def rows_of(set_name: str, size: str, trained: int, metrics: dict[str, Any]) -> list[dict]:
    """One row per method and metric; differences are those of halo to the method."""
    rows = []
    for method, content in metrics["methods"].items():
        for metric in METRICS:
            found = content["overall"][metric]
            difference = metrics["differences"].get(method, {"overall": {}})["overall"]
            rows.append(
                {
                    **{"set": set_name, "size": size, "trained": trained, "method": method},
                    **{"metric": metric, **{key: found[key] for key in ("value", "low", "high")}},
                    **{
                        f"difference_{key}": difference.get(metric, {}).get(key)
                        for key in ("value", "low", "high")
                    },
                }
            )
    return rows


def markdown(table: pd.DataFrame) -> str:
    """A section for each set and metric: a row per method, a column per size."""
    lines = []
    for (set_name, metric), part in table.groupby(["set", "metric"], sort=False):
        trained = part.drop_duplicates("size").set_index("size")["trained"]
        lines += [
            f"\n{METRICS[metric]}, {set_name} proteins\n",
            f"| method | {' | '.join(f'{count:,}' for count in trained)} |",
            "|---" * (len(trained) + 1) + "|",
        ]
        for method, rows in part.groupby("method", sort=False):
            cells = [text(row) for row in rows.to_dict("records")]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(row: dict[str, Any]) -> str:
    """A value with its interval, and a mark if halo is better or worse."""
    value = f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    low, high = row["difference_low"], row["difference_high"]
    if pd.isna(low) or low <= 0 <= high:
        return value
    return f"{value}, halo is {'better' if low > 0 else 'worse'}"


def main() -> None:
    """Run all sizes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=("human", ALL), default=["human", ALL])
    parser.add_argument("--sizes", nargs="+", default=["500", "1500", "5000", ALL])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--validation", type=int, default=1500, help="most validation proteins")
    parser.add_argument("--test", type=int, default=10_000, help="most test proteins")
    parser.add_argument("--longest", type=int, default=800, help="residues of a crop in training")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for set_name in arguments.sets:
        proteins = proteins_of(set_name)
        for size in arguments.sizes:
            name = f"learning_curves_{set_name}_{size}"
            wanted = None if size == ALL else int(size)
            available = (~proteins["Partition"].isin([VALIDATION, TEST])).sum()
            if wanted is not None and available < wanted:
                print(f"{set_name}: only {available:,} proteins to train on", file=sys.stderr)
                continue
            chosen = sampled(proteins, wanted, arguments.validation, arguments.test)
            table = FOLDER / f"{name}.csv"
            chosen.to_csv(table, index=False)
            metrics = run(name, configuration(name, table, arguments), arguments.cores)
            description = next(Path(f"results/{name}").glob("external/0/*/halo/model.json"))
            trained = json.loads(description.read_text(encoding="utf-8"))["proteins"]["train"]
            rows += rows_of(set_name, size, trained, metrics)
    found = pd.DataFrame(rows)
    found.to_csv(FOLDER / "table.csv", index=False)
    print(markdown(found))
    print(json.dumps({"name": "learning_curves", "rows": rows}))


if __name__ == "__main__":
    main()
