"""Download a data set's table from its address into the store, and note what is there."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.download import download, page_fault
from halo.files import write_json
from halo.kept_downloads import kept_download

MAX_BYTES = 2_000_000_000


def job(arguments: argparse.Namespace) -> None:
    """Download one file, unless the store has it."""
    file, sha256 = arguments.file, arguments.sha256
    record = kept_download(
        file, sha256, lambda: download(arguments.url, file, sha256, MAX_BYTES, page_fault)
    )
    write_json(arguments.record, record)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--url", required=True, help="address of the file")
    parser.add_argument("--sha256", help="checksum that the file must have")
    parser.add_argument("--file", type=Path, required=True, help="file of the store")
    parser.add_argument("--record", type=Path, required=True, help="record of the run to write")
    run_job(parser, job)
