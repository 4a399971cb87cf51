"""Splits all 28,303 proteins of DeepLoc 2.0 in every mode, and audits each split.

The search that the splits are made of is done once, and so is that of the audit: neither depends
on the mode. With ``--folder`` both are kept there, and a later call takes them up. Each line of
the table is one split: how many pairs of similar proteins each audit found in different parts
(the last number must be 0, save where the authors' partitions are reported as they are), what was
removed, and how far a label's count is from an equal share. The last line is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import DEEPLOC, deeploc_sample  # noqa: E402

from halo.split import audit, run  # noqa: E402
from halo.split.audit import Auditor  # noqa: E402
from halo.split.run import SplitResult, relate, settle  # noqa: E402
from halo.split.settings import SplitSettings  # noqa: E402

BASE_SHARE = 0.9  # of the proteins are in the frozen base, the others come later


def kept(search: Callable[..., pd.DataFrame], file: Path) -> Callable[..., pd.DataFrame]:
    """`search`, which is done once and then read from `file`."""

    def searched(*arguments: Any) -> pd.DataFrame:
        if not file.exists():
            search(*arguments).to_csv(file, index=False)
        return pd.read_csv(file)

    return searched


def modes(settings: SplitSettings) -> dict[str, SplitSettings]:
    """The splits by name; the one called growth needs a base still."""
    return {
        "kfold": settings,
        "kfold, seed 2": replace(settings, seed=2),
        "growth": settings,
        "fractions": replace(settings, mode="fractions"),
        "external, test 0": replace(settings, mode="external", test=("0",)),
        "predefined, repaired": replace(settings, mode="predefined", repair=True),
        "predefined": replace(settings, mode="predefined"),
    }


def figures(result: SplitResult, seconds: float) -> dict[str, Any]:
    """What the table shows of a split."""
    report = result.leakage
    deviation = report["label_deviation"] or {}
    worst = max(deviation, key=deviation.get) if deviation else None
    return {
        "pairs_apart_by_round": report["audited_by"]["pairs_apart_by_round"],
        "identical_apart": report["identical_sequences_apart"],
        "isoforms_apart": report["isoform_families_apart"],
        "max_cross_identity": report["max_cross_identity"],
        "tested_with_relative": report["tested_proteins_above_threshold"],
        "removed": report["n_removed"],
        "removed_from_a_fold": report["n_removed_from_a_fold"],
        "largest_group": report["largest_group"],
        "label_deviation": deviation.get(worst),
        "of_label": worst,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Search twice, split in every mode, print the table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEEPLOC, help="table of DeepLoc 2.0")
    parser.add_argument("--proteins", type=int, help="size of a sample instead of all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="keep the searches and each split's files here")
    arguments = parser.parse_args()
    proteins = deeploc_sample(arguments.data, arguments.proteins)
    settings, threads = SplitSettings(), arguments.threads
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        run.all_against_all = kept(run.all_against_all, arguments.folder / "hits.csv")
        audit.search = kept(audit.search, arguments.folder / "audit.csv")
    rows: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as name:
        scratch = Path(name)
        start = time.perf_counter()
        relations = relate(proteins, settings, threads, scratch)
        searched = time.perf_counter()
        print(f"search of the split: {searched - start:.0f} s", flush=True)
        auditor = Auditor(relations.table, settings.rule, settings.audit, threads, scratch)
        print(f"search of the audit: {time.perf_counter() - searched:.0f} s", flush=True)
        base = scratch / "base.csv"
        for mode, chosen in modes(settings).items():
            if mode == "growth":
                chosen = replace(chosen, base=str(base))
            begin = time.perf_counter()
            result = settle(proteins, relations, auditor, chosen)
            rows[mode] = figures(result, time.perf_counter() - begin)
            print(f"{mode}: {json.dumps(rows[mode])}", flush=True)
            if mode == "kfold":
                frozen = result.assignments.sample(frac=BASE_SHARE, random_state=1)
                frozen.to_csv(base, index=False)
            if mode == "growth":
                rows[mode]["moved"] = _moved(frozen, result.assignments)
            if arguments.folder:
                _keep(result, arguments.folder / mode.replace(", ", "_").replace(" ", ""))
    print(pd.DataFrame(rows).T.to_string())
    clean = all(
        row["pairs_apart_by_round"][-1] == row["identical_apart"] == row["isoforms_apart"] == 0
        for mode, row in rows.items()
        if mode != "predefined"
    )
    result = {"name": "split_proof", "ok": clean and rows["growth"]["moved"] == 0}
    print(json.dumps(result | {"proteins": len(proteins), "threads": threads, **rows}))


def _moved(base: pd.DataFrame, grown: pd.DataFrame) -> int:
    """Proteins of the base that are in another part than before in any fold."""
    parts = base.set_index("id").filter(regex="^part_")
    now = grown.set_index("id").loc[parts.index, parts.columns]
    return int((parts != now).any(axis=1).sum())


def _keep(result: SplitResult, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result.assignments.to_csv(folder / "assignments.csv", index=False)
    result.leaks.to_csv(folder / "leaks.csv", index=False)
    (folder / "leakage.json").write_text(json.dumps(result.leakage, indent=1))


if __name__ == "__main__":
    main()
