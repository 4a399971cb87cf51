"""Report of the audit (``leakage.json``), and the error message of a split that leaks."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import parasail

from halo.files import sha256_of_file
from halo.split.alignment import GAP_EXTEND, GAP_OPEN
from halo.split.audit import Auditor, Findings
from halo.split.binary import mmseqs_version
from halo.split.folds import PARTS
from halo.split.settings import SplitSettings

MOST_LISTED = 50  # pairs in the message of an error


def leakage_report(
    assignments: pd.DataFrame,
    labels: pd.DataFrame,
    findings: Findings,
    auditor: Auditor,
    rounds: list[int],
    n_missed: int | None,
    settings: SplitSettings,
) -> dict[str, Any]:
    """The content of ``leakage.json``.

    Parameters
    ----------
    assignments : content of ``assignments.csv``
    labels : 0/1 columns, one row per protein, indexed by id
    findings : result of the last audit
    auditor : auditor that made it
    rounds : number of leaks found by each audit, including the last one
    n_missed : sequences of the audit's sample with a leak that the search did not propose
    settings : settings of the stage
    """
    parts = assignments.filter(regex="^part_")
    sizes = assignments["group"].value_counts()
    identity = findings.identity
    return {
        "mode": settings.mode,
        **asdict(settings.rule),
        "pairs_above_threshold": len(findings.leaks),
        "proteins_above_threshold": findings.n_leaking,
        "tested_proteins_above_threshold": findings.n_leaking_tests,
        "identical_sequences_apart": findings.n_identical_apart,
        "isoform_families_apart": findings.n_isoforms_apart,
        "max_cross_identity": _maximum(identity["max_cross_identity"]),
        "max_local_identity": _maximum(identity["max_local_identity"]),
        "n_proteins": len(assignments),
        "n_too_short": int(identity["too_short"].sum()),
        "n_removed": int((parts == "removed").all(axis=1).sum()),
        "n_removed_from_a_fold": int((parts == "removed").any(axis=1).sum()),
        "n_groups": len(sizes),
        "largest_group": int(sizes.iloc[0]),
        "sizes": {_fold(name): _counts(parts[name]) for name in parts},
        "label_counts": {
            label: {_fold(name): _counts(parts[name][has.to_numpy() == 1]) for name in parts}
            for label, has in labels.loc[assignments["id"]].items()
        },
        "label_deviation": label_deviation(assignments, labels),
        "base": settings.base
        and {"path": str(settings.base), "sha256": sha256_of_file(Path(settings.base))},
        "audited_by": {
            "alignment": f"Smith-Waterman by parasail {parasail.__version__}, BLOSUM62, gaps "
            f"{GAP_OPEN} and {GAP_EXTEND}",
            "all_pairs": auditor.complete,
            "search": None if auditor.complete else _search(settings),
            "sample": auditor.miss_rate(n_missed),
            "pairs_aligned": len(auditor.pairs),
            "pairs_apart_by_round": rounds,
        },
    }


def _search(settings: SplitSettings) -> str:
    return (
        f"MMseqs2 {mmseqs_version()}, words of 5, not masked, not corrected for composition, "
        f"-s {settings.audit.sensitivity:g}, no limit of hits; short proteins and those of low "
        "complexity against all"
    )


def label_deviation(assignments: pd.DataFrame, labels: pd.DataFrame) -> dict[str, float] | None:
    """Largest relative deviation of each label's count in a fold's test from an equal share.

    0.02 means 2 %. None for a split with one fold.
    """
    tests = labels.loc[assignments["id"]].groupby(assignments["fold"].to_numpy()).sum()
    tests = tests.drop(index="", errors="ignore")
    if len(tests) < 2:
        return None
    share = tests.sum() / len(tests)
    return ((tests - share).abs().max() / share.clip(lower=1)).round(4).to_dict()


def leak_message(findings: Findings, rule_broken_by: str) -> str:
    """Error message of a split that leaks: the pairs, and the fix."""
    leaks = findings.leaks
    lines = [
        f"  {row.id_a} and {row.id_b}: identity {row.identity:.3f}, coverage {row.coverage:.2f}, "
        f"E {row.evalue:.1e}, apart in fold {', '.join(row.folds.split())}"
        for row in leaks.head(MOST_LISTED).itertuples()
    ]
    if len(leaks) > MOST_LISTED:
        lines.append(f"  and {len(leaks) - MOST_LISTED:,} more")
    lines.append(
        f"{findings.n_identical_apart} sequences and {findings.n_isoforms_apart} families of "
        "isoforms are in different parts."
    )
    return (
        f"the audit still finds {len(leaks):,} pairs of similar proteins in different parts:\n"
        + "\n".join(lines)
        + f"\n{rule_broken_by}"
    )


def _maximum(values: pd.Series) -> float | None:
    return None if values.isna().all() else float(values.max())


def _counts(parts: pd.Series) -> dict[str, int]:
    return {name: int((parts == name).sum()) for name in PARTS}


def _fold(column: str) -> str:
    return column.removeprefix("part_")
