"""Download the entries of a query from UniProt's REST service into the store, and note them."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import write_json
from halo.kept_downloads import kept_download
from halo.uniprot.download import download_entries
from halo.uniprot.settings import UniprotSettings


def job(arguments: argparse.Namespace) -> None:
    """Download them into one file, unless the store has it."""
    settings = UniprotSettings(**arguments.settings)
    record = kept_download(arguments.file, None, lambda: download_entries(settings, arguments.file))
    write_json(arguments.record, record)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--file", type=Path, required=True, help="file of the store (.jsonl.gz)")
    parser.add_argument("--record", type=Path, required=True, help="record of the run to write")
    run_job(parser, job)
