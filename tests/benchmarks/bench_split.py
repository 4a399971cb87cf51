"""Compare the split of 4,000 proteins of DeepLoc 2.0 with GraphPart, at GraphPart's rule.

GraphPart 1.0.2 comes from PyPI into a virtual environment of its own, which is removed at the
end, and runs its MMseqs2 mode as it is by default: every pair is aligned, similar are pairs
with 30 % of the shorter one's residues identical. Both use the same MMseqs2 and the same number
of threads. Both results are then audited in the same way, by the optimal alignments of all pairs.
HALO's own rule is run beside it.

HALO's result is given twice: as the search alone makes it, and as the stage delivers it, after
what its audit finds has gone back into the graph. The seconds of the audit are not counted, those
of splitting again are. Since the audit that fixes HALO's result also evaluates it, the
highest identity of the search alone is beside it. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import DEEPLOC, deeploc_sample  # noqa: E402

from halo.proteins.table import Proteins  # noqa: E402
from halo.split.audit import Auditor  # noqa: E402
from halo.split.binary import find_mmseqs  # noqa: E402
from halo.split.leakage import label_deviation  # noqa: E402
from halo.split.run import Relations, assign, joined_by, relate  # noqa: E402
from halo.split.settings import AuditSettings, SplitSettings  # noqa: E402

GRAPH_PART = "graph-part==1.0.2"
GOAL = 5.0
FOLDS = 5
# Identity over the shorter sequence and no coverage. GraphPart has no limit of E-values; 10 is what
# MMseqs2's users take for none.
GRAPH_PARTS_RULE = {"identity_of": "shorter", "coverage": 0.0, "evalue": 10.0}


def split_with_halo(
    proteins: Proteins, settings: SplitSettings, threads: int, folder: Path
) -> tuple[Relations, pd.DataFrame, float]:
    """Relations and assignments before the audit, and the seconds that they took."""
    start = time.perf_counter()
    relations = relate(proteins, settings, threads, folder)
    assignments = assign(relations.table, relations.homology, settings)
    return relations, assignments, time.perf_counter() - start


def fix(
    relations: Relations, assignments: pd.DataFrame, auditor: Auditor, settings: SplitSettings
) -> tuple[pd.DataFrame, float]:
    """Assignments after the rounds of the audit, and the seconds of splitting again."""
    homology, seconds = relations.homology, 0.0
    for _ in range(settings.audit.rounds):
        findings = auditor.examine(assignments)
        if findings.clean:
            break
        start = time.perf_counter()
        homology = joined_by(auditor, relations.table, homology)
        assignments = assign(relations.table, homology, settings)
        seconds += time.perf_counter() - start
    return assignments, seconds


def install_graph_part(folder: Path) -> Path:
    """A virtual environment with GraphPart; the path of its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    subprocess.run([programs / "pip", "install", "--quiet", GRAPH_PART], check=True)
    return programs


def split_with_graph_part(
    proteins: Proteins, programs: Path, threads: int, folder: Path
) -> tuple[pd.DataFrame, float]:
    """Assignments and seconds; what GraphPart removed is ``removed`` in every fold.

    GraphPart knows one label per protein: it gets the rarest one.
    """
    rarity = np.where(proteins.labels == 1, proteins.labels.sum(axis=0), np.inf)
    label = rarity.argmin(axis=1)
    rows = zip(proteins.ids, label, proteins.table["sequence"], strict=True)
    fasta = folder / "proteins.fasta"
    fasta.write_text("".join(f">{name}|label={kind}\n{text}\n" for name, kind, text in rows))
    path = os.pathsep.join([str(programs), str(Path(find_mmseqs()).parent), os.environ["PATH"]])
    command = [programs / "graphpart", "mmseqs2", "--fasta-file", fasta, "--threshold", "0.3"]
    command += ["--labels-name", "label", "--partitions", str(FOLDS), "--out-file", "out.csv"]
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path, "MMSEQS_NUM_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds = time.perf_counter() - start
    clusters = pd.read_csv(folder / "out.csv").set_index("AC")["cluster"].astype(float).astype(int)
    fold = clusters.reindex(proteins.ids)
    table = pd.DataFrame(
        {"id": proteins.ids, "fold": ["" if f != f else str(int(f)) for f in fold]}
    )
    for number in range(FOLDS):
        part = np.where(fold == number, "test", "train")
        table[f"part_{number}"] = np.where(fold.isna(), "removed", part)
    return table, seconds


def described(
    assignments: pd.DataFrame, proteins: Proteins, auditor: Auditor, seconds: float
) -> dict[str, float]:
    """What the benchmark compares."""
    # Folds alone are compared, since GraphPart makes no validation.
    parts = assignments.filter(regex="^part_").replace({"val": "train", "cal": "train"})
    findings = auditor.examine(pd.concat([assignments[["id"]], parts], axis=1))
    labels = pd.DataFrame(proteins.labels, columns=list(proteins.label_names), index=proteins.ids)
    return {
        "seconds": round(seconds, 1),
        "removed": int((parts == "removed").all(axis=1).sum()),
        "max_cross_identity": float(findings.identity["max_cross_identity"].max()),
        "leaking_pairs": len(findings.leaks),
        "label_deviation": max(label_deviation(assignments, labels).values()),
    }


def main() -> None:
    """Run both sides, print a table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEEPLOC, help="table of DeepLoc 2.0")
    parser.add_argument("--proteins", type=int, default=4000, help="size of the sample")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for either side")
    arguments = parser.parse_args()
    proteins = deeploc_sample(arguments.data, arguments.proteins, arguments.seed)
    threads = arguments.threads
    same = SplitSettings(folds=FOLDS, **GRAPH_PARTS_RULE)
    own = SplitSettings(folds=FOLDS)
    all_pairs = AuditSettings(exact=len(proteins))
    with TemporaryDirectory() as name:
        folder = Path(name)
        programs = install_graph_part(folder / "venv")
        rows = {}
        for name, settings in (("GraphPart's rule", same), ("own rule", own)):
            auditor = Auditor(proteins.table, settings.rule, all_pairs, threads, folder)
            relations, before, seconds = split_with_halo(proteins, settings, threads, folder)
            after, more = fix(relations, before, auditor, settings)
            rows[f"HALO, {name}, search alone"] = described(before, proteins, auditor, seconds)
            rows[f"HALO, {name}"] = described(after, proteins, auditor, seconds + more)
            if settings is same:
                theirs = split_with_graph_part(proteins, programs, threads, folder)
                rows["GraphPart"] = described(theirs[0], proteins, auditor, theirs[1])
    print(pd.DataFrame(rows).T.to_string())
    ours, theirs = rows["HALO, GraphPart's rule"], rows["GraphPart"]
    ratio = theirs["seconds"] / ours["seconds"]
    ok = (
        ratio >= GOAL
        and ours["removed"] <= theirs["removed"]
        and ours["max_cross_identity"] <= theirs["max_cross_identity"]
    )
    result = {"name": "split", "ratio": round(ratio, 2), "goal": GOAL, "ok": ok}
    print(json.dumps(result | {"proteins": len(proteins), "threads": threads, **rows}))


if __name__ == "__main__":
    main()
