"""Split all 28,303 proteins of DeepLoc 2.0 in every mode, and audit each split.

The search that the splits are made of is done once, and so is the audit's, with all alignments:
neither depends on the mode. With ``--folder`` they are kept there, and a later call resumes
where an earlier one ended; a pair that both searches propose is then aligned once. Each line of
the table is one split: how many pairs of similar proteins each audit found in different parts
(the last number must be 0, save where the authors' partitions are reported as they are), what was
removed, and how far a label's count is from an equal share. The last line is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import DEEPLOC, deeploc_sample  # noqa: E402

from halo.files import atomic_path  # noqa: E402
from halo.split import audit, run  # noqa: E402
from halo.split.alignment import pair_tasks  # noqa: E402
from halo.split.audit import Auditor  # noqa: E402
from halo.split.run import SplitResult, relate, split_and_audit  # noqa: E402
from halo.split.settings import AuditSettings, SplitSettings  # noqa: E402

MISSED = 1e-3  # share of the proteins that may have an unproposed relative apart, at 95 %
BASE_SHARE = 0.9  # of the proteins are in the frozen base, the others come later


BLOCK = 100  # proteins that are aligned with all others before what was found is kept
PAIRS = 1_000_000  # pairs that are aligned before what was found is kept


def keep_searches(folder: Path) -> None:
    """Keep in `folder` what the split and the audit search and align, and take it from there."""
    folder.mkdir(parents=True, exist_ok=True)
    of_split = folder / "proposed.npy", folder / "hits.csv.gz"
    run.propose = _kept_pairs(run.propose, of_split[0])
    run.align = _kept_table(run.align, of_split[1])
    audit.search = _kept_pairs(audit.search, folder / "audit_proposed.npy")
    audit.align = _kept_rest(audit.align, folder / "audit_hits", *of_split, folder / "with_all")
    audit.align_with_all = _kept_blocks(audit.align_with_all, folder / "with_all")


def _kept_pairs(search: Callable[..., np.ndarray], file: Path) -> Callable[..., np.ndarray]:
    def kept(*arguments: Any) -> np.ndarray:
        if not file.exists():
            with timed(file.stem), atomic_path(file) as temporary, temporary.open("wb") as raw:
                np.save(raw, search(*arguments))
        return np.load(file)

    return kept


def _kept_table(align: Callable[..., pd.DataFrame], file: Path) -> Callable[..., pd.DataFrame]:
    def kept(*arguments: Any) -> pd.DataFrame:
        if not file.exists():
            with timed(file.stem), atomic_path(file) as temporary:
                align(*arguments).to_csv(temporary, index=False, compression="gzip")
        return pd.read_csv(file)

    return kept


def _kept_rest(
    align: Callable[..., pd.DataFrame], folder: Path, proposed: Path, hits: Path, with_all: Path
) -> Callable[..., pd.DataFrame]:
    """`align` of the audit, which leaves out the pairs that have been aligned already.

    These are the pairs of the split (`proposed`, `hits`) and those with a protein that was aligned
    with all others (`with_all`). Both number the distinct sequences in the order of their hashes.
    The rows of so many pairs at a time are kept in `folder`.
    """
    folder.mkdir(exist_ok=True)

    def kept(sequences: Sequence[str], tasks: Sequence[tuple], *how: Any) -> pd.DataFrame:
        pairs = np.concatenate([np.column_stack([np.full(len(b), a), b]) for a, b in tasks])
        codes = _codes(pairs, len(sequences))
        of_split = np.load(proposed) if proposed.exists() else np.empty((0, 2), dtype=np.int64)
        known = np.isin(codes, _codes(of_split, len(sequences)))
        sampled = np.concatenate([[], *map(_numbers, with_all.glob("*.txt"))])
        of_sample = np.isin(pairs, sampled).any(axis=1)
        earlier = [np.load(file) for file in folder.glob("*.npy")]
        done = np.isin(codes, np.concatenate(earlier) if earlier else [])
        rest = pairs[~known & ~of_sample & ~done]
        print(
            f"audit: {len(pairs):,} pairs, of which the split has aligned {known.sum():,} and the "
            f"sample {of_sample.sum():,}; {len(rest):,} are left",
            flush=True,
        )
        for start in range(0, len(rest), PAIRS):
            block = rest[start : start + PAIRS]
            name = f"{block[0, 0]}_{block[0, 1]}_{len(block)}"
            with timed(f"{name} of the audit"), atomic_path(folder / f"{name}.csv.gz") as temporary:
                rows = align(sequences, pair_tasks(block), *how)
                rows.to_csv(temporary, index=False, compression="gzip")
            np.save(folder / f"{name}.npy", _codes(block, len(sequences)))
        tables = [pd.read_csv(hits)] if len(of_split) else []
        tables += [_rows_of(one) for one in (with_all, folder) if any(one.glob("*.csv.gz"))]
        rows = pd.concat(tables).drop_duplicates(["a", "b"])
        proposed_now = np.isin(_codes(rows[["a", "b"]].to_numpy(), len(sequences)), codes)
        return rows[proposed_now].sort_values(["a", "b"], ignore_index=True)

    return kept


def _codes(pairs: np.ndarray, n: int) -> np.ndarray:
    """One number for each of `pairs` of `n` sequences, whatever the order of the pair."""
    return pairs.min(axis=1) * n + pairs.max(axis=1)


def _numbers(file: Path) -> np.ndarray:
    return np.loadtxt(file, dtype=np.int64, ndmin=1)


def _rows_of(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_csv(file) for file in sorted(folder.glob("*.csv.gz"))])


def _kept_blocks(align: Callable[..., pd.DataFrame], folder: Path) -> Callable[..., pd.DataFrame]:
    """`align_with_all`, of which the rows of so many proteins at a time are kept."""
    folder.mkdir(exist_ok=True)

    def kept(sequences: Sequence[str], queries: np.ndarray, *how: Any) -> pd.DataFrame:
        done = [_numbers(file) for file in folder.glob("*.txt")]
        todo = np.setdiff1d(queries, np.concatenate(done) if done else [])
        for start in range(0, len(todo), BLOCK):
            block = todo[start : start + BLOCK]
            name = f"{block[0]}_{block[-1]}_{len(block)}"
            with timed(f"{name} with all"), atomic_path(folder / f"{name}.csv.gz") as temporary:
                align(sequences, block, *how).to_csv(temporary, index=False, compression="gzip")
            np.savetxt(folder / f"{name}.txt", block, fmt="%d")
        rows = _rows_of(folder)
        rows = rows[np.isin(rows["a"], queries) | np.isin(rows["b"], queries)]
        return rows.drop_duplicates(["a", "b"]).sort_values(["a", "b"], ignore_index=True)

    return kept


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Print how long something took, on the clock and of the CPU, and the largest memory so far.

    The memory is that of this process, or of a process that it started where that is larger.
    """

    def usage() -> tuple[float, float]:
        both = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
        cpu = sum(one.ru_utime + one.ru_stime for one in both)
        return cpu, max(one.ru_maxrss for one in both) / 1e6

    begin, before = time.perf_counter(), usage()[0]
    yield
    seconds = time.perf_counter() - begin
    cpu, memory = usage()
    print(f"{name}: {seconds:.0f} s, {cpu - before:.0f} of the CPU, {memory:.1f} GB", flush=True)


