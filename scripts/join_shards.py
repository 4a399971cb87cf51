"""Join the shard files of a stage into one, which does not depend on the number of shards."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.shards import join_shards


def job(arguments: argparse.Namespace) -> None:
    """Join the shard files."""
    join_shards(arguments.shards, arguments.out)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    run_job(parser, job)
