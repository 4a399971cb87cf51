"""Audit the author partitions of a data set."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import write_table
from halo.proteins.table import read_proteins
from halo.split.audit import Auditor
from halo.split.published import (
    REMOVED,
    TRAIN,
    audit_published,
    published_assignments,
    write_markdown,
)
from halo.split.settings import SplitSettings


def job(arguments: argparse.Namespace) -> None:
    """Audit, and write the table as CSV and as Markdown."""
    settings = SplitSettings.from_config(arguments.settings)
    table = read_proteins(arguments.proteins).table
    ids, partitions = (table[name].to_numpy(dtype=object) for name in ("id", "split"))
    assignments = published_assignments(ids, partitions)
    scratch = arguments.table.parent
    scratch.mkdir(parents=True, exist_ok=True)
    # Of two proteins in different parts of a fold, at least one is not in its training.
    queried = (~assignments.drop(columns="id").isin([TRAIN, REMOVED])).any(axis=1).to_numpy()
    auditor = Auditor(table, settings.rule, settings.audit, arguments.threads, scratch, queried)
    leaks = audit_published(auditor, assignments)
    write_table(arguments.table, leaks)
    miss_rate = auditor.miss_rate(int(leaks["missed"].iloc[-1]))
    write_markdown(arguments.markdown, leaks, arguments.title, miss_rate)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv of the run")
    parser.add_argument("--title", required=True, help="name of the data set")
    parser.add_argument("--table", type=Path, required=True, help="table to write (CSV)")
    parser.add_argument("--markdown", type=Path, required=True, help="the same in Markdown")
    parser.add_argument("--threads", type=int, default=1, help="threads to use")
    run_job(parser, job)
