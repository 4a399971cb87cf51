"""Merge the parts of the structures' manifest into one table with one row per record."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.proteins.table import read_proteins
from halo.structures.manifest import join_manifest
from halo.structures.settings import StructureSettings


def job(arguments: argparse.Namespace) -> None:
    """Merge, and log how many proteins have a structure."""
    join_manifest(
        arguments.parts,
        read_proteins(arguments.proteins),
        StructureSettings(**arguments.settings),
        arguments.manifest,
        arguments.store and arguments.store / "archives",
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="part manifests")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--store", type=Path, help="root of the store: to name unused files")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to write")
    run_job(parser, job)
