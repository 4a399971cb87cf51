"""``halo run``: Snakemake with the workflow of this package."""

import argparse
import importlib.util
import os
import re
import sys
from pathlib import Path

from halo.cli import given_path
from halo.commands.repository import workflow_folder
from halo.config.yaml_file import load_yaml
from halo.errors import HaloError

DESCRIPTION = """\
Run the workflow: call Snakemake with the workflow of this package. The folder of the call is the
working folder: results are written to results/<run>/ there.
"""
EPILOG = """\
Examples:
  halo run                                  all cores, the configuration config.yaml
  halo run --configfile mine.yaml --cores 8
  halo run -- --dry-run --quiet rules       what is behind -- is for Snakemake
  halo run bundle                           a target of the workflow, as for Snakemake
  halo run -- --profile slurm               on a cluster; halo init has written slurm/profile.yaml

To resume an interrupted run, repeat the call.
"""
CONFIGURATION = Path("config.yaml")
# Options of Snakemake that say how many jobs may run, or where.
JOBS = ("--cores", "--jobs", "--profile", "--executor")
# Their letters, also behind those of options without a value and before their own: -j4, -pj4.
JOBS_LETTERS = re.compile(r"-[aDfFklnpSt]*[cje]")
PROFILE = "SNAKEMAKE_PROFILE"  # variable of the environment, as --profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--configfile", type=given_path, default=CONFIGURATION, metavar="FILE",
        help="the configuration (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--cores", default=None, metavar="N",
        help="cores to use (default: all of them, unless Snakemake gets --profile, also by the "
        "environment, or --jobs)",
    )  # fmt: skip
    parser.add_argument(
        "--directory", type=given_path, default=Path(), metavar="FOLDER",
        help="the working folder; paths of the configuration are relative to it",
    )  # fmt: skip
    parser.add_argument(
        "snakemake", nargs=argparse.REMAINDER, metavar="-- ...",
        help="targets and options of Snakemake; options need -- before them",
    )  # fmt: skip


def job(arguments: argparse.Namespace) -> None:
    """Replace this process by Snakemake."""
    given = arguments.snakemake
    if "--" in given:
        given = [*given[: given.index("--")], *given[given.index("--") + 1 :]]
    if importlib.util.find_spec("snakemake") is None:
        raise HaloError(
            "the workflow needs Snakemake and more packages, which predictions do not: "
            "pip install 'halo-localization[workflow]'"
        )
    if not arguments.configfile.is_file():
        raise HaloError(
            f"there is no configuration {arguments.configfile} (relative to {Path.cwd()}); name it "
            "by --configfile, or write one for your table: halo init . --proteins TABLE"
        )
    if not arguments.directory.is_dir():
        raise HaloError(f"--directory: there is no folder {arguments.directory}")
    load_yaml(arguments.configfile)  # Snakemake does not say in which line it cannot be read
    words = snakemake_words(arguments.configfile, arguments.directory, arguments.cores, given)
    # Jobs call `python`: it has to be that of this environment, whether it is activated or not.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, words, {**os.environ, "PATH": path})


def snakemake_words(
    configuration: Path, directory: Path, cores: str | None, given: list[str]
) -> list[str]:
    """The call of Snakemake; `given` are the user's targets and options."""
    folder = workflow_folder(directory)
    # --configfile takes several values, up to the next option.
    words = [sys.executable, "-m", "snakemake", "--configfile", str(configuration.resolve())]
    words += ["--snakefile", str(folder / "Snakefile"), "--directory", str(directory)]
    if cores is None and PROFILE not in os.environ and not any(map(_says_jobs, given)):
        cores = "all"
    if cores is not None:
        words += ["--cores", cores]
    return [*words, *given]


def _says_jobs(word: str) -> bool:
    """Whether a word is one of these options; Snakemake takes beginnings of long ones, too."""
    name = word.partition("=")[0]
    if name.startswith("--"):
        return name != "--" and any(option.startswith(name) for option in JOBS)
    return JOBS_LETTERS.match(word) is not None
