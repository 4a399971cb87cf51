"""Python packages installed beside the tests, by their names on conda-forge."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Names in conda-forge of distributions that PyPI calls otherwise.
CONDA_NAMES = {
    "isal": "python-isal",
    "matplotlib": "matplotlib-base",
    "msgpack": "msgpack-python",
    "parasail": "parasail-python",
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
}
PYPI_NAMES = {conda: pypi for pypi, conda in CONDA_NAMES.items()}
PROGRAMS = {"mmseqs2": "mmseqs"}  # packages that are no Python packages, and what they bring
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"


def with_requirements(names: Iterable[str]) -> dict[str, Distribution]:
    """What is installed of Python packages and of all that they require.

    Parameters
    ----------
    names
        conda's names; ``python`` and programs among them are left out.

    Returns
    -------
    dict
        conda's names of the packages to their distributions.
    """
    todo = [PYPI_NAMES.get(name, name) for name in names if name not in {"python", *PROGRAMS}]
    found: dict[str, Distribution] = {}
    while todo:
        name = todo.pop()
        if conda_name(name) not in found:
            found[conda_name(name)] = distribution(name)
            todo += [each.name for each in requirements(distribution(name))]
    return found


def named(environment: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Names of the packages in an environment's file: conda's, and those that pip installs."""
    entries = environment["dependencies"]
    by_pip = [text for entry in entries if isinstance(entry, dict) for text in entry["pip"]]
    by_conda = [entry for entry in entries if isinstance(entry, str)]
    return {text.split()[0] for text in by_conda}, {text.split()[0] for text in by_pip}


def conda_name(name: str) -> str:
    """conda-forge's name of a distribution."""
    name = canonicalize_name(name)
    return CONDA_NAMES.get(name, name)


def requirements(of: Distribution, extras: Collection[str] = ()) -> Iterator[Requirement]:
    """What a distribution requires on this computer, with these extras.

    For a requirement that has extras itself, such as the CUDA libraries of PyPI's PyTorch, those
    that they add follow it.
    """
    for text in of.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement
            if requirement.extras:
                yield from requirements(distribution(requirement.name), requirement.extras)


def modules(of: Distribution) -> set[str]:
    """Names of the modules at the top of a distribution."""
    tops = {file.parts[0] for file in of.files or () if file.suffix in {".py", ".so"}}
    return {name for top in tops if (name := top.partition(".")[0]).isidentifier()}
