"""A small run without its expensive stages: all files that evaluation and report read.

The predictions of the "network" are drawn around the truth; the baselines are the real ones.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from halo.baselines.stage import run_baseline
from halo.cascade.calibration import to_probabilities
from halo.evaluation.stage import EvaluationSettings, evaluate
from halo.evaluation.strata import make_strata
from halo.files import sha256_of_text, write_json, write_table
from halo.fold_parts import FoldParts
from halo.label_groups import LabelGroup, by_group
from halo.model_description import described, groups_of, write_description
from halo.model_key import ModelKey
from halo.predictions import probability_columns
from halo.proteins.table import Proteins, write_proteins
from halo.report.figures import draw_figures
from halo.report.inputs import RunResults, read_run
from halo.report.page import render
from halo.report.provenance import make_provenance
from halo.report.timings import read_timings

LABELS = ("Cytoplasm", "Nucleus", "Extracellular", "Cell membrane", "Golgi apparatus")
MEMBRANE = ("Soluble", "Transmembrane", "Peripheral")
MODIFICATIONS = ("Glycosylated", "Lipidated")
SHARES = np.array([0.35, 0.35, 0.2, 0.2, 0.08])
SPLIT = "kfold"
REPORT_FILES = (
    "proteins.csv", "rejected.csv", "split/assignments.csv", "split/identity.csv",
    "split/leakage.json", "structures/manifest.csv", "evaluation/metrics.json",
    "evaluation/predictions.csv", "provenance.json",
)  # fmt: skip
MODALITIES = {"embedding": 0.5, "structure": 0.3, "biochemistry": 0.2}


@dataclass(frozen=True)
class SimulatedRun:
    """Where the files are, and what they are of."""

    folder: Path
    proteins: Proteins
    assignments: pd.DataFrame
    models: list[Path]

    def path(self, name: str) -> Path:
        """A file of the run's results."""
        return self.folder / name


def make_run(
    folder: Path,
    n: int = 240,
    n_folds: int = 3,
    seeds: tuple[int, ...] = (1, 2),
    task: str = "multilabel",
    seed: int = 0,
    grouped: bool = False,
) -> SimulatedRun:
    """Write a run's results to `folder`; `grouped` with two further groups of labels."""
    rng = np.random.default_rng(seed)
    proteins = make_proteins(rng, n, task)
    if grouped:
        proteins = with_groups(rng, proteins)
    assignments = make_assignments(rng, proteins, n_folds)
    write_proteins(folder / "proteins.csv", proteins, long_labels=False)
    write_table(
        folder / "rejected.csv",
        pd.DataFrame(
            [("bad1", 7, "illegal residue letters", "1"), ("bad2", 9, "empty sequence", "")],
            columns=["id", "line", "reason", "detail"],
        ),
    )
    write_table(folder / "split/assignments.csv", assignments)
    hits = make_hits(rng, proteins, assignments)
    write_table(folder / "split/hits.csv.gz", hits)
    write_split_audit(folder, rng, proteins, assignments)
    write_structures(folder, rng, proteins)
    models = []
    parts = assignments.set_index("id")
    for fold in map(str, range(n_folds)):
        part = parts[f"part_{fold}"]
        for number in seeds:
            place = folder / SPLIT / fold / str(number) / "halo"
            write_network(place, rng, proteins, part, fold, number)
            models.append(place / "predictions.csv")
    for kind in ("majority", "homology"):
        for fold in map(str, range(n_folds)):
            place = folder / SPLIT / fold / str(seeds[0]) / kind
            key = ModelKey(SPLIT, fold, seeds[0], kind)
            of_fold = FoldParts.of_fold(parts, fold, proteins.ids)
            run_baseline(proteins, of_fold, hits, kind, key, place)
            models.append(place / "predictions.csv")
    write_benchmarks(folder, n_folds, seeds)
    return SimulatedRun(folder, proteins, assignments, models)


