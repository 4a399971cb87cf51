"""Predict the held-out proteins of one fold with its fine-tuned language model only."""

import argparse
from pathlib import Path

import torch

from halo.cli import job_parser, run_job
from halo.finetuning.predict import predict_fold
from halo.fold_parts import read_parts
from halo.model_key import ModelKey
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Predict one fold."""
    torch.set_num_threads(arguments.threads)
    proteins = read_proteins(arguments.proteins)
    predict_fold(
        proteins,
        read_parts(arguments.assignments, arguments.fold, proteins.ids),
        arguments.finetuned,
        arguments.embeddings,
        arguments.store,
        ModelKey(arguments.split, arguments.fold, arguments.seed, arguments.method),
        arguments.out,
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--finetuned", type=Path, required=True, help="folder of finetune.py")
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--split", required=True, help="name of the split")
    parser.add_argument("--fold", required=True, help="fold that is tested")
    parser.add_argument("--seed", type=int, required=True, help="seed, for the files' path")
    parser.add_argument("--method", required=True, help="name of the method")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
