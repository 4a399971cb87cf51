"""Learning curves: what each part of HALO earns with more training proteins.

DeepLoc 2.0 as divided by `config/deeploc2_offline.yaml`: partitions 0 to 2 for training, 3 for
validation and calibration, 4 for the test; proteins similar to the test or the validation are
removed from training. There are two sets: all proteins, and those with a structure (human ones;
contacts of AlphaFold's models, 370 of them with coordinates). The training proteins of a smaller
size are among those of a larger one, and calibration and test proteins are the same for all sizes.
The language model is the repository's offline one, which has met no protein of partition 4, and
nothing similar to one. With fewer training proteins there are more epochs, and all trainings stop
early.

    make learning-curves
    make learning-curves CURVES='--sets structure --sizes 500 1500'

Split, graphs and embeddings are those of the run in `results/deeploc2_offline`; Snakemake makes
them first where they are missing. Each training is a job in a folder below
`results/learning_curves/`; what is done is kept, so the command can be repeated after an
interruption. It prints the tables in Markdown, with 95 % intervals over homology groups, averaged
over the seeds, and as its last line one JSON object. The same figures are in
`results/learning_curves/table.csv`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import SHARED  # noqa: E402

from halo.evaluation.settings import EvaluationSettings  # noqa: E402
from halo.evaluation.stage import evaluate  # noqa: E402
from halo.fold_parts import TRAIN, read_assignments  # noqa: E402
from halo.proteins.table import Proteins, read_proteins  # noqa: E402

CONFIG = ROOT / "config/deeploc2_offline.yaml"
OVERLAP = SHARED / "af2_contacts/overlap_by_dataset.csv.gz"
FOLDER = Path("results/learning_curves")
NEEDED = ("proteins.csv", "split/assignments.csv", "graphs.json", "embeddings.json")
METRICS = {"macro_f1": "macro-F1", "macro_average_precision": "average precision"}
SPLIT, FOLD = "predefined", "0"
PART = f"part_{FOLD}"


@dataclass(frozen=True)
class Method:
    """A network: its class, and settings other than the defaults."""

    method_class: str
    network: dict[str, Any]


METHODS = {
    "halo": Method("network", {}),
    "without_structure": Method("network", {"modalities": ["embedding", "biochemistry"]}),
    "without_embedding": Method("network", {"modalities": ["structure", "biochemistry"]}),
    "neighbours_only": Method("network", {"edges": "neighbours"}),
    "light_attention": Method("light_attention", {}),
}
ALL = "all"
SIZES = ("500", "1500", "5000", ALL)
EPOCHS = {500: 60, 1500: 30, 5000: 15}  # by the most training proteins
EPOCHS_OF_MORE = 10


@dataclass(frozen=True)
class Curve:
    """A point of the learning curves: the proteins of a set with a number of them for training.

    Attributes
    ----------
    set_name : all proteins, or those with a structure
    size : the number that was asked for
    trained : the number of training proteins
    """

    set_name: str
    size: str
    trained: int = 0

    @property
    def folder(self) -> Path:
        """Where its assignments and models are."""
        return FOLDER / self.set_name / self.size

    @property
    def epochs(self) -> int:
        """Most epochs: fewer proteins are seen more often."""
        return next(
            (epochs for most, epochs in EPOCHS.items() if self.trained <= most), EPOCHS_OF_MORE
        )

    def models(self, seeds: Sequence[int]) -> list[Path]:
        """The predictions of all methods."""
        return [
            self.folder / SPLIT / FOLD / str(seed) / method / "predictions.csv"
            for method in METHODS
            for seed in seeds
        ]


def with_structure() -> set[str]:
    """Ids of the proteins of DeepLoc 2.0 with contacts of all their residues."""
    table = pd.read_csv(OVERLAP)
    table = table[(table["dataset"] == "deeploc2_swissprot") & (table["graph_len_equal"] == 1)]
    return set(table["record_id"])


def restricted(assignments: pd.DataFrame, curve: Curve, validation: int) -> pd.DataFrame | None:
    """The assignments of a curve's point; None if there are not so many training proteins.

    Proteins that are left out are `removed`. The order in which proteins are taken is random and
    the same for all sizes.
    """
    table = assignments.copy()
    if curve.set_name == "structure":
        table.loc[~table.index.isin(with_structure()), PART] = "removed"
    order = np.random.default_rng(1).permutation(len(table))
    for part, wanted in ((TRAIN, curve.size), ("val", str(validation))):
        members = order[(table[PART] == part).to_numpy()[order]]
        if wanted != ALL and part == TRAIN and len(members) < int(wanted):
            return None
        if wanted != ALL:
            table.iloc[members[int(wanted) :], table.columns.get_loc(PART)] = "removed"
    return table


def make_inputs(run: Path, cores: int) -> None:
    """Let Snakemake make what the trainings read, where it is missing."""
    if all((run / name).exists() for name in NEEDED):
        print(f"split, graphs and embeddings of {run}", file=sys.stderr)
        return
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", str(CONFIG), "--rerun-incomplete", "--cores", str(cores), "--"]
    if subprocess.run(command + [str(run / name) for name in NEEDED], check=False).returncode:
        sys.exit("the workflow has failed; repeat the command to continue")


def commands(
    curves: Sequence[Curve], arguments: argparse.Namespace
) -> Iterator[tuple[Path, list[str]]]:
    """Folder and command of each training that is not done, the largest first in each seed."""
    run = arguments.run
    execution = {"cache_gb": arguments.cache_gb, "residues_per_batch": 8192}
    for seed in arguments.seeds:
        for curve in curves:
            training = {
                "epochs": max(1, round(curve.epochs * arguments.epochs)),
                "patience": 10,
                "warmup_epochs": 0.5,
                "learning_rate": 0.002,
                "longest": 400,
                "precision": "float32",  # the same on a CPU and a GPU
            }
            for name, method in METHODS.items():
                folder = curve.folder / SPLIT / FOLD / str(seed) / name
                if (folder / "model.json").exists():
                    continue
                network = {"hidden": 64, "layers": 2, **method.network}
                command = [sys.executable, str(ROOT / "scripts/train.py")]
                command += ["--proteins", str(run / "proteins.csv")]
                command += ["--assignments", str(curve.folder / "assignments.csv")]
                command += ["--graphs", str(run / "graphs.json")]
                command += ["--embeddings", str(run / "embeddings.json")]
                command += ["--store", str(arguments.store), "--split", SPLIT, "--fold", FOLD]
                command += ["--seed", str(seed), "--method", name, "--class", method.method_class]
                command += ["--out", str(folder), "--device", arguments.device]
                command += ["--settings", json.dumps({"network": network, "training": training})]
                command += ["--execution", json.dumps(execution), "--log", str(folder / "log")]
                yield folder, command


def train_one(folder: Path, command: Sequence[str]) -> None:
    """One training; what it says is in its log."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"{folder}: the training has failed\n{done.stderr}")
    print(f"{folder}: done", file=sys.stderr, flush=True)


