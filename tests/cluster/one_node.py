"""A real Slurm with one node on this machine, with accounting, memory limits and fake GPUs.

It needs Debian's packages slurmctld, slurmd, slurmdbd, slurm-client, munge and mariadb-server.
`make test-cluster` installs them and runs the tests as root in namespaces of their own: no
process outlives them, however they end, and /etc/slurm, where every command of Slurm looks for
its configuration, is theirs alone. The daemons listen on 127.0.0.1.
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
ETC = Path("/etc/slurm")
FALSE_GPUS = ("/dev/null", "/dev/zero")  # Slurm counts devices
FIELDS = ("JobIDRaw", "Comment", "State", "TimelimitRaw", "ReqTRES")


@dataclass(frozen=True)
class Job:
    """What Slurm's accounting has about a job."""

    number: int
    comment: str
    state: str  # its first word: COMPLETED, CANCELLED, FAILED, OUT_OF_MEMORY, …
    minutes: int  # the time limit
    cpus: int
    memory_mb: int
    gpus: int


@contextmanager
def one_node_slurm(cpus: int, memory_mb: int) -> Iterator[None]:
    """Run Slurm's daemons as long as the context lasts.

    The node claims `cpus` and `memory_mb`, whatever the computer has, and two GPUs.
    """
    if not ETC.is_mount():
        raise RuntimeError(f"{ETC} belongs to this computer: call make test-cluster")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        folder.chmod(0o755)  # munge refuses a socket that others cannot reach
        _configure(folder, cpus, memory_mb)

        def daemon(*command: str) -> None:
            stack.enter_context(_daemon(folder / f"{command[0]}.out", *command))

        daemon("munged", "--foreground", "--force", *_munge_options(folder))
        _wait((folder / "munge.socket").exists, folder)
        _start_database(folder, daemon)
        daemon("slurmdbd", "-D")
        _wait(lambda: _succeeds("sacctmgr", "--noheader", "show", "cluster"), folder)
        slurm("sacctmgr", "--immediate", "add", "cluster", "halo")
        daemon("slurmctld", "-D")
        daemon("slurmd", "-D", "-N", socket.gethostname().split(".")[0])
        _wait(lambda: slurm("sinfo", "--noheader", "--format=%T") == "idle", folder)
        stack.callback(_cancel_all)
        yield


def accounting() -> list[Job]:
    """All jobs that Slurm has had, in the order of their submission."""
    fields = ("--parsable2", "--noheader", f"--format={','.join(FIELDS)}")
    jobs = []
    for line in slurm("sacct", "--allocations", "--starttime=now-1day", *fields).splitlines():
        number, comment, state, minutes, tres = line.split("|")
        wanted = dict(item.split("=") for item in tres.split(","))
        jobs.append(
            Job(
                number=int(number),
                comment=comment,
                state=state.split()[0],
                minutes=int(minutes),
                cpus=int(wanted["cpu"]),
                memory_mb=_megabytes(wanted["mem"]),
                gpus=int(wanted.get("gres/gpu", 0)),
            )
        )
    return sorted(jobs, key=lambda job: job.number)


def slurm(*command: str) -> str:
    """Run one of Slurm's commands and give what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def _megabytes(text: str) -> int:
    return round(float(text[:-1]) * {"M": 1, "G": 1024, "T": 1024**2}[text[-1]])


def _configure(folder: Path, cpus: int, memory_mb: int) -> None:
    host = socket.gethostname().split(".")[0]
    ports = _free_ports("control_port", "node_port", "accounting_port", "database_port")
    size = {"cpus": cpus, "memory_mb": memory_mb, "gpus": len(FALSE_GPUS)}
    for name in ("slurm.conf", "slurmdbd.conf"):
        template = Template((HERE / f"{name}.in").read_text())
        (ETC / name).write_text(template.substitute(folder=folder, host=host, **size, **ports))
    (ETC / "slurmdbd.conf").chmod(0o600)  # slurmdbd insists on it
    (folder / "database_port").write_text(str(ports["database_port"]))
    (ETC / "gres.conf").write_text(f"NodeName={host} Name=gpu File={','.join(FALSE_GPUS)}\n")
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()


def _free_ports(*names: str) -> dict[str, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in zip(names, sockets, strict=True)}


def _munge_options(folder: Path) -> list[str]:
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    return [f"--{option}={folder}/munge.{suffix}" for option, suffix in files.items()]


def _start_database(folder: Path, daemon: Callable[..., None]) -> None:
    data, address, port = folder / "database", folder / "database.socket", "database_port"
    slurm("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}")
    listen = (f"--socket={address}", "--bind-address=127.0.0.1")
    daemon(
        *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", *listen),
        f"--port={(folder / port).read_text()}",
        "--innodb-flush-log-at-trx-commit=0",  # nothing here has to outlive a power cut
    )
    client = ("mariadb", "--no-defaults", f"--socket={address}")
    _wait(lambda: _succeeds(*client, "--execute=select 1"), folder)
    slurm(
        *client,
        "--execute=create database slurm_acct_db;"
        "grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1' identified by 'slurm';"
        "grant all on slurm_acct_db.* to 'slurm'@'localhost' identified by 'slurm'",
    )


@contextmanager
def _daemon(output: Path, *command: str) -> Iterator[None]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _cancel_all() -> None:
    """Cancel what is still queued and give its processes time to end."""
    if slurm("squeue", "--noheader"):
        slurm("scancel", "--user=root")
        time.sleep(10)


def _wait(ready: Callable[[], bool], folder: Path, seconds: float = 60) -> None:
    """Wait until `ready`, or end with what the daemons have said last."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            said = "".join(
                f"{path.name}:\n{path.read_text(errors='replace')[-1000:]}\n"
                for path in sorted([*folder.glob("*.log"), *folder.glob("*.out")])
            )
            raise RuntimeError(f"Slurm did not start within {seconds:.0f} s\n{said}")
        time.sleep(0.2)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
