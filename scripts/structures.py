"""Find the structures of the proteins of some buckets, those that the store does not hold yet."""

import argparse
import json
from pathlib import Path

from halo.cli import job_parser, log, run_job
from halo.proteins.members import read_members
from halo.shards import write_shard
from halo.structures.fetch import fetch_structures, summary
from halo.structures.manifest import write_part
from halo.structures.settings import StructureSettings, TransportSettings


def job(arguments: argparse.Namespace) -> None:
    """Fetch, and write what became of each protein and which store has it."""
    members = read_members(arguments.members, arguments.buckets)
    store, notes = fetch_structures(
        members,
        arguments.store,
        StructureSettings(
            **arguments.settings, names=arguments.names, sequences=arguments.sequences
        ),
        TransportSettings(**arguments.transport),
        arguments.shard,
    )
    write_part(arguments.manifest, notes)
    failed = {name for name, note in notes.items() if note.status == "error"}
    versions = {name: f"{note.status} {note.sha256}" for name, note in notes.items()}
    write_shard(arguments.shard, store, members, failed, versions)
    log.info("%s", summary(notes.values()))


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
