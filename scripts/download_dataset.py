"""Download a data set's table from the address that the registry gives."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.download import download
from halo.files import adopt_folder

MAX_BYTES = 2_000_000_000


def job(arguments: argparse.Namespace) -> None:
    """Download one file."""
    adopt_folder(arguments.out.parent)
    download(arguments.url, arguments.out, arguments.sha256, MAX_BYTES)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--url", required=True, help="address of the file")
    parser.add_argument("--sha256", help="checksum that the file must have")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    run_job(parser, job)
