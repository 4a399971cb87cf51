"""Test a bundle on proteins that its run does not have: the HPA set, or another labelled table.

    make external-test
    PYTHONPATH=workflow python tests/benchmarks/external_set.py --bundle results/mine/bundle

The proteins are predicted as `halo predict` does it, without structures unless a folder of them is
given. The labels are those that the table and the bundle share. Proteins that are similar to a
training protein and those that are not are measured apart: only the latter show how well the model
does with new families. For the former, the labels of the homologue are part of the decision;
`alone` is the model without them. `homology` gives each protein the labels of its nearest training
protein, and label frequencies if there is none. Intervals (95 %) are of a bootstrap over homology
groups of the test set. Prints a table in Markdown, then one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import SHARED  # noqa: E402

from halo.baselines.stage import decision_thresholds  # noqa: E402
from halo.decisions import decide  # noqa: E402
from halo.evaluation.bootstrap import GroupBootstrap  # noqa: E402
from halo.evaluation.metrics import (  # noqa: E402
    Replicates,
    decision_replicates,
    probability_replicates,
)
from halo.evaluation.summary import label_estimates, overall_estimates  # noqa: E402
from halo.files import read_json, sha256_of_text  # noqa: E402
from halo.predict.default_bundle import DEFAULT_BUNDLE  # noqa: E402
from halo.predict.run import predict  # noqa: E402
from halo.predict.settings import PredictSettings  # noqa: E402
from halo.proteins.table import Proteins  # noqa: E402
from halo.split.groups import components  # noqa: E402
from halo.split.run import relate  # noqa: E402
from halo.split.settings import SplitSettings  # noqa: E402
from halo.text import open_text  # noqa: E402

HPA = SHARED / "hpa/hpa_testset.csv.gz"
RESAMPLES = 1000
METRICS = ("macro_f1", "micro_f1", "macro_mcc", "macro_average_precision", "macro_auroc")


def read_labelled(path: Path, id_column: str, sequence: str, labels: Sequence[str]) -> Proteins:
    """The proteins of a table and those of `labels` that it has as columns."""
    table = pd.read_csv(path)
    names = tuple(name for name in labels if name in table.columns)
    core = pd.DataFrame(
        {
            "id": table[id_column].astype(str),
            "accession": "",
            "sequence": table[sequence],
            "seq_hash": table[sequence].map(sha256_of_text),
            "length": table[sequence].str.len(),
            "split": "",
        }
    )
    return Proteins(core, names, table[list(names)].to_numpy(dtype=np.uint8), "multilabel")


def homology_groups(proteins: Proteins, threads: int) -> np.ndarray:
    """Homology group of each protein, int64 [n]."""
    with TemporaryDirectory() as scratch:
        relations = relate(proteins, SplitSettings(), threads, Path(scratch))
    homology = relations.homology
    of_record = components(homology.adjacency)[homology.sequence_of]
    group = pd.Series(of_record, index=relations.table["id"])
    return group.loc[proteins.ids].to_numpy()


def training_frequencies(bundle: Path, label_names: Sequence[str]) -> np.ndarray:
    """Frequency of each label among the training proteins of a bundle, [n_labels]."""
    with open_text(bundle / "training.fasta.xz") as lines:
        labels = [
            set(line.rstrip("\n").split("\t")[1].split(";")) for line in lines if line[0] == ">"
        ]
    return np.array([np.mean([name in one for one in labels]) for name in label_names])


def measure(
    truth: np.ndarray,
    probabilities: np.ndarray,
    decisions: np.ndarray,
    groups: np.ndarray,
    label_names: Sequence[str],
) -> dict[str, Any]:
    """Overall metrics and the F1 of each label."""
    bootstrap = GroupBootstrap(groups, RESAMPLES, seed=1)
    decided = decision_replicates(truth, decisions, bootstrap)
    ranked = probability_replicates(truth, probabilities, bootstrap)
    both = Replicates(
        {**decided.overall, **ranked.overall},
        {name: {**decided.labels, **ranked.labels}[name] for name in ("f1", "average_precision")},
    )
    overall = overall_estimates(both)
    return {
        "proteins": len(truth),
        "groups": len(set(groups.tolist())),
        "overall": {name: overall[name] for name in METRICS},
        "labels": label_estimates(both, label_names),
    }


def main() -> None:
    """Predict, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, help="folder of the bundle")
    parser.add_argument("--table", type=Path, default=HPA, help="labelled table (default: HPA)")
    parser.add_argument("--id", default="sid", help="column of the ids")
    parser.add_argument("--sequence", default="fasta", help="column of the sequences")
    parser.add_argument("--structures", type=Path, help="folder of structures")
    parser.add_argument("--language-model", type=Path, help="checkpoint, if not in the bundle")
    parser.add_argument("--threads", type=int, default=1, help="threads to use")
    arguments = parser.parse_args()
    labels = read_json(arguments.bundle / "bundle.json")["labels"]
    proteins = read_labelled(arguments.table, arguments.id, arguments.sequence, labels)
    settings = PredictSettings(
        structures=arguments.structures,
        download=False,
        language_model=arguments.language_model,
        threads=arguments.threads,
        page=0,
    )
    with TemporaryDirectory() as scratch:
        fasta, out = Path(scratch, "proteins.fasta"), Path(scratch, "out")
        records = zip(proteins.ids, proteins.table["sequence"], strict=True)
        fasta.write_text("".join(f">{name}\n{text}\n" for name, text in records))
        start = time.perf_counter()
        predict(fasta, arguments.bundle, out, settings)
        seconds = time.perf_counter() - start
        predicted = read_json(out / "predictions.json")
    found = {record["id"]: record for record in predicted["proteins"]}
    kept = np.array([name in found for name in proteins.ids])
    records = [found[name] for name in proteins.ids[kept]]
    thresholds = np.array([predicted["thresholds"][name] for name in proteins.label_names])

    def values(key: str) -> np.ndarray:
        tables = (record[key] or record["probabilities"] for record in records)
        return np.array([[table[name] for name in proteins.label_names] for table in tables])

    names = proteins.label_names
    decisions = np.array([[name in record["labels"] for name in names] for record in records])
    joint = values("probabilities"), decisions
    alone = values("probabilities_alone")
    alone = alone, decide(alone, thresholds, predicted["task"])
    near = [record["nearest_training"] for record in records]
    similar = np.array([one is not None and one["similar"] for one in near])
    frequencies = training_frequencies(arguments.bundle, names)
    nearest = np.array(
        [
            frequencies if one is None else [float(name in one["labels"]) for name in names]
            for one in near
        ]
    )
    homology = nearest, nearest >= decision_thresholds(frequencies)
    truth = proteins.labels[kept].astype(bool)
    groups = homology_groups(proteins, arguments.threads)[kept]
    parts = {
        "all": (np.ones(len(records), dtype=bool), *joint),
        "not similar": (~similar, *joint),
        "similar": (similar, *joint),
        "similar, alone": (similar, *alone),
        "all, homology": (np.ones(len(records), dtype=bool), *homology),
        "not similar, homology": (~similar, *homology),
        "similar, homology": (similar, *homology),
    }
    results = {
        name: measure(truth[rows], chances[rows], decided[rows], groups[rows], names)
        for name, (rows, chances, decided) in parts.items()
        if rows.any()
    }
    print(f"| proteins | number | groups | {' | '.join(METRICS)} |")
    print("|---" * (3 + len(METRICS)) + "|")
    for name, result in results.items():
        cells = " | ".join(
            f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
            if one["low"] is not None  # a single homology group has no interval
            else f"{one['value']:.3f}"
            for one in result["overall"].values()
        )
        print(f"| {name} | {result['proteins']:,} | {result['groups']:,} | {cells} |")
    closing = {
        "name": "external_test",
        "labels": list(proteins.label_names),
        "not_predicted": int((~kept).sum()),
        "seconds": round(seconds, 1),
        "results": results,
    }
    print(json.dumps(closing))


if __name__ == "__main__":
    main()
