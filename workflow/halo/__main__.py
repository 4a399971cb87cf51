"""The command ``halo``."""

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module

from halo import __version__
from halo.cli import given_path, run_job


@dataclass(frozen=True)
class Command:
    """A subcommand of ``halo``.

    Attributes
    ----------
    help : its line in the list of subcommands
    module : a module with ``DESCRIPTION``, ``EPILOG``, ``add_arguments(parser)`` and
        ``job(arguments)``, which is imported when the subcommand is called
    """

    help: str
    module: str


COMMANDS = {
    "predict": Command("predict new proteins", "halo.predict.command"),
    "variants": Command("compare variants with their wild types", "halo.variants.command"),
    "init": Command("write a configuration for a table of labelled proteins", "halo.commands.init"),
    "run": Command("run the workflow: split, train, evaluate", "halo.commands.run"),
    "store": Command("check, compact and clean the store", "halo.commands.store"),
    "check-model": Command("check a language model", "halo.commands.check_model"),
    "doctor": Command("check this machine and installation", "halo.commands.doctor"),
}


def parser(*called: str) -> argparse.ArgumentParser:
    """The command line of ``halo``, with the options of the `called` subcommands."""
    whole = argparse.ArgumentParser(
        prog="halo", description="HALO: subcellular localization of proteins."
    )
    whole.add_argument("--version", action="version", version=f"halo {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        if name not in called:
            commands.add_parser(name, help=command.help)
            continue
        module = import_module(command.module)
        own = commands.add_parser(
            name,
            help=command.help,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.add_argument("--log", type=given_path, help="also write the messages to this file")
        own.set_defaults(settings={}, job=module.job)
        module.add_arguments(own)
    return whole


def main() -> None:
    """Parse the command line and run the subcommand."""
    sys.argv[0] = "halo"  # and not __main__.py, in messages
    run_job(parser(*sys.argv[1:2]), lambda arguments: arguments.job(arguments))


if __name__ == "__main__":
    main()
