"""Remove the embeddings of a fold from the store: its methods are trained."""

import argparse
from pathlib import Path

from halo.embeddings.layout import LAYOUT
from halo.files import write_json
from halo.job import job_parser, run_job
from halo.shards import open_store
from halo.store_upkeep import remove_store


def job(arguments: argparse.Namespace) -> None:
    """Remove one store, and note which."""
    path = open_store(arguments.embeddings, LAYOUT).path
    write_json(arguments.out, {"store": str(path), "bytes": remove_store(path)})


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    run_job(parser, job)
