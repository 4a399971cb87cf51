"""Run the real workflow from a test, in a separate folder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from forks import Forks

ROOT = Path(__file__).parents[1]
# A whole run within a minute or two: the science is not the point of these tests.
SMALL = {
    "shards": 2,
    "split": {"mode": "kfold", "folds": 3, "val_fraction": 0.2, "cal_fraction": 0.1},
    "folds": ["0"],
    "network": {"hidden": 16, "layers": 1, "heads": 2, "pooling_heads": 2},
    "training": {"epochs": 3, "patience": 3},
    "evaluation": {"resamples": 100},
    "embeddings": {"model": "resources/demo/esm2_demo.pt", "precision": "float32"},
}
# What starts a fine-tuning on two GPUs, or by two processes on the CPU.
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--")


@dataclass(frozen=True)
class Outcome:
    """How a call of Snakemake ended, and which jobs it ran."""

    status: int
    output: str

    @property
    def rules(self) -> list[str]:
        """Names of the rules of the jobs that were started, in order."""
        return re.findall(r"^\s*(?:local)?(?:rule|checkpoint) (\w+):", self.output, re.MULTILINE)

    @property
    def nothing_to_do(self) -> bool:
        """Whether Snakemake found everything up to date."""
        return "Nothing to be done" in self.output


def words(folder: Path, config: dict[str, Any], *arguments: str) -> list[str]:
    """Arguments of Snakemake for a run with `config`, whose working directory is `folder`."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return [
        *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)),
        *("--configfile", str(file), "--cores", "2"),
        *("--set-threads", "train=1", "embeddings=1", "finetune=1", *arguments),
    ]


def copy_workflow(folder: Path) -> None:
    """Copy what a run needs of the repository, to be changed."""
    for name in ("Snakefile", "LICENSE", "config", "envs", "profiles", "rules", "scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        folder.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=ignored)
    (folder / "resources").mkdir()
    for file in (ROOT / "resources").glob("*.*"):
        shutil.copy(file, folder / "resources")


def command(folder: Path, config: dict[str, Any], *arguments: str) -> list[str]:
    """A call of Snakemake in a Python of its own, as are its jobs with `environment`."""
    return [sys.executable, "-m", "snakemake", *words(folder, config, *arguments)]


def environment() -> dict[str, str]:
    """The variables of such a call: its jobs run with the Python of the tests."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@cache
def forks() -> Forks:
    """The server of processes that the runs of this process share."""
    return Forks().__enter__()


def close_forks() -> None:
    """End that server, if it was started."""
    if forks.cache_info().currsize:
        forks().__exit__()
        forks.cache_clear()


def snakemake_in(folder: Path, arguments: Iterable[str], forks: Forks, *tools: Path) -> Outcome:
    """Call Snakemake from `folder`; programs in `tools` come before all others."""
    done = subprocess.run(
        [forks.python, "-m", "snakemake", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=forks.environment(*tools),
        timeout=1500,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


def snakemake(folder: Path, config: dict[str, Any], *arguments: str) -> Outcome:
    """Run the workflow with `config` from `folder`, which becomes the working directory."""
    return snakemake_in(folder, words(folder, config, *arguments), forks())
