"""Train the network on one fold with one seed, and score its held-out proteins."""

import argparse
from pathlib import Path

import torch

from halo.cli import job_parser, run_job
from halo.device import claim_device
from halo.fold_parts import read_parts
from halo.machine import DEVICES
from halo.malloc import keep_freed_memory
from halo.methods import NETWORKS
from halo.model_key import ModelKey
from halo.network.model import NetworkSettings
from halo.proteins.table import read_proteins
from halo.training.settings import TrainingSettings
from halo.training.stage import Inputs, train_fold


def job(arguments: argparse.Namespace) -> None:
    """Train one fold."""
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing reads memory that has not been written, and writing it first is 6 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    proteins = read_proteins(arguments.proteins)
    train_fold(
        proteins,
        read_parts(arguments.assignments, arguments.fold, proteins.ids),
        Inputs(
            arguments.graphs,
            arguments.embeddings,
            arguments.store,
            arguments.language_model,
            arguments.regions,
        ),
        ModelKey(arguments.split, arguments.fold, arguments.seed, arguments.method),
        arguments.method_class,
        NetworkSettings(**arguments.settings["network"]),
        TrainingSettings(**arguments.settings["training"], **arguments.execution),
        arguments.out,
        claim_device(arguments.device),
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--graphs", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument(
        "--language-model",
        type=Path,
        help="language_model.json of the fold's fine-tuned one, with training.csv beside it",
    )
    parser.add_argument("--regions", type=Path, help="regions.csv, if the data set has regions")
    parser.add_argument("--split", required=True, help="name of the split")
    parser.add_argument("--fold", required=True, help="fold that is tested")
    parser.add_argument("--seed", type=int, required=True, help="seed of weights and batches")
    parser.add_argument("--method", required=True, help="name of the method")
    parser.add_argument(
        "--class", dest="method_class", required=True, choices=NETWORKS, help="its class"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cuda: require a GPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
