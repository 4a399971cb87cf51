"""Merge the parts of the structures' manifest into one table with a row a record."""

import argparse
from pathlib import Path

from halo.files import write_table
from halo.job import job_parser, log, run_job
from halo.proteins.table import read_proteins
from halo.structures.manifest import merge_parts, summary_table


def job(arguments: argparse.Namespace) -> None:
    """Merge, and log how many proteins have a structure."""
    manifest = merge_parts(arguments.parts, read_proteins(arguments.proteins).table)
    write_table(arguments.manifest, manifest)
    for line in summary_table(manifest).splitlines():
        log.info("%s", line)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="part manifests")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to write")
    run_job(parser, job)