def modes(settings: SplitSettings) -> dict[str, SplitSettings]:
    """The splits by name; `incremental` still needs a base."""
    return {
        "kfold": settings,
        "kfold, seed 2": replace(settings, seed=2),
        "incremental": settings,
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
        "sample": report["audited_by"]["sample"],
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
    parser.add_argument("--folder", type=Path, help="keep searches, alignments and splits here")
    parser.add_argument("--exact", type=int, default=3000, help="size of the audit's sample")
    arguments = parser.parse_args()
    proteins = deeploc_sample(arguments.data, arguments.proteins)
    settings = SplitSettings(audit=AuditSettings(exact=arguments.exact))
    threads = arguments.threads
    if arguments.folder:
        keep_searches(arguments.folder)
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
            if mode == "incremental":
                chosen = replace(chosen, base=str(base))
            begin = time.perf_counter()
            result = split_and_audit(proteins, relations, auditor, chosen)
            rows[mode] = figures(result, time.perf_counter() - begin)
            print(f"{mode}: {json.dumps(rows[mode])}", flush=True)
            if mode == "kfold":
                frozen = result.assignments.sample(frac=BASE_SHARE, random_state=1)
                frozen.to_csv(base, index=False)
            if mode == "incremental":
                rows[mode]["moved"] = _moved(frozen, result.assignments)
            if arguments.folder:
                _keep(result, arguments.folder / mode.replace(", ", "_").replace(" ", ""))
    print(pd.DataFrame(rows).T.to_string())
    clean = all(
        row["pairs_apart_by_round"][-1] == row["identical_apart"] == row["isoforms_apart"] == 0
        for mode, row in rows.items()
        if mode != "predefined"
    )
    samples = [row["sample"] for mode, row in rows.items() if mode != "predefined"]
    bound = max(sample["upper_bound"] if sample else 0.0 for sample in samples)
    ok = clean and rows["incremental"]["moved"] == 0 and bound < MISSED
    result = {"name": "split_proof", "ok": ok, "missed_at_most": bound, "goal": MISSED}
    print(json.dumps(result | {"proteins": len(proteins), "threads": threads, **rows}))


def _moved(base: pd.DataFrame, extended: pd.DataFrame) -> int:
    """Proteins of the base that are in another part than before in any fold."""
    parts = base.set_index("id").filter(regex="^part_")
    now = extended.set_index("id").loc[parts.index, parts.columns]
    return int((parts != now).any(axis=1).sum())


def _keep(result: SplitResult, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result.assignments.to_csv(folder / "assignments.csv", index=False)
    result.leaks.to_csv(folder / "leaks.csv", index=False)
    (folder / "leakage.json").write_text(json.dumps(result.leakage, indent=1))


if __name__ == "__main__":
    main()
