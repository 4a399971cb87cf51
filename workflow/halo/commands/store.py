"""``halo store``: maintenance of the store."""

import argparse
import logging
from pathlib import Path

from halo.cli import given_path
from halo.embeddings.layout import layout_of
from halo.errors import HaloError
from halo.files import read_json
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.layout import Layout
from halo.store_upkeep import check, compact, find_garbage, forget, remove_garbage, store_folders
from halo.structures.layout import LAYOUT as STRUCTURES

log = logging.getLogger("halo.store")

DESCRIPTION = """\
Maintain the store of structures, embeddings and graphs. Runs may use it at the same time.

check     read everything and compare it with its checksums (with --remove, damaged segments are
          removed: the next run computes their proteins again)
compact   join the many small segments that incremental runs leave
gc        remove the stores that no run is registered in (without --yes: only list them)
forget    remove the registrations of a deleted run (--run)
"""
EPILOG = ""
EMBEDDINGS = "embeddings"
LAYOUTS = {"graphs": GRAPHS, "structures": STRUCTURES}


def job(arguments: argparse.Namespace) -> None:
    """Do what the command says."""
    COMMANDS[arguments.command](arguments)


def check_all(arguments: argparse.Namespace) -> None:
    """Check every store, and with --remove take damaged segments out; HaloError for the rest."""
    faults: list[str] = []
    for path in _known(arguments.store):
        result = check(path, _layout(path))
        bad = len(result.damaged) + len(result.unread)
        log.info("%s: %s proteins are whole, %s segments are not", path, result.proteins, bad)
        faults += result.unread.values()
        if arguments.remove:
            for file in result.damaged:
                file.unlink(missing_ok=True)
                log.info("%s: removed; run again, its proteins are computed again", file)
        else:
            faults += result.damaged.values()
    if faults:
        raise HaloError("\n".join(faults))


def compact_all(arguments: argparse.Namespace) -> None:
    """Join the segments of every store."""
    for path in _known(arguments.store):
        log.info("%s: %s segments joined", path, compact(path, _layout(path)))


def collect(arguments: argparse.Namespace) -> None:
    """Say what is not used, and with --yes remove it."""
    garbage = find_garbage(arguments.store, arguments.days)
    for path in (*garbage.stores, *garbage.leftovers):
        log.info("%s: %s", "unused" if path.is_dir() else "left by a killed job", path)
    if arguments.yes:
        remove_garbage(garbage)
    elif garbage.stores or garbage.leftovers:
        log.info("nothing was removed; say --yes to do so")


def forget_run(arguments: argparse.Namespace) -> None:
    """Take a run's registrations out."""
    if arguments.run is None:
        raise HaloError("forget: give the run's folder: --run results/NAME")
    log.info("%s registrations removed", forget(arguments.store, arguments.run))


def _known(root: Path) -> list[Path]:
    return [path for path in store_folders(root) if path.parent.name in (*LAYOUTS, EMBEDDINGS)]


def _layout(path: Path) -> Layout:
    if path.parent.name == EMBEDDINGS:
        return layout_of(read_json(path / "fingerprint.json"))
    return LAYOUTS[path.parent.name]


COMMANDS = {"check": check_all, "compact": compact_all, "gc": collect, "forget": forget_run}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("command", choices=COMMANDS, help="what to do")
    parser.add_argument(
        "--store", type=given_path, default=Path("store"), help="root of the store (default: store)"
    )
    parser.add_argument(
        "--days", type=float, default=7.0,
        help="gc: keep what has changed within this number of days (default: 7)",
    )  # fmt: skip
    parser.add_argument("--remove", action="store_true", help="check: remove damaged segments")
    parser.add_argument("--yes", action="store_true", help="gc: really remove")
    parser.add_argument("--run", type=given_path, help="forget: folder of the run, results/NAME")
