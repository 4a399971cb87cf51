"""Provenance of results: configuration, software, inputs, hardware, and time."""

import os
import platform
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from halo import __version__
from halo.addresses import masked
from halo.errors import HaloError
from halo.files import sha256_of_file
from halo.machine import gpus, output_of
from halo.proteins.table import Proteins
from halo.split.binary import find_mmseqs
from halo.uniprot.release import release_of

# Packages that influence results; the versions of installed ones are recorded.
PACKAGES = (
    "numpy", "pandas", "scipy", "scikit-learn", "h5py", "gemmi", "parasail", "torch",
    "torch-geometric", "fair-esm", "safetensors", "httpx", "matplotlib", "jinja2",
)  # fmt: skip


def software(beside: Mapping[str, str]) -> dict[str, str]:
    """Versions of HALO, Python, MMseqs2 and of the installed `PACKAGES`, and those `beside`."""
    versions = {"halo": __version__, "python": platform.python_version(), **beside}
    with suppress(HaloError):  # where another environment has it
        versions["mmseqs2"] = output_of(find_mmseqs(), "version")
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of the checkout in `folder` and whether files differ from it, or None."""
    if shutil.which("git") is None or not (Path(folder) / ".git").exists():
        return None
    # git refuses a checkout of another user, whose settings could name programs to run; here it
    # is asked for two facts, and the one such setting that `status` heeds is turned off.
    trusted = ("-c", f"safe.directory={Path(folder).resolve()}", "-c", "core.fsmonitor=false")
    git = ("git", *trusted, "-C", str(folder))
    commit = output_of(*git, "rev-parse", "HEAD")
    changes = output_of(*git, "status", "--porcelain", "--untracked-files=no", timeout=60)
    return {"commit": commit, "dirty": bool(changes)} if commit else None


def hardware() -> dict[str, Any]:
    """Processor, cores, memory (GB) and GPUs of the machine that this runs on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": gpus(),
    }


def input_files(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Name, size and sha256 of the files that the user gave; of UniProt's, the release too."""
    return [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
        | ({"uniprot": release} if (release := release_of(path)) else {})
        for path in map(Path, paths)
    ]


def without_home(value: Any, folders: Mapping[str, str]) -> Any:
    """`value` (of JSON) with the start of paths replaced: `folders` by what stands for them."""
    if isinstance(value, Mapping):
        return {key: without_home(item, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [without_home(item, folders) for item in value]
    if isinstance(value, str):
        for folder, sign in folders.items():
            if value == folder or value.startswith(folder + "/"):
                return sign + value[len(folder) :]
    return value


def without_secrets(value: Any) -> Any:
    """`value` (of JSON) with what may give access left out of addresses, see `masked`."""
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return masked(value)
    return value


def run_counts(
    proteins: Proteins, rejected: pd.DataFrame, structures: pd.DataFrame, models: int
) -> dict[str, int]:
    """Count records, sequences, residues, structures (of their manifest) and models of a run."""
    table = proteins.table
    return {
        "proteins": len(table),
        "rejected": len(rejected),
        "sequences": int(table["seq_hash"].nunique()),
        "residues": int(table.drop_duplicates("seq_hash")["length"].sum()),
        "structures": int((structures["status"] == "ok").sum()),
        "models": models,
    }


def make_provenance(
    config: Mapping[str, Any],
    workflow: Path,
    beside: Mapping[str, str],
    inputs: Iterable[Path],
    language_model: Mapping[str, str],
    counts: Mapping[str, int],
    stages: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``provenance.json``.

    Parameters
    ----------
    config : the configuration with all defaults
    workflow : folder of the workflow
    beside : versions of programs that this process does not have, by name
    inputs : the files that the user gave
    language_model : content of ``language_model.json``
    counts : how many proteins, structures, models
    stages : time and memory, see `halo.report.timings.read_timings`
    """
    folders = {
        str(Path.cwd()): ".",
        str(Path(workflow).resolve()): "<workflow>",
        str(Path.home()): "~",
    }
    content = {
        "run": config["run"],
        "config": without_secrets(config),
        "seeds": {
            "training": config["seeds"],
            "split": config["split"]["seed"],
            "bootstrap": config["evaluation"]["seed"],
        },
        "inputs": input_files(inputs),
        "language_model": {"name": language_model["name"], "sha256": language_model["sha256"]},
        "software": software(beside),
        "git": git_state(workflow),
        "hardware": hardware(),
        "counts": dict(counts),
        "stages": dict(stages),
    }
    return without_home(content, folders)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None
