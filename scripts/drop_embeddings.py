"""Remove the embeddings of a fold from the store, unless another run uses them."""

import argparse
from pathlib import Path

from halo.cli import job_parser, log, run_job
from halo.embeddings.layout import LAYOUT
from halo.files import write_json
from halo.shards import open_store
from halo.store_upkeep import remove_store, users_of
from halo.users import unregister


def job(arguments: argparse.Namespace) -> None:
    """Remove this run's registrations, and the store if there are no others; write a record."""
    path = open_store(arguments.embeddings, LAYOUT, arguments.store).path
    for shard in arguments.embeddings:
        unregister(path, shard)
    others = sorted({str(Path(note.shard).parent) for note in users_of(path)})
    if others:
        log.info("%s: kept, %s use it too", path, ", ".join(others))
    size = 0 if others else remove_store(path)
    write_json(arguments.out, {"store": str(path), "bytes": size, "used_by": others})


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, nargs="+", required=True, help="shard files")
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    run_job(parser, job)
