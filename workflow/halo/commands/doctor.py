"""``halo doctor``: what this machine and installation can do, and what to do about the rest."""

import argparse
import errno
import fcntl
import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import httpx
from packaging.requirements import Requirement

from halo import __version__
from halo.cli import given_path
from halo.commands.repository import CHECKOUT
from halo.errors import HaloError
from halo.machine import gpus, output_of
from halo.split.binary import find_mmseqs
from halo.structures.settings import TransportSettings

DESCRIPTION = """\
Check what HALO needs of this machine and installation, and print what to do about what is missing.

ok       as it should be
note     not needed by everything; the line says by what
FAULT    something does not work; the exit status is 1
"""
EPILOG = (
    "Call it in the working folder, on the machine (and the kind of node) that shall do the work."
)
OK, NOTE, FAULT = "ok", "note", "FAULT"
DISTRIBUTION = "halo-localization"
LITTLE_DISK = 10e9  # bytes; ESM-2 with 650M parameters alone has 2.6 GB
CONDA_FROM = (24, 7, 1)  # required by Snakemake 9
PROTEIN = "P69905"  # which AlphaFold DB has
WAIT = 15.0  # seconds for AlphaFold DB's answer
NO_LOCKS = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EBADF}


@dataclass(frozen=True)
class Finding:
    """One line of the result: state, subject, what was found, and the fix if there is one."""

    state: str
    what: str
    found: str
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.state:8} {self.what:16} {self.found}"
        return f"{text}\n{'':25} -> {self.fix}" if self.fix else text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--store", type=given_path, default=Path("store"), metavar="FOLDER",
        help="the store, whose file system is checked (default: store)",
    )  # fmt: skip
    parser.add_argument(
        "--afdb", default=TransportSettings.base_url, metavar="URL", help="a mirror of AlphaFold DB"
    )
    parser.add_argument("--offline", action="store_true", help="do not ask AlphaFold DB")


