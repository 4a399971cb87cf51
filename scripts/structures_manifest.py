"""Merge the parts of the structures' manifest into one table with one row per record."""

import argparse
from pathlib import Path

from halo.cli import job_parser, log, run_job
from halo.errors import HaloError
from halo.files import write_table
from halo.proteins.table import read_proteins
from halo.structures.manifest import merge_parts, summary_table
from halo.structures.settings import StructureSettings
from halo.structures.unused import unused_files


def job(arguments: argparse.Namespace) -> None:
    """Merge, and log how many proteins have a structure."""
    proteins = read_proteins(arguments.proteins).table
    manifest = merge_parts(arguments.parts, proteins)
    write_table(arguments.manifest, manifest)
    for line in summary_table(manifest).splitlines():
        log.info("%s", line)
    if arguments.store is None:
        return
    sources = StructureSettings(**arguments.settings).sources
    names = {*proteins["id"], *proteins["accession"], *manifest["accession"]} - {""}
    try:
        for line in unused_files(sources, names, arguments.store / "archives"):
            log.info("%s", line)
    except (HaloError, OSError) as error:  # the structures are found; their source may be gone
        log.warning("%s", error)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="part manifests")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--store", type=Path, help="root of the store: to name unused files")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to write")
    run_job(parser, job)
