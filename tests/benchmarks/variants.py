"""Mutants of the planted signals of a demo run, against mutants of other residues.

    snakemake --cores 2 -- all          # or `make demo`
    PYTHONPATH=workflow python tests/benchmarks/variants.py results/demo

Each test protein is compared by the model of the fold that did not train on it, for each true
label that the model gives it and to which planted signals lead. All residues of these signals are
substituted at random, or deleted; beside each such mutant, as many residues that are in no signal
and no decoy are: random ones are substituted, and for a deletion, one stretch at a random place.
Prints one JSON object, by kind of mutant: the shares that lose the label, the mean differences of
its probability, and the area below the ROC curve of the decrease, for which chance is 0.5.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from attributions import DEMO, marked
from sklearn.metrics import roc_auc_score

from halo.config import checked_config, load_yaml
from halo.fold_parts import read_assignments
from halo.plan import Plan
from halo.predict.build_bundle import BundleSettings, build_bundle
from halo.predict.settings import PredictSettings
from halo.proteins.table import Proteins, read_proteins
from halo.relevance import relevant
from halo.residues import STANDARD
from halo.stage_settings import release_settings
from halo.variants.run import predict_variants
from halo.variants.settings import VariantSettings

ROOT = DEMO.parents[1]
SETTINGS = VariantSettings(
    random=0,
    predict=PredictSettings(
        structures=DEMO / "afdb", download=False, language_model=DEMO / "esm2_demo.pt", page=0
    ),
)
KINDS = ("substituted", "deleted")


def bundle_of(run: Path, fold: str, method: str, folder: Path) -> Path:
    """A bundle of the model of one fold, without training sequences."""
    config = checked_config(load_yaml(ROOT / "config/config.yaml"))
    settings = release_settings(config, relevant(config), Plan.from_config(config), ROOT)
    settings |= {"sequences": False, "homologues": False}
    build_bundle(
        read_proteins(run / "proteins.csv"),
        read_assignments(run / "split/assignments.csv"),
        [run / f"kfold/{fold}/1/{method}/predictions.csv"],
        run / "language_model.json",
        run / "evaluation/metrics.json",
        ROOT / "LICENSE",
        BundleSettings(**settings),
        folder,
    )
    return folder


def substituted(sequence: str, places: np.ndarray, random: np.random.Generator) -> str:
    """The notation of random substitutions at `places`, from 0."""
    changes = []
    for place in np.sort(places):
        others = STANDARD.replace(sequence[place], "")
        changes.append(f"{sequence[place]}{place + 1}{others[random.integers(len(others))]}")
    return ";".join(changes)


def deleted(sequence: str, inside: np.ndarray) -> str:
    """The notation of the deletion of the residues in `inside`, bool [length]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    changes = []
    for start, stop in edges.reshape(-1, 2):
        first, last = f"{sequence[start]}{start + 1}", f"{sequence[stop - 1]}{stop}"
        changes.append(f"{first}del" if stop - start == 1 else f"{first}_{last}del")
    return ";".join(changes)


def mutants(
    sequence: str, wanted: np.ndarray, signals: np.ndarray, random: np.random.Generator
) -> dict[tuple[str, bool], str]:
    """Notations by kind and whether they change the signal; {} without room elsewhere."""
    count = int(wanted.sum())
    free = np.flatnonzero(~signals)
    inner = np.lib.stride_tricks.sliding_window_view(signals, min(count, len(sequence)))
    starts = np.flatnonzero(~inner.any(axis=1))
    if len(free) < count or not len(starts):
        return {}
    other = np.zeros(len(sequence), dtype=bool)
    start = int(random.choice(starts))
    other[start : start + count] = True
    return {
        ("substituted", True): substituted(sequence, np.flatnonzero(wanted), random),
        ("substituted", False): substituted(
            sequence, random.choice(free, count, replace=False), random
        ),
        ("deleted", True): deleted(sequence, wanted),
        ("deleted", False): deleted(sequence, other),
    }