def make_proteins(rng: np.random.Generator, n: int, task: str) -> Proteins:
    """Random sequences with labels of the frequencies of `SHARES`."""
    ids = [f"P{number:05d}" for number in range(n)]
    lengths = rng.integers(30, 1200, n)
    sequences = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), size)) for size in lengths]
    table = pd.DataFrame(
        {
            "id": ids,
            "accession": ids,
            "sequence": sequences,
            "seq_hash": [sha256_of_text(text) for text in sequences],
            "length": lengths,
            "split": "",
            "kingdom": rng.choice(["Fungi", "Metazoa"], n),
        }
    )
    if task == "singlelabel":
        chosen = rng.choice(len(LABELS), n, p=SHARES / SHARES.sum())
        labels = np.eye(len(LABELS), dtype=np.uint8)[chosen]
    else:
        labels = (rng.random((n, len(LABELS))) < SHARES).astype(np.uint8)
        empty = labels.sum(axis=1) == 0
        labels[empty, rng.integers(0, len(LABELS), empty.sum())] = 1
    return Proteins(table, LABELS, labels, task)


def with_groups(rng: np.random.Generator, proteins: Proteins) -> Proteins:
    """The proteins with one of three membrane types, and any modifications.

    A third of the types and half of the modifications are unknown.
    """
    n, first = len(proteins), len(proteins.label_names)
    types = np.eye(len(MEMBRANE), dtype=np.uint8)[rng.choice(len(MEMBRANE), n, p=[0.6, 0.3, 0.1])]
    modified = rng.random((n, len(MODIFICATIONS))) < 0.4
    known = [
        np.repeat(rng.random(n) < share, len(labels)).reshape(n, -1)
        for share, labels in ((2 / 3, MEMBRANE), (1 / 2, MODIFICATIONS))
    ]
    return replace(
        proteins,
        label_names=proteins.label_names + MEMBRANE + MODIFICATIONS,
        labels=np.concatenate([proteins.labels, types * known[0], modified * known[1]], axis=1),
        known=np.concatenate([proteins.known, *known], axis=1),
        further=(
            LabelGroup("membrane", "singlelabel", MEMBRANE, first),
            LabelGroup("modification", "multilabel", MODIFICATIONS, first + len(MEMBRANE)),
        ),
    )


