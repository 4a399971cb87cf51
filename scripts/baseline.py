"""Run a baseline on one fold: probabilities of the fold's held-out proteins."""

import argparse
from pathlib import Path

from halo.baselines.stage import read_hits, run_baseline
from halo.cli import job_parser, run_job
from halo.fold_parts import read_parts
from halo.methods import BASELINES
from halo.model_key import ModelKey
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Run one baseline on one fold."""
    proteins = read_proteins(arguments.proteins)
    run_baseline(
        proteins,
        read_parts(arguments.assignments, arguments.fold, proteins.ids),
        read_hits(arguments.hits),
        arguments.method_class,
        ModelKey(arguments.split, arguments.fold, arguments.seed, arguments.method),
        arguments.out,
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--hits", type=Path, required=True, help="similar pairs, best first")
    parser.add_argument(
        "--class", dest="method_class", choices=sorted(BASELINES), required=True, help="its class"
    )
    parser.add_argument("--method", required=True, help="name of the method")
    parser.add_argument("--split", required=True, help="name of the split")
    parser.add_argument("--fold", required=True, help="fold that is tested")
    parser.add_argument("--seed", type=int, required=True, help="seed, for the files' path")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    run_job(parser, job)
