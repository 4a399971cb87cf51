"""Assign proteins to parts so that similar ones are in the same part, and audit the result."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import write_json, write_table
from halo.proteins.table import read_proteins
from halo.split.run import split
from halo.split.settings import SplitSettings
from halo.split.tables import write_gzipped_table


def job(arguments: argparse.Namespace) -> None:
    """Split, and write the results."""
    settings = SplitSettings.from_config({**arguments.settings, "base": arguments.base})
    proteins = read_proteins(arguments.proteins)
    scratch = arguments.assignments.parent
    scratch.mkdir(parents=True, exist_ok=True)
    result = split(proteins, settings, arguments.threads, scratch)
    write_table(arguments.assignments, result.assignments)
    write_gzipped_table(arguments.hits, result.hits)
    write_table(arguments.leaks, result.leaks)
    write_table(arguments.identity, result.identity)
    write_json(arguments.leakage, result.leakage)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv of the run")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv to write")
    parser.add_argument("--leakage", type=Path, required=True, help="leakage.json to write")
    parser.add_argument("--hits", type=Path, required=True, help="hits.csv.gz to write")
    parser.add_argument("--leaks", type=Path, required=True, help="leaks.csv to write")
    parser.add_argument("--identity", type=Path, required=True, help="identity.csv to write")
    parser.add_argument("--base", help="assignments.csv whose proteins keep their parts")
    parser.add_argument("--threads", type=int, default=1, help="threads to use")
    run_job(parser, job)
