"""Read a file of residue embeddings once: its digest, and what can be used of it."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.embeddings.files import EmbeddingFile, index_of, require_usable
from halo.embeddings.index import write_index
from halo.embeddings.weights import FILE, Weights, write_weights


def job(arguments: argparse.Namespace) -> None:
    """Write the index and the description of the file."""
    file = EmbeddingFile(arguments.embeddings, arguments.layer)
    index = index_of(file, file.entries, values=True)
    require_usable(file, index)
    write_index(arguments.index, index)
    weights = Weights(arguments.made_by, arguments.embeddings, file.digest, source=FILE)
    write_weights(arguments.out, weights)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument(
        "--embeddings", required=True, help="HDF5 file, or folder of .npy or .pt files"
    )
    parser.add_argument("--layer", type=int, default=-1, help="layer of files that have several")
    parser.add_argument("--made-by", required=True, help="name of the language model")
    parser.add_argument("--index", type=Path, required=True, help="embedding_index.csv to write")
    parser.add_argument("--out", type=Path, required=True, help="language_model.json to write")
    run_job(parser, job)
