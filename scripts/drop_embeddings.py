"""Remove the embeddings of a fold from the store, unless another run uses them."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.embeddings.dropping import drop_embeddings
from halo.files import write_json


def job(arguments: argparse.Namespace) -> None:
    """Remove this run's registrations, and the store if there are no others; write a record."""
    write_json(arguments.out, drop_embeddings(arguments.embeddings, arguments.store))


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    run_job(parser, job)
