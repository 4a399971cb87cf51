"""Read and check the regions of the data set, and assign them to the proteins of the run."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.proteins.settings import RegionsSettings
from halo.proteins.table import read_proteins
from halo.regions.read import read_user_regions
from halo.regions.table import write_regions


def job(arguments: argparse.Namespace) -> None:
    """Write the regions of the proteins of the run."""
    proteins = read_proteins(arguments.proteins)
    settings = RegionsSettings(table=str(arguments.input), **arguments.settings)
    write_regions(arguments.out, read_user_regions(arguments.input, settings, proteins.table))


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--input", type=Path, required=True, help="table or FASTA of regions")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--out", type=Path, required=True, help="regions.csv to write")
    run_job(parser, job)
