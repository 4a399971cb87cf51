"""Build the residue graphs of some buckets that are not in the store yet."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.graphs.build import GraphSettings
from halo.graphs.stage import build_graphs
from halo.proteins.members import read_members
from halo.shards import open_store, write_shard
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.versions import versions_of


def job(arguments: argparse.Namespace) -> None:
    """Build the graphs and write the shard file."""
    members = read_members(arguments.members, arguments.buckets)
    structures = open_store([arguments.structures], STRUCTURES, arguments.store)
    settings = GraphSettings(**arguments.settings)
    store = build_graphs(members, arguments.store, structures, settings, arguments.shard)
    write_shard(arguments.shard, store, members, versions=versions_of(structures, members))


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of member files")
    parser.add_argument("--buckets", nargs="+", required=True, help="buckets to process")
    parser.add_argument("--structures", type=Path, required=True, help="the structures' shard file")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--shard", type=Path, required=True, help="JSON file to write")
    run_job(parser, job)
