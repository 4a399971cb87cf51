"""A replacement of conda with local channels (`envs.channel`).

Its commands are in ``conda/bin``; they solve and install as conda does, with rattler.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envs.packages import SITE_PACKAGES, modules, with_requirements
from pipeline import ROOT

COMMANDS = Path(__file__).parent / "conda/bin"


@dataclass(frozen=True)
class Conda:
    """The stand-in for conda, its channels, and what their packages bring."""

    folder: Path
    modules: dict[str, set[str]]  # what each package of the channels brings

    def environment(self) -> dict[str, str]:
        """Variables of a call that finds this conda, and a trap in the user's site-packages."""
        path = (str(COMMANDS), str(Path(sys.executable).parent), os.environ["PATH"])
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
        return {
            **kept,
            "PATH": os.pathsep.join(path),
            "PYTHONUSERBASE": str(self.folder / "user"),
            "CONDA_CHANNEL_ALIAS": (self.folder / "channels").as_uri(),
            "CONDA_PKGS_DIRS": str(self.folder / "packages"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / "wheels"),
            "PIP_CONFIG_FILE": os.devnull,
        }

    def call(self, *command: object, folder: Path = ROOT, fails: bool = False) -> str:
        """Run a command in `folder` and give what it says."""
        done = subprocess.run(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            cwd=folder,
            timeout=1500,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout


@contextmanager
def local_conda(packages: Iterable[str], by_pip: Collection[str] = ()) -> Iterator[Conda]:
    """A conda whose channels have these packages, as long as the context lasts.

    Those `by_pip` are wheels that pip finds, and in no channel.

    Its folder, and all environments with it, takes some 2 GB.
    """
    from envs.channel import (  # their packages come with `make test-envs` alone
        build_channels,
        build_wheels,
    )

    with tempfile.TemporaryDirectory(prefix="halo-envs-") as name:
        folder = Path(name)
        distributions = with_requirements(packages)
        in_channels = {name: d for name, d in distributions.items() if name not in by_pip}
        build_channels(folder / "channels", in_channels)
        build_wheels(folder / "wheels", (distributions[name] for name in by_pip))
        brought = {name: modules(each) for name, each in distributions.items()}
        trap = folder / "user" / SITE_PACKAGES
        trap.mkdir(parents=True)
        for module in set().union(*brought.values()):
            (trap / f"{module}.py").write_text("raise ImportError('a module of the user')\n")
        yield Conda(folder, brought)