def rows_of(curve: Curve, metrics: dict[str, Any]) -> list[dict]:
    """One row per method and metric; differences are those of halo to the method."""
    rows = []
    for method, content in metrics["methods"].items():
        for metric in METRICS:
            value = content["overall"][metric]
            difference = metrics["differences"].get(method, {"overall": {}})["overall"]
            rows.append(
                {
                    **{"set": curve.set_name, "size": curve.size, "trained": curve.trained},
                    **{"tested": metrics["proteins"], "method": method, "metric": metric},
                    **{key: value[key] for key in ("value", "low", "high")},
                    **{
                        f"difference_{key}": difference.get(metric, {}).get(key)
                        for key in ("value", "low", "high")
                    },
                }
            )
    return rows


def evaluated(curve: Curve, proteins: Proteins, arguments: argparse.Namespace) -> list[dict]:
    """The rows of a point, of the seeds whose trainings are all there."""
    seeds = [s for s in arguments.seeds if all(path.exists() for path in curve.models([s]))]
    if not seeds:
        print(f"{curve.folder}: not all methods are trained", file=sys.stderr)
        return []
    assignments = read_assignments(curve.folder / "assignments.csv")
    settings = EvaluationSettings()
    metrics, _ = evaluate(proteins, assignments, curve.models(seeds), {}, settings)
    return [{**row, "seeds": len(seeds)} for row in rows_of(curve, metrics)]


def markdown(table: pd.DataFrame) -> str:
    """A section for each set and metric: a row per method, a column per size."""
    lines = []
    for (set_name, metric), part in table.groupby(["set", "metric"], sort=False):
        part = part.sort_values("trained", kind="stable")
        trained = part.drop_duplicates("size").set_index("size")["trained"]
        tested = part["tested"].iat[0]
        name = {"structure": "proteins with a structure"}.get(str(set_name), "all proteins")
        lines += [
            f"\n{METRICS[str(metric)]}, {name}, {tested:,} test proteins\n",
            f"| method | {' | '.join(f'{count:,}' for count in trained)} |",
            "|---" * (len(trained) + 1) + "|",
        ]
        for method in METHODS:
            rows = part[part["method"] == method].set_index("size").reindex(trained.index)
            cells = [text(row) for row in rows.to_dict("records")]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text(row: dict[str, Any]) -> str:
    """A value with its interval, and a mark if halo is better or worse."""
    value = f"{row['value']:.3f}"
    if not pd.isna(row["low"]):  # a single homology group has no interval
        value += f" ({row['low']:.3f} to {row['high']:.3f})"
    low, high = row["difference_low"], row["difference_high"]
    if pd.isna(low) or low <= 0 <= high:
        return value
    return f"{value}, halo is {'better' if low > 0 else 'worse'}"


def main() -> None:
    """Train all methods at all sizes and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("results/deeploc2_offline"))
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--sets", nargs="+", choices=(ALL, "structure"), default=[ALL, "structure"])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES[::-1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--validation", type=int, default=1500, help="most validation proteins")
    parser.add_argument("--epochs", type=float, default=1.0, help="factor of the epochs")
    parser.add_argument("--cache-gb", type=float, default=4.0, help="cache of each training")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--cores", type=int, default=2, help="of Snakemake")
    parser.add_argument("--evaluate-only", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    make_inputs(arguments.run, arguments.cores)
    assignments = read_assignments(arguments.run / "split/assignments.csv")
    curves = []
    for curve in [Curve(name, size) for name in arguments.sets for size in arguments.sizes]:
        table = restricted(assignments, curve, arguments.validation)
        if table is None:
            print(f"{curve.folder}: there are fewer proteins to train on", file=sys.stderr)
            continue
        curve.folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(curve.folder / "assignments.csv")
        curves.append(replace(curve, trained=int((table[PART] == TRAIN).sum())))
    if not arguments.evaluate_only:
        with ThreadPoolExecutor(arguments.jobs) as threads:
            work = [threads.submit(train_one, *one) for one in commands(curves, arguments)]
        for one in work:
            one.result()
    proteins = read_proteins(arguments.run / "proteins.csv")
    rows = [row for curve in curves for row in evaluated(curve, proteins, arguments)]
    if not rows:
        sys.exit("there is nothing to evaluate")
    table = pd.DataFrame(rows)
    table.to_csv(FOLDER / "table.csv", index=False)
    print(markdown(table))
    print(json.dumps({"name": "learning_curves", "rows": rows}))


if __name__ == "__main__":
    main()
