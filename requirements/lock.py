"""Resolve pyproject.toml into the requirement files of this folder (`make lock`).

With ``--keep`` (`make lock KEEP=1`) every pinned version that still fits stays, so that adding a
package changes nothing else.

    torch.txt   PyPI's PyTorch, with the CUDA libraries that it needs on Linux (gigabytes)
    lock.txt    everything else that the pipeline needs
    test.txt    what the tests need on top
    docs.txt    what building the documentation needs on top
    slurm.txt   what running on Slurm needs on top
    envs.txt    what the tests of the conda environments need on top
    engines.txt what the tests of other executors and of S3 need on top
    release.txt what checking a release needs on top

torch-cpu.txt, kept by hand, takes the place of torch.txt where pip finds PyTorch's CPU build.

Every file pins one version of each package for every supported Python and platform, with the
sha256 of its files, to be installed with ``pip install --no-deps --require-hashes -r``. None
names an index: where the files come from is a matter of pip's own configuration.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST_PYTHON = "3.11"
TORCH = re.compile(r"torch|triton|(cuda|nvidia)-.*")
TITLES = {
    "torch": "PyPI's PyTorch, with the CUDA libraries that it needs on Linux",
    "lock": "What the pipeline needs beside PyTorch",
    "test": "What the tests need on top",
    "docs": "What building the documentation needs on top",
    "slurm": "What running on Slurm needs on top",
    "envs": "What the tests of the conda environments need on top",
    "engines": "What the tests of other executors and of S3 need on top",
    "release": "What checking a release needs on top",
}

Lock = dict[str, list[str]]  # name of a package to its entries, one for each marker


def resolved(*extras: str, constraints: str) -> Lock:
    """The resolution of pyproject.toml with all its hashes."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *extras]
    command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
    command += ["--constraints", "-", "--no-annotate", "--no-header"]
    command += ["--system-certs"]  # as pip: a proxy may have its own
    text = subprocess.run(
        [*command, "--quiet"],
        cwd=HERE.parent,
        input=constraints,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    lock: Lock = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        lock.setdefault(entry.split("==")[0], []).append(entry)
    return lock


def without_hashes(lock: Lock) -> str:
    """The pins of a lock, as constraints of another resolution."""
    return "\n".join(entry.split(" \\\n")[0] for entries in lock.values() for entry in entries)


def cpu_build() -> str:
    """The pin of torch-cpu.txt without its local version, for PyPI."""
    return re.search(r"^torch==[\d.]+", (HERE / "torch-cpu.txt").read_text(), re.MULTILINE)[0]


def current_pins() -> str:
    """The pins of the files as they are, as constraints."""
    pin = re.compile(r"^[A-Za-z0-9._-]+==[^\\\n]+", re.MULTILINE)
    files = filter(Path.is_file, (HERE / f"{name}.txt" for name in TITLES))
    texts = [file.read_text(encoding="utf-8") for file in files]
    return "\n".join(match.strip() for text in texts for match in pin.findall(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="change no version that still fits")
    keep = parser.parse_args().keep
    constraints = "\n".join([cpu_build(), *([current_pins()] if keep else [])])
    everything = resolved("--all-extras", constraints=constraints)
    pins = without_hashes(everything)
    pipeline = resolved("--extra", "workflow", "--extra", "language-models", constraints=pins)
    # In order of preference: every other environment stands on that of the tests.
    extras = ("test", "docs", "slurm", "envs", "engines", "release")
    on_top = {name: resolved("--extra", name, constraints=pins) for name in extras}
    files: dict[str, list[str]] = {name: [] for name in TITLES}
    for name, entries in sorted(everything.items()):
        if TORCH.fullmatch(name):
            files["torch"] += entries
        elif name in pipeline:
            files["lock"] += entries
        else:
            extra = next(extra for extra, lock in on_top.items() if name in lock)
            files[extra] += entries
    for name, entries in files.items():
        lines = [f"# {TITLES[name]}. Written by `make lock`.", *entries]
        (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"requirements/{name}.txt: {len(entries)} entries")


if __name__ == "__main__":
    main()
