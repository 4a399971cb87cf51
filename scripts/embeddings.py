"""Embed the proteins of some buckets that are not in the store yet, with ESM-2."""

import argparse
from pathlib import Path

import torch

from halo.cli import job_parser, run_job
from halo.device import DEVICES, choose_device
from halo.embeddings.embed import embed_buckets
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.weights import read_weights
from halo.malloc import keep_freed_memory
from halo.proteins.members import read_members
from halo.shards import write_shard


def job(arguments: argparse.Namespace) -> None:
    """Embed the proteins and write the shard file."""
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    members = read_members(arguments.members, arguments.buckets)
    store = embed_buckets(
        members,
        arguments.store,
        read_weights(arguments.language_model, arguments.store),
        EmbeddingSettings(**arguments.settings, **arguments.execution),
        choose_device(arguments.device),
        shard=arguments.shard,
    )
    write_shard(arguments.shard, store, members)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of member files")
    parser.add_argument("--buckets", nargs="+", required=True, help="buckets to process")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--shard", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cuda: require a GPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
