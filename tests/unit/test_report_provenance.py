"""Provenance is correct, and contains no user name."""

import json
import subprocess
from pathlib import Path

import pytest

from halo.machine import output_of
from halo.report.provenance import (
    git_state,
    hardware,
    input_files,
    make_provenance,
    software,
    without_home,
    without_secrets,
)
from halo.report.timings import read_timings

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def test_stages_add_up_their_jobs(tmp_path):
    for name, seconds, memory in (
        ("split", "2.5", "100.4"),
        ("graphs/000", "3", "50"),
        ("graphs/001", "4", "70"),
        ("ingest", "0.1", "-"),
    ):
        file = tmp_path / f"{name}.tsv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(HEADER + f"{seconds}\t0:00:03\t{memory}\t-\t-\t-\t-\t-\t-\t-\n")
    of_more_shards = tmp_path / "graphs/002.tsv"
    of_more_shards.write_text((tmp_path / "graphs/001.tsv").read_text())
    jobs = ["split", "ingest", "graphs/000", "graphs/001", "evaluate"]
    assert read_timings(tmp_path, jobs) == {
        "graphs": {"jobs": 2, "seconds": 7.0, "longest": 4.0, "memory_mb": 70},
        "ingest": {"jobs": 1, "seconds": 0.1, "longest": 0.1, "memory_mb": None},
        "split": {"jobs": 1, "seconds": 2.5, "longest": 2.5, "memory_mb": 100},
    }
    assert read_timings(tmp_path / "none", jobs) == {}


def test_the_commit_and_whether_it_was_changed(tmp_path):
    def git(*arguments: str) -> str:
        name = ("-c", "user.name=A", "-c", "user.email=a@b")
        command = ["git", "-C", str(tmp_path), *name, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "first")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path)["dirty"]


def test_the_commit_of_another_users_checkout(tmp_path, monkeypatch):
    """git calls its ownership dubious there, and gives no commit unless the folder is trusted."""
    create = ("-c", "user.name=A", "-c", "user.email=a@b", "-C", str(tmp_path))
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(["git", *create, *arguments], check=True)
    commit = git_state(tmp_path)["commit"]
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    ask = ["git", "-C", str(tmp_path), "rev-parse", "HEAD"]
    refused = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}


def test_a_program_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(output_of.__kwdefaults__, "timeout", 0.2)
    assert hardware()["gpus"] == []


def test_inputs_are_known_by_their_bytes(tmp_path):
    file = tmp_path / "proteins.csv"
    file.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert input_files([file]) == [{"name": "proteins.csv", "bytes": 3, "sha256": digest}]


def test_versions_and_machine():
    found = software({"snakemake": "9.27.1"})
    assert found["snakemake"] == "9.27.1"
    assert {"python", "numpy", "halo"} <= set(found)
    machine = hardware()
    assert machine["cores"] >= 1
    assert machine["memory_gb"] > 0
    assert isinstance(machine["gpus"], list)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/ann/run/data/p.csv", "./data/p.csv"),
        ("/home/ann/halo", "<workflow>"),
        ("/home/ann/other", "~/other"),
        ("/home/anna/other", "/home/anna/other"),
        ("relative/p.csv", "relative/p.csv"),
    ],
)
def test_home_folders_are_removed_from_paths(path, shown):
    folders = {"/home/ann/run": ".", "/home/ann/halo": "<workflow>", "/home/ann": "~"}
    assert without_home({"a": [path], "b": 1}, folders) == {"a": [shown], "b": 1}


def test_addresses_are_noted_without_secrets():
    config = {
        "dataset": {"url": "https://me:word@example.org/a.csv?token=abc", "id": "a?b=c"},
        "list": ["http://example.org/?key=abc"],
    }
    assert without_secrets(config) == {
        "dataset": {"url": "https://***@example.org/a.csv?token=***", "id": "a?b=c"},
        "list": ["http://example.org/?key=***"],
    }


def test_the_whole_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "proteins.csv"
    file.write_text("id\n")
    config = {
        "run": "mine",
        "seeds": [1],
        "dataset": {"proteins": str(file), "test": str(tmp_path / "home/x.csv")},
        "container": "https://example.org/image?token=SECRET",
        "split": {"seed": 2},
        "evaluation": {"seed": 3},
    }
    model = {"name": "m", "path": str(file), "sha256": "00"}
    found = make_provenance(
        config, Path("/nowhere"), {"snakemake": "9"}, [file], model, {"proteins": 1}, {}
    )
    assert found["seeds"] == {"training": [1], "split": 2, "bootstrap": 3}
    assert found["config"]["dataset"]["proteins"] == "./proteins.csv"
    assert found["git"] is None
    assert str(tmp_path) not in json.dumps(found)
    assert "SECRET" not in json.dumps(found)
    again = make_provenance(
        config, Path("/nowhere"), {"snakemake": "9"}, [file], model, {"proteins": 1}, {}
    )
    assert again == found
