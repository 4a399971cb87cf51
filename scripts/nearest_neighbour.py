"""Predict a fold's held-out proteins from their nearest neighbours in embedding space."""

import argparse
from pathlib import Path

from halo.baselines.neighbour_stage import run_neighbours
from halo.baselines.settings import NeighbourSettings
from halo.cli import job_parser, run_job
from halo.fold_parts import read_parts
from halo.methods import NEIGHBOURS
from halo.model_key import ModelKey
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Predict one fold."""
    proteins = read_proteins(arguments.proteins)
    run_neighbours(
        proteins,
        read_parts(arguments.assignments, arguments.fold, proteins.ids),
        arguments.embeddings,
        arguments.store,
        arguments.language_model,
        ModelKey(arguments.split, arguments.fold, arguments.seed, arguments.method),
        arguments.method_class,
        NeighbourSettings(**arguments.settings),
        arguments.out,
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument(
        "--language-model",
        type=Path,
        help="language_model.json of the fold's fine-tuned one, with training.csv beside it",
    )
    parser.add_argument(
        "--class", dest="method_class", choices=sorted(NEIGHBOURS), required=True, help="its class"
    )
    parser.add_argument("--method", required=True, help="name of the method")
    parser.add_argument("--split", required=True, help="name of the split")
    parser.add_argument("--fold", required=True, help="fold that is tested")
    parser.add_argument("--seed", type=int, required=True, help="seed, for the files' path")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    run_job(parser, job)
