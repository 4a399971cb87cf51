"""Upkeep of the store, while no run is going on.

compact   write the many small segments that incremental runs leave as one a bucket
gc        remove the stores that no run in results/ uses any more (without --yes: only say which)
"""

import argparse
import logging
from pathlib import Path

from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.job import job_parser, run_job
from halo.store_upkeep import collect_garbage, compact, used_stores
from halo.structures.layout import LAYOUT as STRUCTURES

log = logging.getLogger("halo.store")

LAYOUTS = {"embeddings": EMBEDDINGS, "graphs": GRAPHS, "structures": STRUCTURES}


def job(arguments: argparse.Namespace) -> None:
    """Compact the stores, or remove those that are not used."""
    if arguments.command == "compact":
        for kind, layout in LAYOUTS.items():
            for note in sorted((arguments.store / kind).glob("*/fingerprint.json")):
                log.info("%s: %s segments joined", note.parent, compact(note.parent, layout))
    else:
        used = used_stores(arguments.results.glob("*"))
        found = collect_garbage(arguments.store, used, dry_run=not arguments.yes)
        if found and not arguments.yes:
            log.info("nothing was removed; say --yes to do so")


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("command", choices=["compact", "gc"], help="what to do")
    parser.add_argument("--store", type=Path, default=Path("store"), help="root of the store")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the runs")
    parser.add_argument("--yes", action="store_true", help="gc: really remove")
    run_job(parser, job)
