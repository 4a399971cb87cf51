"""Split samples of DeepLoc 2.0, and check them by aligning all pairs.

The alignment is a loop that uses nothing of HALO (``tests/all_pairs.py``). The samples: random
proteins, the ones of lowest sequence entropy or shortest, and long ones. Each is split as it is by
default, where the audit aligns all pairs too, and by search alone, as a set would be that is
too large for that: a sample of 10 proteins, so that nearly all depends on what the searches
propose. A line for each split: pairs that are similar, pairs and proteins apart, proteins removed.
The last line is one JSON object; ``ok`` is whether nothing is apart by default.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]

from samples import DEEPLOC, deeploc_sample  # noqa: E402

from all_pairs import apart, similar_pairs  # noqa: E402
from halo.proteins.table import Proteins  # noqa: E402
from halo.split.audit import Auditor  # noqa: E402
from halo.split.audit_search import entropy  # noqa: E402
from halo.split.run import relate, split_and_audit  # noqa: E402
from halo.split.settings import AuditSettings, SplitSettings  # noqa: E402


def chosen(proteins: Proteins, rows: np.ndarray) -> Proteins:
    """Some of `proteins`."""
    table = proteins.table.iloc[rows].reset_index(drop=True)
    return replace(proteins, table=table, labels=proteins.labels[rows])


def samples(size: int, long: int) -> Iterator[tuple[str, Proteins]]:
    """Names and proteins of the samples."""
    for seed in (1, 2, 3):
        yield f"random {seed}", deeploc_sample(DEEPLOC, size, seed)
    every = deeploc_sample(DEEPLOC)
    lengths = every.table["length"].to_numpy()
    bits = every.table["sequence"].map(entropy).to_numpy()
    # Ranked by entropy and by length, and the better of the two ranks counts.
    ranks = [np.argsort(np.argsort(of, kind="stable")) for of in (bits, lengths)]
    yield "low entropy or short", chosen(every, np.argsort(np.minimum(*ranks))[:size])
    above = np.flatnonzero(lengths > 1500)
    yield "long", chosen(every, np.random.default_rng(1).permutation(above)[:long])


def main() -> None:
    """Split and check each sample, and print what is apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proteins", type=int, default=1500, help="size of the samples")
    parser.add_argument("--long", type=int, default=500, help="size of that of long proteins")
    parser.add_argument("--only", help="the sample of this name alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    threads, rows = arguments.threads, []
    for name, proteins in samples(arguments.proteins, arguments.long):
        if arguments.only not in (None, name):
            continue
        start = time.perf_counter()
        similar = similar_pairs(proteins.table["sequence"].tolist(), threads)
        print(f"{name}: all pairs in {time.perf_counter() - start:.0f} s", flush=True)
        for audit in (AuditSettings(), AuditSettings(exact=10)):
            for mode in ("kfold", "fractions"):
                begin = time.perf_counter()
                settings = SplitSettings(mode=mode, audit=audit)
                with TemporaryDirectory() as folder:
                    scratch = Path(folder)
                    if mode == "kfold":
                        relations = relate(proteins, settings, threads, scratch)
                        auditor = Auditor(relations.table, settings.rule, audit, threads, scratch)
                    result = split_and_audit(proteins, relations, auditor, settings)
                wrong = apart(proteins.ids, similar, result.assignments)
                deviation = result.leakage["label_deviation"]
                row = {
                    "sample": name,
                    "mode": mode,
                    "audit": "all pairs" if auditor.complete else "search",
                    "proteins": len(proteins),
                    "similar": len(similar),
                    "pairs_apart": len(wrong),
                    "proteins_apart": len(set(sum(wrong, ()))),
                    "by_round": result.leakage["audited_by"]["pairs_apart_by_round"],
                    "removed": result.leakage["n_removed"],
                    "label_deviation": deviation and max(deviation.values()),
                    "seconds": round(time.perf_counter() - begin),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    ok = not any(row["pairs_apart"] for row in rows if row["audit"] == "all pairs")
    print(json.dumps({"name": "split_check", "ok": ok, "rows": rows}))


if __name__ == "__main__":
    main()
