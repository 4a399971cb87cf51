"""Cost of changing 13 proteins, relative to all proteins of DeepLoc 2.0.

    make bench-incremental [PROTEINS=28303]

The stages that work protein by protein, with a language model of the shapes of ESM-2's t6_8M and
random weights: a first run, then one call after 10 proteins were added, 3 changed and 5 removed.
Exactly 13 must be computed, and what has no bearing on them must compute nothing. A third call
in which every job starts and finds all in the store shows what the start of the jobs costs. With
a sample, the default, the time of all proteins is extrapolated from the cost a protein. The last
line is JSON.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import torch
import yaml
from esm import Alphabet
from esm.model.esm2 import ESM2
from samples import DEEPLOC, SHARED

from halo.embeddings.saving import save_esm2
from serve import AlphaFoldServer

ROOT = Path(__file__).resolve().parents[2]
ALL = 28_303
ADDED, CHANGED, REMOVED = 10, 3, 5
NEW = ADDED + CHANGED
GOAL = 20
KINDS = ("structures", "embeddings", "graphs")


class Runs:
    """Calls of a copy of the workflow, whose code may be edited, in a folder of their own."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.workflow = folder / "workflow"
        for name in ("rules", "scripts", "workflow", "envs", "profiles", "config"):
            shutil.copytree(ROOT / name, self.workflow / name)
        for name in ("Snakefile", "LICENSE"):
            shutil.copy(ROOT / name, self.workflow)
        (self.workflow / "resources").mkdir()
        for path in (ROOT / "resources").glob("*.*"):
            shutil.copy(path, self.workflow / "resources")
        self.config = config
        shards = [f"{number:03d}" for number in range(config["shards"])]
        stages = ("embeddings", "graphs")
        self.targets = [f"results/incremental/{s}/{n}.json" for s in stages for n in shards]

    def call(self, *arguments: str) -> tuple[float, set[str]]:
        """Seconds of a call, and the rules that it started."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        command = [sys.executable, "-m", "snakemake", *self.targets]
        command += ["--snakefile", str(self.workflow / "Snakefile"), "--cores", "all"]
        command += ["--configfile", "config.yaml", *arguments]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        start = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        output = done.stdout + done.stderr
        if done.returncode:
            sys.exit(output)
        rules = re.findall(r"^\s*(?:local)?(?:rule|checkpoint) (\w+):", output, re.MULTILINE)
        return seconds, set(rules)

    def stored(self, kind: str) -> set[str]:
        """Hashes of the proteins in a store."""
        found: set[str] = set()
        for path in (self.folder / "store" / kind).glob("*/*/*.h5"):
            with h5py.File(path) as file:
                found.update(file["hash"].asstr()[:])
        return found


def changed(table: pd.DataFrame, reserve: pd.DataFrame) -> pd.DataFrame:
    """`table` with the `reserve` added, some sequences changed and some proteins removed."""
    table = table.iloc[REMOVED:].copy()
    rows = table.index[:CHANGED]
    table.loc[rows, "Sequence"] += "G"
    return pd.concat([table, reserve])


def expect(holds: bool, what: str) -> None:
    """Print what was looked at, and end the benchmark where it does not hold."""
    print(f"{'ok ' if holds else 'BAD'} {what}", flush=True)
    if not holds:
        sys.exit(1)


def append(path: Path, text: str) -> None:
    """Append a line to a file of code."""
    path.write_text(path.read_text() + text)


def measure(
    runs: Runs, data: Path, table: pd.DataFrame, reserve: pd.DataFrame
) -> tuple[float, ...]:
    """Seconds of the first run, of one that has only to start jobs, and after the change."""
    table.to_csv(data, index=False)
    full, _ = runs.call()
    expect(not runs.call()[1], "a second call has nothing to do")
    start, _ = runs.call("--forcerun", *KINDS)
    before = {kind: runs.stored(kind) for kind in KINDS}

    changed(table, reserve).to_csv(data, index=False)
    change, _ = runs.call()
    for kind in ("embeddings", "graphs"):
        new = len(runs.stored(kind) - before[kind])
        expect(new == NEW, f"{kind}: {new} proteins computed after {NEW} came")
    expect(not runs.call()[1], "a second call has nothing to do")

    data.touch()
    expect(not runs.call()[1] & set(KINDS), "a newer time of the table computes nothing")
    runs.config["training"] = {"epochs": 7}
    expect(not runs.call("--dry-run")[1], "a key of another stage computes nothing")
    package = runs.workflow / "workflow/halo"
    append(package / "evaluation/metrics.py", "\n_ADDED = 0\n")
    expect(not runs.call("--dry-run")[1], "a module of another stage computes nothing")
    append(package / "graphs/build.py", "\n# A comment.\n")
    expect(not runs.call("--dry-run")[1], "a comment computes nothing")
    append(package / "graphs/build.py", "\n_ADDED = 0\n")
    rules = runs.call("--dry-run")[1]
    expect("graphs" in rules and "embeddings" not in rules, "the code of graphs computes graphs")
    return full, start, change


def main() -> None:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=1_000, help=f"{ALL} for all of them")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--data", type=Path, default=DEEPLOC)
    parser.add_argument("--models", type=Path, default=SHARED / "afdb")
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.data, dtype=str, keep_default_na=False)
    count = min(arguments.proteins, len(table)) - ADDED
    table = table.sample(count + ADDED, random_state=1)
    torch.manual_seed(1)
    with (
        tempfile.TemporaryDirectory() as name,
        AlphaFoldServer(arguments.models) as server,
    ):
        folder = Path(name)
        save_esm2(ESM2(6, 320, 20, Alphabet.from_architecture("ESM-1b")), folder / "esm2_t6.pt")
        config = {
            "run": "incremental",
            "shards": arguments.shards,
            "dataset": {"registry": "deeploc2", "proteins": "deeploc2.csv"},
            "embeddings": {"model": "esm2_t6.pt"},
            "structures": {"transport": {"base_url": server.url, "requests_per_second": 500}},
        }
        runs = Runs(folder, config)
        data = folder / "deeploc2.csv"
        full, start, change = measure(runs, data, table.iloc[:count], table.iloc[count:])
    each = (full - start) / count
    everything = full if count >= ALL - ADDED else start + ALL * each
    ratio = everything / change
    result = {"name": "incremental", "ratio": round(ratio, 1), "goal": GOAL, "ok": ratio >= GOAL}
    result |= {"proteins": count, "computed": NEW, "extrapolated": count < ALL - ADDED}
    result |= {"seconds_full": round(full, 1), "seconds_change": round(change, 1)}
    result |= {"seconds_starting_jobs": round(start, 1), "seconds_a_protein": round(each, 4)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
