"""Sorting signals of TargetP 2.0, predicted for proteins that are not similar to training proteins.

The proteins are those of TargetP 2.0 that are in DeepLoc 2.0, in its authors' partitions: 0 to 2
for training, 3 for validation, 4 for the test; proteins similar to the test or the validation are
removed from training. As in TargetP's data, the first 200 residues are used. The language model is
the repository's offline one, which has met no protein of partition 4, and nothing similar to one.

    make sorting-signals
    make sorting-signals SIGNALS='--others 2600 --seeds 1'

`labels_only` is the same network without the loss of regions: the difference tells what the regions
add to the labels. It is one run of the workflow in `results/sorting_signals`; repeat the command
after an interruption. It prints tables in Markdown, with 95 % intervals over homology groups.
The last line is one JSON object.
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
TARGETP = SHARED / "signals/targetp2.csv.gz"
NAME = "sorting_signals"
FOLDER = Path("results") / NAME
SEEN = 200  # residues, as many as TargetP 2.0's data have
KINDS = {
    "SP": "signal peptide",
    "mTP": "mitochondrial transit peptide",
    "cTP": "chloroplast transit peptide",
    "luTP": "thylakoid luminal transit peptide",
}
NONE = "noTP"
COLUMNS = ("precision", "recall", "mcc", "end_exact", "end_near")
GOAL = 0.8  # MCC of signal peptides


def write_tables(others: int | None) -> pd.DataFrame:
    """Write proteins and regions; `others` is the number of proteins without a signal."""
    signals = pd.read_csv(TARGETP).set_index("accession")
    proteins = pd.read_csv(DEEPLOC)
    proteins = proteins[proteins["ACC"].isin(signals.index)]
    types = signals.loc[proteins["ACC"], "type"].to_numpy()
    if others is not None:
        without = proteins[types == NONE].sample(others, random_state=1)
        proteins = pd.concat([proteins[types != NONE], without])
    proteins = proteins.assign(Sequence=proteins["Sequence"].str[:SEEN])
    chosen = signals.loc[proteins["ACC"]].reset_index()
    has = chosen["type"] != NONE
    regions = pd.DataFrame(
        {
            "id": chosen["accession"],
            "start": has.map({True: "1", False: ""}),
            "end": chosen["cleavage_index"].astype(str).where(has, ""),
            "kind": chosen["type"].map(KINDS).fillna(NONE),
        }
    )
    proteins.to_csv(FOLDER / "input.csv", index=False)
    regions.to_csv(FOLDER / "signals.csv", index=False)
    return regions


def configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """The configuration of the run."""
    return {
        "run": NAME,
        "seeds": arguments.seeds,
        "shards": 2,
        "dataset": {
            "registry": "deeploc2",
            "proteins": str(FOLDER / "input.csv"),
            "regions": {
                "table": str(FOLDER / "signals.csv"),
                "kinds": list(KINDS.values()),
                "none": [NONE],
            },
        },
        "split": {
            "mode": "external", "test": ["4"], "val": ["3"],
            "val_fraction": 0.2, "cal_fraction": 0.1,
        },
        # The sequences are cut, so no structure fits them.
        "structures": {"sources": [{"kind": "folder", "path": str(SHARED / "afdb")}]},
        "embeddings": {"model": str(ROOT / "resources/language_model/esm2_offline.pt")},
        "network": {"hidden": arguments.hidden, "layers": 2},
        "training": {
            "epochs": arguments.epochs, "patience": arguments.epochs,
            "learning_rate": 0.002, "residues_per_batch": 8192,
        },
        "methods": {
            "halo": {"class": "network"},
            "labels_only": {"class": "network", "training": {"region_weight": 0}},
            "majority": {"class": "majority"},
        },
    }  # fmt: skip


def estimate_text(estimate: dict[str, float | None]) -> str:
    """A value with its interval."""
    if estimate["value"] is None:
        return "–"
    if estimate["low"] is None:  # of a single homology group
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def table_of(parts: dict[str, dict[str, Any]]) -> str:
    """A row of the Markdown table for each group and kind."""
    lines = [f"| proteins | kind | with it | {' | '.join(COLUMNS)} |", "|---" * 8 + "|"]
    for group, kinds in parts.items():
        for kind, found in kinds.items():
            cells = " | ".join(estimate_text(found[column]) for column in COLUMNS)
            lines.append(f"| {group} | {kind} | {found['with']} of {found['proteins']} | {cells} |")
    return "\n".join(lines)


def result_of(kinds: dict[str, Any]) -> dict[str, Any]:
    """The last line; MCC is None if no signal peptide is predicted, or none is in the test."""
    reached = kinds[KINDS["SP"]]["mcc"]["value"]
    ok = reached is not None and reached >= GOAL
    return {"name": NAME, "goal": GOAL, "signal_peptide_mcc": reached, "ok": ok, "kinds": kinds}


def main() -> None:
    """Run the workflow and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--others", type=int, help="proteins without a signal; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_tables(arguments.others)
    file = FOLDER / "config.yaml"
    file.write_text(yaml.safe_dump(configuration(arguments), sort_keys=False))
    target = FOLDER / "evaluation/metrics.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", str(file), "--rerun-incomplete", "--cores", str(arguments.cores)]
    command += ["--set-threads", "train=1", "embeddings=1", "--", str(target)]
    if subprocess.run(command, check=False).returncode:
        sys.exit("the workflow has failed; repeat the command to continue")
    metrics = json.loads(target.read_text(encoding="utf-8"))
    halo = metrics["regions"]["methods"]["halo"]
    print(table_of({"all": halo["kinds"], **halo["strata"].get("Kingdom", {})}))
    difference = metrics["differences"]["labels_only"]["overall"]["macro_f1"]
    print(f"\nmacro-F1 of the labels, with regions minus without: {estimate_text(difference)}")
    print(json.dumps(result_of(halo["kinds"])))


if __name__ == "__main__":
    main()
