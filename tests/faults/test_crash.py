"""A run that is killed, or whose disk is full, loses nothing and is resumed."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pandas as pd
import pytest

from halo.config import merged
from pipeline import ROOT, SMALL, forks, snakemake, words
from serve import AlphaFoldServer

PROTEINS = 90
STORE_MEBIBYTES = 5  # of the 10 that the structures, embeddings and graphs need
WITH_FORKS = """
import subprocess, sys
from forks import Forks
with Forks() as forks:
    done = subprocess.run(["sh", "-c", sys.argv[1]], env=forks.environment())
sys.exit(done.returncode)
"""


@pytest.fixture
def config(tmp_path):
    """A small run in `tmp_path`, with a server for its structures."""
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table.head(PROTEINS).to_csv(tmp_path / "proteins.csv", index=False)
    dataset = {"proteins": "proteins.csv", "accession": "accession", "annotations": ["kingdom"]}
    with AlphaFoldServer(ROOT / "resources/demo/afdb") as server:
        structures = {"transport": {"base_url": server.url}}
        yield merged(SMALL, {"run": "crash", "dataset": dataset, "structures": structures})


def segments(store: Path) -> dict[Path, int]:
    """The store's segments, each of which must open, and how many proteins they hold."""
    found = {}
    for path in sorted(store.rglob("*.h5")):
        with h5py.File(path) as file:
            found[path] = len(file["hash"])
    return found


def test_killed_with_its_jobs(tmp_path, config):
    running = subprocess.Popen(
        [forks().python, "-m", "snakemake", *words(tmp_path, config)],
        env=forks().environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # In flight: embeddings, split or graphs; their outputs are not complete.
    while running.poll() is None and not segments(tmp_path / "store/structures"):
        time.sleep(0.1)
    running.kill()  # and with it Snakemake and its jobs, which do not outlive it
    running.wait()
    done = segments(tmp_path / "store")
    assert done
    assert not (tmp_path / "results/crash/report.html").exists()

    locked = snakemake(tmp_path, config)
    assert locked.status != 0
    assert "--unlock" in locked.output  # Snakemake cannot know whether another one is at work
    assert snakemake(tmp_path, config, "--unlock").status == 0
    again = snakemake(tmp_path, config)
    assert again.status == 0, again.output
    after = segments(tmp_path / "store")
    assert done.items() <= after.items()
    assert snakemake(tmp_path, config).nothing_to_do


def test_a_full_disk_in_the_middle_of_a_stage(tmp_path, config):
    """The store lies on a small file system, which grows between the calls."""
    private = ["unshare", "--mount", "--map-root-user"]
    store = tmp_path / "store"
    store.mkdir()
    mount = f"mount -t tmpfs -o size={STORE_MEBIBYTES}m none {store}"
    if not shutil.which("unshare") or subprocess.run([*private, *shlex.split(mount)]).returncode:
        pytest.skip("file systems cannot be mounted here")
    call = shlex.join(["python", "-m", "snakemake", *words(tmp_path, config)])
    script = f"""
        {mount}
        {call} > first.txt 2>&1 && exit 1
        cp -r {store} full
        mount -o remount,size=100m {store}
        {call} > second.txt 2>&1 || exit 2
        cp -r {store} complete
    """
    # The jobs are forks of a server that sees this file system.
    path = f"{ROOT}/workflow:{ROOT}/tests"
    done = subprocess.run(
        [*private, sys.executable, "-c", WITH_FORKS, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    first = (tmp_path / "first.txt").read_text()
    assert done.returncode == 0, first
    assert "the disk is full: free some space and run again" in first
    assert "Traceback" not in first
    assert "No space left on device" in first
    full, complete = (segments(tmp_path / name) for name in ("full", "complete"))
    names = {path.name for path in full}
    assert names
    assert names <= {path.name for path in complete}
    assert not list((tmp_path / "full").rglob("*.tmp"))
    assert (tmp_path / "results/crash/report.html").is_file()
