"""Find the checkpoint of the language model, or download it, and take its checksum."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.embeddings.find import find_weights
from halo.embeddings.weights import DOWNLOADS, write_weights


def job(arguments: argparse.Namespace) -> None:
    """Find or download one checkpoint."""
    weights = find_weights(arguments.model, arguments.store / DOWNLOADS, arguments.sha256)
    write_weights(arguments.out, weights, arguments.store)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--model", required=True, help="path of a checkpoint, or a published name")
    parser.add_argument("--sha256", help="checksum that the checkpoint must have")
    parser.add_argument("--store", type=Path, required=True, help="store, where downloads are kept")
    parser.add_argument("--out", type=Path, required=True, help="language_model.json to write")
    run_job(parser, job)
