"""Embed the proteins of some buckets that are not in the store yet, or read them from a file."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.stage import embed_shard
from halo.embeddings.weights import read_weights
from halo.machine import DEVICES
from halo.proteins.members import read_members


def job(arguments: argparse.Namespace) -> None:
    """Embed the proteins and write the shard file."""
    embed_shard(
        read_members(arguments.members, arguments.buckets),
        read_weights(arguments.language_model, arguments.store),
        EmbeddingSettings(**arguments.settings, **arguments.execution),
        arguments.store,
        arguments.shard,
        arguments.structures,
        arguments.device,
        arguments.threads,
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of member files")
    parser.add_argument("--buckets", nargs="+", required=True, help="buckets to process")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument(
        "--structures", type=Path, help="the structures' shard file, of a model that reads them"
    )
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--shard", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cuda: require a GPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