def names_of(proteins: Proteins) -> np.ndarray:
    """Accessions, by which structures are found, or ids, object [n_proteins]."""
    accessions = proteins.table["accession"].to_numpy(dtype=object)
    return np.where(accessions != "", accessions, proteins.ids)


def cases(proteins: Proteins, rows: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """The mutants of these proteins: id, label, kind, whether of the signal, and notation."""
    signals = dict(list(pd.read_csv(DEMO / "signals.csv").groupby("id")))
    found = []
    for row in rows:
        name, sequence = names_of(proteins)[row], proteins.table["sequence"].iat[row]
        own = signals.get(proteins.ids[row])
        if own is None:
            continue
        everything = marked(own, len(sequence), None)
        for column in np.flatnonzero(proteins.labels[row]):
            label = proteins.label_names[column]
            wanted = marked(own, len(sequence), label)
            if not wanted.any():
                continue
            for (kind, of_signal), text in mutants(sequence, wanted, everything, random).items():
                found.append((name, label, kind, of_signal, f"{name}:{text}"))
    return pd.DataFrame(found, columns=["id", "label", "kind", "signal", "variant"])


def measure(run: Path, method: str, count: int) -> dict[str, object]:
    """The figures of a run, of at most `count` proteins of each fold."""
    proteins = read_proteins(run / "proteins.csv")
    folds = read_assignments(run / "split/assignments.csv")["fold"].reindex(proteins.ids)
    random = np.random.default_rng(1)
    parts = []
    for folder in sorted(run.glob(f"kfold/*/1/{method}")):
        fold = folder.parts[-3]
        rows = np.flatnonzero(folds == fold)[:count]
        table = cases(proteins, rows, random).drop_duplicates(["id", "label", "kind", "signal"])
        sequences = dict(
            zip(names_of(proteins)[rows], proteins.table["sequence"].iloc[rows], strict=True)
        )
        with TemporaryDirectory() as scratch:
            bundle = bundle_of(run, fold, method, Path(scratch, "bundle"))
            texts = list(dict.fromkeys(table["variant"]))
            found = predict_variants(sequences, texts, bundle, SETTINGS)
        found.index = pd.Index(texts)
        own = found.loc[table["variant"]].reset_index(drop=True)
        table = table.reset_index(drop=True)
        for name, values in (("labels_wildtype", "before"), ("labels", "after")):
            sets = [text.split(";") for text in own[name]]
            pairs = zip(table["label"], sets, strict=True)
            table[values] = [label in labels for label, labels in pairs]
        columns = [f"difference:{label}" for label in table["label"]]
        table["difference"] = [own[name].iat[at] for at, name in enumerate(columns)]
        parts.append(table[table["before"]])
    whole = pd.concat(parts)
    result: dict[str, object] = {
        "proteins": int(whole["id"].nunique()),
        "pairs of protein and label": len(whole.drop_duplicates(["id", "label"])),
    }
    for kind, rows_of_kind in whole.groupby("kind"):
        result[str(kind)] = figures(rows_of_kind)
    for label, rows_of_label in whole[whole["kind"] == "substituted"].groupby("label"):
        result[f"substituted, {label}"] = figures(rows_of_label)
    return result


def figures(table: pd.DataFrame) -> dict[str, float]:
    """Figures of mutants of one kind."""
    of_signal, others = table[table["signal"]], table[~table["signal"]]
    return {
        "pairs": len(of_signal),
        "lose the label": round(float((~of_signal["after"]).mean()), 3),
        "lose it, other residues": round(float((~others["after"]).mean()), 3),
        "mean difference": round(float(of_signal["difference"].mean()), 3),
        "mean difference, other residues": round(float(others["difference"].mean()), 3),
        "area": round(float(roc_auc_score(table["signal"], -table["difference"])), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of a run of the demo")
    parser.add_argument("--method", default="halo", help="a network of the run (default: halo)")
    parser.add_argument("--proteins", type=int, default=10**6, help="of each fold, at most")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.run, arguments.method, arguments.proteins), indent=1))
