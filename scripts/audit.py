"""Audit the partitions that the data set was published with."""

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
    """Audit, and write the table twice: for programs and for the documentation."""
    settings = SplitSettings.from_config(arguments.settings)
    table = read_proteins(arguments.proteins).table
    ids, given = (table[name].to_numpy(dtype=object) for name in ("id", "split"))
    assignments = published_assignments(ids, given)
    scratch = arguments.table.parent
    scratch.mkdir(parents=True, exist_ok=True)
    # Of two proteins that are apart in a fold, one at least is not of its training.
    asked = (~assignments.drop(columns="id").isin([TRAIN, REMOVED])).any(axis=1).to_numpy()
    auditor = Auditor(table, settings.rule, settings.audit, arguments.threads, scratch, asked)
    leaks = audit_published(auditor, assignments)
    write_table(arguments.table, leaks)
    sureness = auditor.sureness(int(leaks["missed"].iloc[-1]))
    write_markdown(arguments.markdown, leaks, arguments.title, sureness)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv of the run")
    parser.add_argument("--title", required=True, help="name of the data set")
    parser.add_argument("--table", type=Path, required=True, help="table to write (CSV)")
    parser.add_argument("--markdown", type=Path, required=True, help="the same in Markdown")
    parser.add_argument("--threads", type=int, default=1, help="threads to use")
    run_job(parser, job)