def job(arguments: argparse.Namespace) -> None:
    """Print all findings; HaloError if there is a fault."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        packages, aligner, mmseqs, pytorch, conda, slurm,
        lambda: folder(existing(arguments.store)),
    ]  # fmt: skip
    if not arguments.offline:
        checks.append(lambda: afdb(arguments.afdb))
    faults = 0
    for check in checks:
        for finding in check():
            print(finding, flush=True)
            faults += finding.state == FAULT
    if faults:
        raise HaloError(f"{faults} fault(s); the lines marked {FAULT} say what to do")


# ---------------------------------------------------------------------- software


def requirements() -> list[Requirement]:
    """Requirements of the installed distribution, or those of the checkout's pyproject.toml."""
    try:
        return [Requirement(text) for text in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["workflow"]
    return [
        *map(Requirement, project["dependencies"]),
        *(Requirement(f'{text} ; extra == "workflow"') for text in extra),
    ]


def packages() -> Iterator[Finding]:
    """Python, and the packages of predictions and of the workflow."""
    yield Finding(OK, "Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding(OK, "HALO", __version__)
    for extra, what, state in (("", "packages", FAULT), ("workflow", "workflow", NOTE)):
        wrong = list(unfulfilled(extra))
        wanted = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
        if wrong:
            absent = "only needed for halo run; " if extra else ""
            fix = f"{absent}pip install --upgrade '{wanted}'"
            yield Finding(state, what, "; ".join(wrong), fix)
        else:
            yield Finding(OK, what, f"all of {wanted}")


def unfulfilled(extra: str) -> Iterator[str]:
    """What is missing, or of another version, of an extra's packages ("": of the required ones)."""
    for wanted in requirements():
        needed = wanted.marker is None or wanted.marker.evaluate({"extra": extra})
        required = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if not needed or bool(extra) == required:
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is missing"
        else:
            if not wanted.specifier.contains(installed, prereleases=True):
                yield f"{wanted.name} is {installed}, and not {wanted.specifier}"


def aligner() -> Iterator[Finding]:
    """The package parasail, which aligns proteins; pip has it for Linux on x86_64 only."""
    try:
        yield Finding(OK, "parasail", version("parasail"))
    except PackageNotFoundError:
        fix = "conda install -c conda-forge -c bioconda parasail-python"
        yield Finding(FAULT, "parasail", "missing", fix)


def mmseqs() -> Iterator[Finding]:
    """MMseqs2, which the split and the nearest proteins of predictions need."""
    try:
        program = find_mmseqs()
    except HaloError as error:
        message, _, fix = str(error).partition("; ")
        yield Finding(FAULT, "MMseqs2", message, fix)
        return
    if number := output_of(program, "version"):
        yield Finding(OK, "MMseqs2", f"{number}, {program}")
    else:
        fix = "install another build: conda install -c conda-forge -c bioconda mmseqs2"
        yield Finding(FAULT, "MMseqs2", f"{program} does not start", fix)


def pytorch() -> Iterator[Finding]:
    """PyTorch, its build, and whether it can use a GPU."""
    try:
        import torch

        from halo.device import choose_device
    except ImportError as error:
        yield Finding(FAULT, "PyTorch", f"it cannot be imported: {error}", "install it again")
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs"
    yield Finding(OK, "PyTorch", f"{torch.__version__}, build {build}")
    here = gpus()
    try:
        choose_device("cuda")
    except HaloError as error:
        if here:
            yield Finding(FAULT, "GPU", f"{', '.join(here)}, but PyTorch cannot use it", str(error))
        else:
            fix = "ESM-2 650M, the default, is slow there: name a smaller one as embeddings.model"
            yield Finding(NOTE, "GPU", "none; everything runs on the CPU, only slower", fix)
        return
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    free, total = torch.cuda.mem_get_info()
    memory = f"{free / 1e9:.0f} of {total / 1e9:.0f} GB free"
    yield Finding(OK, "GPU", f"{', '.join(names)}; {memory} on the first")


def conda() -> Iterator[Finding]:
    """The conda program with which Snakemake makes the environments of the rules."""
    purpose = "only needed for --sdm conda and the profiles slurm and conda"
    if shutil.which("conda") is None:
        fix = f"{purpose}: install Miniforge, or use --sdm env-modules with this environment"
        yield Finding(NOTE, "conda", "not on the PATH", fix)
        return
    number = output_of("conda", "--version", timeout=60).removeprefix("conda ")
    numbers = tuple(int(part) for part in number.split(".") if re.fullmatch(r"[0-9]{1,9}", part))
    if numbers < CONDA_FROM:
        fix = f"Snakemake needs {'.'.join(map(str, CONDA_FROM))}: conda update -n base conda"
        yield Finding(FAULT, "conda", number or "it does not start", fix)
        return
    yield Finding(OK, "conda", number)


def slurm() -> Iterator[Finding]:
    """Slurm, and Snakemake's plugin for it."""
    if shutil.which("sbatch") is None:
        fix = "only needed for --profile slurm: call this on a login node of the cluster"
        yield Finding(NOTE, "Slurm", "no sbatch on the PATH", fix)
        return
    ask = "only needed for --profile slurm: ask the administrators of the cluster"
    number = output_of("sbatch", "--version")
    if not number:
        yield Finding(NOTE, "Slurm", "sbatch does not start", ask)
        return
    if not output_of("squeue", "--me"):  # which prints a header at least
        yield Finding(NOTE, "Slurm", f"{number}, but squeue does not answer", ask)
        return
    try:
        plugin = version("snakemake-executor-plugin-slurm")
    except PackageNotFoundError:
        fix = f"for --profile slurm: pip install '{DISTRIBUTION}[workflow,slurm]'"
        yield Finding(NOTE, "Slurm", f"{number}, without Snakemake's plugin", fix)
        return
    yield Finding(OK, "Slurm", f"{number}, plugin {plugin}")


# ---------------------------------------------------------------------- network and disk


def afdb(url: str) -> Iterator[Finding]:
    """Whether AlphaFold DB answers."""
    fix = (
        "behind a proxy, set HTTPS_PROXY. Without internet access, take structures from a folder "
        "or an archive (structures.sources); halo predict goes on without them"
    )
    address = f"{url.rstrip('/')}/api/prediction/{PROTEIN}"
    try:
        answer = httpx.get(address, timeout=WAIT, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        yield Finding(NOTE, "AlphaFold DB", f"{url} cannot be reached: {reason}", fix)
        return
    if answer.status_code != httpx.codes.OK:
        what = f"{url} answers with status {answer.status_code}"
        yield Finding(NOTE, "AlphaFold DB", what, f"try again later; {fix}")
        return
    yield Finding(OK, "AlphaFold DB", url)


def existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def folder(path: Path) -> Iterator[Finding]:
    """Free disk of a folder, and what its file system supports."""
    free = shutil.disk_usage(path).free
    fix = "large runs need more: name a folder on a larger disk as store in the configuration"
    low = free < LITTLE_DISK
    yield Finding(
        NOTE if low else OK, "disk", f"{free / 1e9:,.0f} GB free in {path}", fix if low else ""
    )
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding(
            FAULT, "file system", f"no permission to write in {path}", "name another folder"
        )
        return
    with tempfile.TemporaryDirectory(prefix=".halo-doctor-", dir=path) as scratch:
        yield locks(Path(scratch))
        yield folder_sync(Path(scratch))


def locks(path: Path) -> Finding:
    """Whether files can be locked."""
    with (path / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            fix = (
                "start one prediction at a time in a folder, or use a file system with locks "
                "(Lustre: mount with flock; NFS: a running lockd)"
            )
            return Finding(NOTE, "file locks", f"not supported ({error.strerror})", fix)
    return Finding(OK, "file locks", "supported")


def folder_sync(path: Path) -> Finding:
    """Whether a folder can be written to the disk at once, so that renames survive a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        fix = (
            "results stay correct, but a power failure can lose the last files, which the next run "
            "computes again; keep the store on a local or a cluster file system"
        )
        return Finding(NOTE, "fsync of folders", f"not supported ({error.strerror})", fix)
    finally:
        os.close(descriptor)
    return Finding(OK, "fsync of folders", "supported")
