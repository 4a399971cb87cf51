"""The command ``halo``, which applies trained models."""

import argparse
import sys
from pathlib import Path

from halo import __version__
from halo.cli import run_job
from halo.predict import command


def main() -> None:
    """Parse the command line and run the subcommand."""
    sys.argv[0] = "halo"  # and not __main__.py, in messages
    parser = argparse.ArgumentParser(
        prog="halo", description="HALO: subcellular localization of proteins."
    )
    parser.add_argument("--version", action="version", version=f"halo {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser(
        "predict",
        help="predict new proteins",
        description=command.DESCRIPTION,
        epilog=command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument("--log", type=Path, help="also write the messages to this file")
    predict.set_defaults(settings={})
    command.add_arguments(predict)
    run_job(parser, command.job)


if __name__ == "__main__":
    main()
