"""Audit the author partitions of a data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import write_text
from halo.markdown import cell
from halo.split.audit import Auditor
from halo.split.author_partitions import PART_OF
from halo.split.settings import SplitSettings

TEST, TRAIN, REMOVED = "test", "train", "removed"


def published_assignments(ids: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """Assignments that correspond to the authors' partitions.

    If all values are names of parts (train, dev, test, ...), they are one fold. A single value is
    a test set, and the proteins without a value are its training set. Otherwise each partition is
    the test of one fold, and all others are its training set.

    Parameters
    ----------
    ids, values : text [n_records], ids and author partitions, ``""`` if there is none

    Returns
    -------
    Columns ``id`` and ``part_<partition>``

    Raises
    ------
    HaloError
        if no protein has an author partition
    """
    present = sorted(set(values) - {""})
    if not present:
        raise HaloError(
            "the data have no partitions of their authors to audit; name their column in "
            "dataset.split, or a test set in dataset.test"
        )
    table = pd.DataFrame({"id": ids})
    part_names = {value: PART_OF.get(value.lower()) for value in present}
    without = TRAIN if len(present) == 1 else REMOVED
    if all(part_names.values()):
        return table.assign(part_test=[part_names.get(value, without) for value in values])
    for value in present:
        table[f"part_{value}"] = np.select(
            [values == value, values == ""], [TEST, without], default=TRAIN
        )
    return table


def audit_partitions(
    table: pd.DataFrame, settings: SplitSettings, threads: int, scratch: Path
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """The table of `audit_published` for proteins with author partitions, and the miss rate.

    Parameters
    ----------
    table : proteins, with their author partitions in ``split``
    scratch : an existing folder for temporary files

    Returns
    -------
    the table, and `halo.split.audit.Auditor.miss_rate`
    """
    ids, partitions = (table[name].to_numpy(dtype=object) for name in ("id", "split"))
    assignments = published_assignments(ids, partitions)
    # Of two proteins in different parts of a fold, at least one is not in its training.
    queried = (~assignments.drop(columns="id").isin([TRAIN, REMOVED])).any(axis=1).to_numpy()
    auditor = Auditor(table, settings.rule, settings.audit, threads, scratch, queried)
    leaks = audit_published(auditor, assignments)
    return leaks, auditor.miss_rate(int(leaks["missed"].iloc[-1]))


def audit_published(auditor: Auditor, assignments: pd.DataFrame) -> pd.DataFrame:
    """Leaks of each author partition, and of all of them together.

    Returns
    -------
    One row for each partition and one for ``all``: ``partition``, ``tested`` (test proteins),
    ``leaking`` (test proteins with a similar one in training, validation or calibration) and
    their ``share``, ``pairs`` (similar pairs in different parts), ``identical`` (sequences in
    different parts), ``isoforms`` (isoform families in different parts), ``missed`` (see
    `halo.split.audit.Findings`), ``max_identity``. The share is missing if no protein is tested
    """
    names = [name.removeprefix("part_") for name in assignments.columns[1:]]
    chosen = {name: [f"part_{name}"] for name in names}
    if len(names) > 1:
        chosen["all"] = list(assignments.columns[1:])
    rows = []
    for name, columns in chosen.items():
        findings = auditor.examine(assignments[["id", *columns]])
        tested = int((assignments[columns] == TEST).any(axis=1).sum())
        rows.append(
            {
                "partition": name,
                "tested": tested,
                "leaking": findings.n_leaking_tests,
                "share": round(findings.n_leaking_tests / tested, 4) if tested else None,
                "pairs": len(findings.leaks),
                "identical": findings.n_identical_apart,
                "isoforms": findings.n_isoforms_apart,
                "missed": findings.n_missed,
                "max_identity": findings.identity["max_cross_identity"].max(),
            }
        )
    return pd.DataFrame(rows)


def write_markdown(
    path: Path, table: pd.DataFrame, title: str, sample: Mapping[str, Any] | None = None
) -> None:
    """Write the table of `audit_published` as Markdown, atomically.

    If not all pairs were aligned, `sample` has the estimated miss rate of the search, see
    `halo.split.audit.Auditor.miss_rate`.
    """
    lines = [
        f"| {cell(title)}: partition | tested | with a similar one in training | similar pairs "
        "apart | identical apart | isoform families apart | highest identity |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        share = f" ({row.share:.1%})" if row.tested else ""
        lines.append(
            f"| {cell(row.partition)} | {row.tested:,} | {row.leaking:,}{share} | "
            f"{row.pairs:,} | {row.identical:,} | {row.isoforms:,} | {row.max_identity:.2f} |"
        )
    if sample is not None:
        lines += [
            "",
            f"The pairs are those that a search proposes. Of {sample['proteins']:,} proteins drawn "
            f"at random and aligned with all, {sample['missed']:,} had a similar one apart that "
            f"was not proposed: at most {1000 * sample['upper_bound']:.2g} in 1,000, with a "
            f"confidence of {sample['confidence']:.0%}.",
        ]
    write_text(path, "\n".join(lines) + "\n")
