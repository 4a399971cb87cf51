"""Fine-tune the language model on the training proteins of one fold.

With several GPUs: python -m torch.distributed.run --standalone --nproc-per-node N -- finetune.py …
"""

import argparse
from pathlib import Path

import torch

from halo.cli import job_parser, run_job
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.weights import read_weights
from halo.finetuning.processes import processes
from halo.finetuning.settings import FinetuneSettings
from halo.finetuning.stage import finetune_fold
from halo.fold_parts import read_parts
from halo.machine import DEVICES
from halo.malloc import keep_freed_memory
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Fine-tune one fold."""
    proteins = read_proteins(arguments.proteins)
    with processes(arguments.device) as (group, device):
        torch.set_num_threads(max(1, arguments.threads // group.count))
        keep_freed_memory()
        finetune_fold(
            proteins,
            read_parts(arguments.assignments, arguments.fold, proteins.ids),
            read_weights(arguments.language_model, arguments.store),
            arguments.seed,
            EmbeddingSettings(**arguments.settings["embeddings"]),
            FinetuneSettings(**arguments.settings["finetune"]),
            arguments.out,
            arguments.store,
            60 * arguments.save_minutes,
            group,
            device,
        )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument("--fold", required=True, help="fold whose training proteins are used")
    parser.add_argument("--seed", type=int, required=True, help="seed of weights and batches")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--save-minutes", type=float, default=10, help="minutes between two saves")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cuda: require a GPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
