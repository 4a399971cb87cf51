"""Download the entries of a query from UniProt's REST service."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import adopt_folder
from halo.uniprot.download import download_entries
from halo.uniprot.settings import UniprotSettings


def job(arguments: argparse.Namespace) -> None:
    """Download them into one file."""
    adopt_folder(arguments.out.parent)
    download_entries(UniprotSettings(**arguments.settings), arguments.out)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write (.jsonl.gz)")
    run_job(parser, job)
