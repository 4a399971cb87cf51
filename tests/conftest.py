"""What tests share: where the project is, and where real data lie."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no real data: ../shared/data is absent")
    return folder


@pytest.fixture(autouse=True)
def log_as_without_commands() -> Iterator[None]:
    """`caplog` sees what the package logs, also after a command was called in this process."""
    log = logging.getLogger("halo")
    log.handlers[:], log.propagate = [], True
    log.setLevel(logging.NOTSET)
    yield
    log.handlers[:], log.propagate = [], True
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="session", autouse=True)
def end_of_forks() -> Iterator[None]:
    """What runs of the workflow share ends with the tests."""
    yield
    pipeline.close_forks()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A small run of the demo's proteins, from which bundles are made; it takes some seconds."""
    from predict_bundle import make_small_run  # loads PyTorch: not for tests that need no run

    return make_small_run(tmp_path_factory.mktemp("small_run"))


@pytest.fixture(scope="session")
def small_bundle(small_run, tmp_path_factory) -> Path:
    """The bundle of its cascade; not to be changed."""
    return small_run.bundle(tmp_path_factory.mktemp("small_bundle") / "small")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The package as ``pip wheel .`` makes it, of the package's own files and no others."""
    source, made = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "workflow/halo", source / "workflow/halo", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(made), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    [file] = made.iterdir()
    return file
