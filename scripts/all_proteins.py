"""Assign all proteins to training, validation and calibration, for the models of the bundle."""

import argparse
from pathlib import Path

from halo.baselines.stage import read_hits
from halo.cli import job_parser, log, run_job
from halo.files import write_table
from halo.fold_parts import ALL, read_assignments
from halo.proteins.table import read_proteins
from halo.split.all_proteins import all_proteins
from halo.split.settings import SplitSettings


def job(arguments: argparse.Namespace) -> None:
    """Read, assign and write."""
    table = all_proteins(
        read_proteins(arguments.proteins),
        read_assignments(arguments.assignments),
        read_hits(arguments.hits),
        SplitSettings.from_config(arguments.settings),
    )
    counts = table[f"part_{ALL}"].value_counts()
    log.info(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    write_table(arguments.out, table)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="split/assignments.csv")
    parser.add_argument("--hits", type=Path, required=True, help="split/hits.csv.gz")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    run_job(parser, job)
