"""Join two methods on one fold, as a cascade or as their average."""

import argparse
from pathlib import Path

from halo.cascade.stage import CascadeSettings, join_fold
from halo.cli import job_parser, run_job
from halo.fold_parts import read_assignments
from halo.methods import JOINING
from halo.model_key import ModelKey
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Join two methods on one fold."""
    join_fold(
        read_proteins(arguments.proteins),
        read_assignments(arguments.assignments),
        arguments.members,
        arguments.method_class,
        ModelKey(arguments.split, arguments.fold, arguments.seed, arguments.method),
        CascadeSettings(**arguments.settings),
        arguments.out,
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument(
        "--members", type=Path, nargs=2, required=True, help="predictions.csv of either method"
    )
    parser.add_argument(
        "--class", dest="method_class", choices=JOINING, required=True, help="how to join"
    )
    parser.add_argument("--method", required=True, help="name of the method")
    parser.add_argument("--split", required=True, help="name of the split")
    parser.add_argument("--fold", required=True, help="fold that is tested")
    parser.add_argument("--seed", type=int, required=True, help="seed, for the files' path")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    run_job(parser, job)
