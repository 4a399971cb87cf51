"""Commands of the tutorial."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd

from forks import Forks
from pipeline import ROOT

BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
FOLDERS = ("config", "envs", "profiles", "resources", "rules", "scripts", "workflow")


def commands(section: str) -> list[str]:
    return BLOCK.findall(section)


def outputs_of_the_tutorial(folder: Path, forks: Forks) -> list[str]:
    """Run the commands of all sections but the first in a copy of the checkout."""
    (folder / "bin").mkdir()
    # The commands that `pip install -e .` and the installation would have made.
    for name in ("halo", "snakemake"):
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {forks.python} -m {name} "$@"\n')
        command.chmod(0o755)
    environment = forks.environment(folder / "bin")
    _, _, *sections = (ROOT / "docs/tutorial.md").read_text().split("\n## ")
    outputs = []
    for block in (block for section in sections for block in commands(section)):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(folder / "workflow")},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, block + done.stdout + done.stderr
        outputs.append(done.stdout)
    return outputs


def test_the_commands_of_the_tutorial(tmp_path):
    """All but the installation, which is that of the environment the tests run in."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Snakefile", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    with Forks(tmp_path) as forks:
        outputs = outputs_of_the_tutorial(tmp_path, forks)
    assert (tmp_path / "results/mine/report.html").is_file()
    assert (tmp_path / "results/mine/bundle/README.md").is_file()
    predicted = pd.read_csv(tmp_path / "out/predictions.csv")
    assert predicted["id"].tolist() == ["DEMO0001", "DEMO0002"]
    assert any("DEMO0001,nuclear import" in output for output in outputs)
    assert "NEW1" in (tmp_path / "results/mine/proteins.csv").read_text()
    before, after = (
        pd.read_csv(tmp_path / file, dtype=str, keep_default_na=False, index_col="id").filter(
            like="part_"
        )
        for file in ("data/places.csv", "results/mine/split/assignments.csv")
    )
    assert "NEW1" in after.index.difference(before.index)
    pd.testing.assert_frame_equal(after.loc[before.index], before)
