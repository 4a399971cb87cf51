"""Audit the author partitions of a data set."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import write_table
from halo.proteins.table import read_proteins
from halo.split.published import audit_partitions, write_markdown
from halo.split.settings import SplitSettings


def job(arguments: argparse.Namespace) -> None:
    """Audit, and write the table as CSV and as Markdown."""
    settings = SplitSettings.from_config(arguments.settings)
    scratch = arguments.table.parent
    scratch.mkdir(parents=True, exist_ok=True)
    leaks, miss_rate = audit_partitions(
        read_proteins(arguments.proteins).table, settings, arguments.threads, scratch
    )
    write_table(arguments.table, leaks)
    write_markdown(arguments.markdown, leaks, arguments.title, miss_rate)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv of the run")
    parser.add_argument("--title", required=True, help="name of the data set")
    parser.add_argument("--table", type=Path, required=True, help="table to write (CSV)")
    parser.add_argument("--markdown", type=Path, required=True, help="the same in Markdown")
    parser.add_argument("--threads", type=int, default=1, help="threads to use")
    run_job(parser, job)