def make_assignments(rng: np.random.Generator, proteins: Proteins, n_folds: int) -> pd.DataFrame:
    """Groups of about three proteins, whole in one fold and in one part of it."""
    groups = rng.integers(0, len(proteins) // 3, len(proteins))
    fold_of = rng.integers(0, n_folds, groups.max() + 1)
    inner_of = rng.choice(["train"] * 6 + ["val", "cal"], groups.max() + 1)
    table = pd.DataFrame(
        {
            "id": proteins.ids,
            "group": [f"g{group}" for group in groups],
            "fold": [str(fold_of[group]) for group in groups],
        }
    )
    for fold in range(n_folds):
        table[f"part_{fold}"] = np.where(fold_of[groups] == fold, "test", inner_of[groups])
    return table


def make_hits(
    rng: np.random.Generator, proteins: Proteins, assignments: pd.DataFrame
) -> pd.DataFrame:
    """Hits of two thirds of the proteins, half of them of a protein with the same labels."""
    rows = []
    keys = ["".join(map(str, row)) for row in proteins.labels]
    for row, key in enumerate(keys):
        if rng.random() < 1 / 3:
            continue
        others = [i for i, k in enumerate(keys) if k == key and i != row]
        target = rng.choice(others) if others and rng.random() < 0.5 else rng.integers(len(keys))
        if target != row:
            identity = rng.uniform(0.2, 0.3)
            rows.append((row, target, identity, rng.uniform(0.3, 1), 0, 1e-5, rng.uniform(40, 200)))
    columns = ["query", "target", "identity", "shorter_coverage", "similar", "evalue", "bits"]
    table = pd.DataFrame(rows, columns=columns).sort_values("bits", ascending=False)
    for column in ("query", "target"):
        table[column] = proteins.ids[table[column].astype(int)]
    return table


def write_split_audit(
    folder: Path, rng: np.random.Generator, proteins: Proteins, assignments: pd.DataFrame
) -> None:
    """``leakage.json`` and ``identity.csv``."""
    alone = rng.random(len(proteins)) < 0.4
    highest = np.where(alone, np.nan, rng.uniform(0.18, 0.299, len(proteins)))
    write_table(
        folder / "split/identity.csv",
        pd.DataFrame(
            {
                "id": proteins.ids,
                "max_cross_identity": highest.round(4),
                "max_test_identity": highest.round(4),
            }
        ),
    )
    folds = sorted(set(assignments["fold"]))
    labels = dict.fromkeys(folds)
    for fold in folds:
        chosen = (assignments["fold"] == fold).to_numpy()
        counts = proteins.labels[chosen].sum(axis=0).tolist()
        labels[fold] = dict(zip(proteins.label_names, counts, strict=True))
    write_json(
        folder / "split/leakage.json",
        {
            "identity": 0.3,
            "identity_of": "aligned",
            "coverage": 0.8,
            "coverage_of": "shorter",
            "evalue": 0.001,
            "pairs_above_threshold": 0,
            "identical_sequences_apart": 0,
            "isoform_families_apart": 0,
            "max_cross_identity": float(np.nanmax(highest).round(4)),
            "n_too_short": 0,
            "n_removed": 0,
            "sizes": assignments["fold"].value_counts().sort_index().to_dict(),
            "label_counts": labels,
            "audited_by": {
                "alignment": "Smith-Waterman by parasail 1.3.4",
                "all_pairs": True,
                "search": None,
                "sample": None,
                "pairs_aligned": 472,
                "pairs_apart_by_round": [9, 0],
            },
        },
    )


def write_structures(folder: Path, rng: np.random.Generator, proteins: Proteins) -> None:
    """``structures/manifest.csv``; two thirds of the proteins have a structure."""
    n = len(proteins)
    status = rng.choice(["ok", "missing", "mismatch"], n, p=[0.66, 0.3, 0.04])
    ok = status == "ok"
    write_table(
        folder / "structures/manifest.csv",
        pd.DataFrame(
            {
                "id": proteins.ids,
                "status": status,
                "resolved": np.where(ok, "accession", ""),
                "source": np.where(ok, "afdb", ""),
                "version": np.where(ok, "6", ""),
                "sha256": "",
                "n_residues": np.where(ok, proteins.table["length"].astype(str), ""),
                "mean_plddt": np.where(ok, rng.uniform(45, 98, n).round(2).astype(str), ""),
                "accession": proteins.ids,
                "message": "",
            }
        ),
    )


def write_network(
    folder: Path,
    rng: np.random.Generator,
    proteins: Proteins,
    part: pd.Series,
    fold: str,
    seed: int,
) -> None:
    """Predictions drawn around the truth, with a description and a history."""
    held_out = np.flatnonzero(part.isin(["val", "cal", "test"]).to_numpy())
    logits = 2.5 * (2.0 * proteins.labels[held_out] - 1) + rng.normal(
        -0.5, 2.2, (len(held_out), len(proteins.label_names))
    )
    probabilities = by_group(proteins.groups, to_probabilities, logits)
    table = pd.DataFrame(probabilities, columns=probability_columns(proteins.label_names))
    table.insert(0, "id", proteins.ids[held_out])
    table.insert(1, "part", part.to_numpy()[held_out])
    write_table(folder / "predictions.csv", table)
    weights = rng.dirichlet([50 * w for w in MODALITIES.values()])
    write_description(
        folder,
        described(
            "network",
            ModelKey(SPLIT, fold, seed, "halo"),
            task=proteins.task,
            labels=list(proteins.label_names),
            groups=groups_of(proteins),
            thresholds=dict.fromkeys(proteins.label_names, 0.45),
            proteins={},
            modality_weights=dict(zip(MODALITIES, weights.tolist(), strict=True)),
            parameters=123456,
            epochs=12,
            kept_epoch=9,
        ),
    )
    epochs = np.arange(1, 13)
    write_table(
        folder / "history.csv",
        pd.DataFrame(
            {
                "epoch": epochs,
                "train_loss": 0.4 * np.exp(-epochs / 5) + rng.normal(0, 0.005, 12),
                "val_loss": 0.15 + 0.3 * np.exp(-epochs / 4) + rng.normal(0, 0.01, 12),
                "val_macro_f1": 0.7 - 0.5 * np.exp(-epochs / 4) + rng.normal(0, 0.01, 12),
                "learning_rate": 1e-3,
                "seconds": 1.5,
                "kept": (epochs <= 9).astype(int),
            }
        ),
    )


def write_benchmarks(folder: Path, n_folds: int, seeds: tuple[int, ...]) -> None:
    """Snakemake's benchmark files."""
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for number, name in enumerate(benchmark_names(n_folds, seeds)):
        file = folder / "benchmarks" / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        seconds = 3.5 + number
        file.write_text(
            header + f"{seconds}\t0:00:03\t{250.5 + number}\t900\t240\t240\t1\t2\t95.0\t{seconds}\n"
        )


def benchmark_names(n_folds: int, seeds: tuple[int, ...]) -> list[str]:
    """Names of these files, without their suffix."""
    names = ["ingest", "split", "graphs/000", "graphs/001", "embeddings/000"]
    trained = [f"train/{SPLIT}-{fold}-{seed}-halo" for fold in range(n_folds) for seed in seeds]
    return names + trained


def make_report(run: SimulatedRun, resamples: int = 100) -> Path:
    """Evaluate the run and write its report with the real code; the path of the page."""
    write_evaluation(run, resamples)
    results = read_results(run)
    figures = draw_figures(results, run.path("evaluation/figures"))
    page = run.path("report.html")
    page.write_text(render(results, figures, run.path("evaluation/figures")), encoding="utf-8")
    return page


def write_evaluation(run: SimulatedRun, resamples: int = 100) -> None:
    """Evaluate the run, and write what the report reads of it."""
    assignments = run.assignments.set_index("id")
    structures = pd.read_csv(run.path("structures/manifest.csv"), dtype=str, keep_default_na=False)
    identity = pd.read_csv(run.path("split/identity.csv"), dtype=str)
    metrics, predictions = evaluate(
        run.proteins,
        assignments,
        run.models,
        make_strata(run.proteins, structures, identity),
        EvaluationSettings(resamples=resamples),
    )
    write_json(run.path("evaluation/metrics.json"), metrics)
    write_table(run.path("evaluation/predictions.csv"), predictions)
    config = {
        "run": "trial",
        "seeds": [1, 2],
        "dataset": {"simulated": True},
        "structures": {"sources": [{"kind": "afdb"}]},
        "split": {"seed": 1},
        "evaluation": {"resamples": resamples, "seed": 1},
    }
    counts = {
        "proteins": len(run.proteins),
        "structures": int((structures["status"] == "ok").sum()),
    }
    folder = run.path("benchmarks")
    provenance = make_provenance(
        config,
        Path(__file__).parents[1],
        {"snakemake": "9.27.1"},
        [run.path("proteins.csv")],
        {"name": "esm2_demo", "sha256": "ab" * 32},
        counts,
        read_timings(folder, [str(f.relative_to(folder))[:-4] for f in folder.rglob("*.tsv")]),
    )
    write_json(run.path("provenance.json"), provenance)


def read_results(run: SimulatedRun) -> RunResults:
    """What the report reads, after `write_evaluation`."""
    return read_run(
        *(run.path(name) for name in REPORT_FILES[:-1]),
        [path for model in run.models if (path := model.with_name("history.csv")).exists()],
        run.path(REPORT_FILES[-1]),
    )
