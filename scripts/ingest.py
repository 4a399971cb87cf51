"""Read and check a labelled protein table or FASTA, and list the rejected records."""

import argparse
from pathlib import Path

from halo.cli import job_parser, log, run_job
from halo.embeddings.embedded import only_embedded
from halo.embeddings.index import read_index
from halo.errors import HaloError
from halo.files import write_table
from halo.kept_downloads import with_advice
from halo.proteins.datasets import DataFiles, read_datasets
from halo.proteins.ingest import log_rejected, rejected_table
from halo.proteins.members import write_members
from halo.proteins.plan import log_plan
from halo.proteins.table import write_proteins


def job(arguments: argparse.Namespace) -> None:
    """Ingest the data, and log the jobs and disk space that the run needs."""
    files = DataFiles(
        arguments.input,
        arguments.labels,
        arguments.test_input,
        arguments.test_labels,
        dict(arguments.group_labels),
        dict(arguments.test_group_labels),
    )
    try:
        proteins, rejected = read_datasets(files, arguments.settings)
    except HaloError as error:
        raise with_advice(error, arguments.downloaded) from None
    if arguments.embedding_index:
        index = read_index(arguments.embedding_index)
        proteins, without = only_embedded(proteins, arguments.embedding_file, index)
        rejected += without
    write_proteins(arguments.proteins, proteins, arguments.long_labels)
    write_table(arguments.rejected, rejected_table(rejected))
    write_members(arguments.members, arguments.digests, proteins.table)
    log.info("%s proteins, %s labels", f"{len(proteins):,}", len(proteins.label_names))
    log_rejected(rejected)
    log_plan(proteins, arguments.plan)


def group_table(text: str) -> tuple[str, Path]:
    """Name and table of a group from ``name=path``."""
    name, _, path = text.partition("=")
    return name, Path(path)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument(
        "--input", type=Path, required=True, help="CSV, TSV, xlsx or FASTA, plain or compressed"
    )
    parser.add_argument("--labels", type=Path, help="separate table of labels")
    parser.add_argument("--test-input", type=Path, help="external test set")
    parser.add_argument("--test-labels", type=Path, help="its table of labels")
    for name, of in (("--group-labels", ""), ("--test-group-labels", " of the test set")):
        parser.add_argument(
            name, type=group_table, action="append", default=[], metavar="NAME=FILE",
            help=f"table of labels of a further group{of}",
        )  # fmt: skip
    parser.add_argument(
        "--downloaded",
        type=Path,
        nargs="*",
        default=[],
        help="those of these files that HALO fetched",
    )
    parser.add_argument("--long-labels", action="store_true", help="write labels.csv, not columns")
    parser.add_argument(
        "--embedding-index", type=Path, help="embedding_index.csv, to reject others"
    )
    parser.add_argument("--embedding-file", help="name of its file, for messages")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv to write")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.csv to write")
    parser.add_argument(
        "--members", type=Path, required=True, help="folder of member files to write"
    )
    parser.add_argument("--digests", type=Path, required=True, help="members.json to write")
    parser.add_argument("--plan", required=True, help="JSON: shards, folds, seeds, methods, model")
    run_job(parser, job)
