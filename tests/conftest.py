"""Fixtures and paths shared by all tests."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import Phase

import pipeline
from once import made_once

ROOT = Path(__file__).resolve().parents[1]
# Whether a test passes does not depend on the load of the machine.
hypothesis.settings.register_profile(
    "halo", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
USUAL = hypothesis.settings.get_profile("halo")
hypothesis.settings.register_profile("fast", USUAL, max_examples=25)
# A failing example is enough: it takes minutes to find the smallest one, and none is kept.
hypothesis.settings.register_profile(
    "mutants", USUAL, phases=[Phase.explicit, Phase.generate], database=None
)
hypothesis.settings.load_profile("halo")


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
def cpu_without_bfloat16() -> Iterator[None]:
    """Embeddings are computed in float32 on every CPU; runs of the workflow set it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("halo.machine.cpu_flags", frozenset)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> Iterator[None]:
    """Search indices of training sequences are not kept in the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALO_CACHE", str(folder))
        yield
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def end_of_forks() -> Iterator[None]:
    """What runs of the workflow share ends with the tests."""
    yield
    pipeline.close_forks()


# ------------------------------------------------------------------ order and tiers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that no worker ends with one; they are `slow`."""
    long = {ROOT / "tests" / name for name in ("faults", "workflow")}
    items.sort(key=lambda item: item.path.parent not in long)
    for item in items:
        if item.path.parent in long:
            item.add_marker(pytest.mark.slow)


# ------------------------------------------------------------------ made once for all workers


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A small run of the demo's proteins, from which bundles are made; it takes some seconds."""
    from predict_bundle import make_small_run, read_small_run  # load PyTorch

    return read_small_run(made_once(tmp_path_factory, "small_run", make_small_run))


@pytest.fixture(scope="session")
def small_bundle(small_run, tmp_path_factory) -> Path:
    """The bundle of its cascade; not to be changed."""
    made = made_once(
        tmp_path_factory, "small_bundle", lambda folder: small_run.bundle(folder / "small")
    )
    return made / "small"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel that ``python -m build`` makes from its source distribution."""
    [file] = made_once(tmp_path_factory, "wheel", make_wheel).glob("*.whl")
    return file


def make_wheel(folder: Path) -> None:
    """Make the source distribution and the wheel in `folder`."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def install_wheel(wheel: Path, place: Path) -> None:
    """Install the wheel into an empty folder; the packages that it requires are the tests' own."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(place), str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder into which pip has installed the wheel; ``bin/halo`` is the command."""
    return made_once(tmp_path_factory, "installed", lambda place: install_wheel(wheel, place))
