"""Find the structures of the proteins of some buckets, those that the store does not hold yet."""

import argparse
import json
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.proteins.members import read_members, read_names
from halo.structures.settings import StructureSettings, TransportSettings
from halo.structures.stage import structures_of_shard


def job(arguments: argparse.Namespace) -> None:
    """Fetch, and write what became of each protein and which store has it."""
    structures_of_shard(
        read_members(arguments.members, arguments.buckets),
        StructureSettings(
            **arguments.settings, names=arguments.names, sequences=arguments.sequences
        ),
        TransportSettings(**arguments.transport),
        arguments.store,
        arguments.manifest,
        arguments.shard,
        read_names(arguments.members),
    )


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of member files")
    parser.add_argument("--buckets", nargs="+", required=True, help="buckets to look after")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--names", help="table of names and accessions")
    parser.add_argument("--sequences", help="FASTA with accessions as names")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to write")
    parser.add_argument("--shard", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--transport",
        type=json.loads,
        default={},
        metavar="JSON",
        help="how to ask: the section structures.transport of the configuration",
    )
    run_job(parser, job)
