"""A `python` whose processes are forks of one with all imports.

Importing Snakemake takes a second and importing PyTorch some more, for each job of a run. `Forks`
starts a server that imports both once, and a folder with a program `python` that asks it for a
process: Snakemake, the workflow's scripts and ``-m halo`` run in a fork of the server, with the
folder, the environment and the streams of the caller; everything else runs in the real Python.
"""

import gc
import json
import os
import re
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT, SNAKEMAKE = b"1", b"2"  # what the caller wants to run
# What scripts, PyTorch's first optimizer, networks and figures import when they need it.
IMPORTED_LATER = (
    "torch._dynamo", "httpcore", "sklearn.metrics", "scipy.optimize", "scipy.spatial",
    "matplotlib.pyplot",
)  # fmt: skip
IMPORT = re.compile(r"^ *from (halo[\w.]*) import (\w+(?:, \w+)*)", re.MULTILINE)

# It has to start fast: no import beyond these, no site-packages.
CLIENT = f"""
import json, os, signal, socket, sys

python, root, address, *arguments = sys.argv[1:]
if arguments[:2] == ["-m", "snakemake"]:
    kind = {SNAKEMAKE!r}
elif arguments and arguments[0].startswith(root + "/scripts/"):
    kind = {SCRIPT!r}
elif arguments[:2] == ["-m", "halo"] and os.environ.get("PYTHONPATH") == root + "/workflow":
    kind = {SCRIPT!r}
else:
    os.execv(python, [python, *arguments])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(address)
    socket.send_fds(server, [kind], [0, 1, 2])
    asked = dict(arguments=arguments, folder=os.getcwd(), environment=dict(os.environ))
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    status = int(server.recv(100) or -9)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@dataclass
class Forks:
    """The server, for the workflow in `root`; a context manager.

    Attributes
    ----------
    folder : of the program ``python``, to be put first on the PATH
    """

    root: Path = ROOT
    folder: Path = field(init=False)
    process: subprocess.Popen = field(init=False)

    def __enter__(self) -> "Forks":
        self.folder = Path(tempfile.mkdtemp(prefix="halo-"))  # a socket's path is a short one
        address = self.folder / "socket"
        client = self.folder / "client.py"
        client.write_text(CLIENT)
        python = self.folder / "python"
        words = (sys.executable, "-IS", client, sys.executable, self.root, address)
        python.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        python.chmod(0o755)
        self.process = subprocess.Popen(
            [sys.executable, __file__, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",  # a fork has no threads of a pool
                "PYTHONPATH": f"{self.root}/workflow",
            },
        )
        assert self.process.stdout.readline() == b"ready\n", "the server does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder)

    @property
    def python(self) -> str:
        """The program."""
        return str(self.folder / "python")

    def environment(self, *tools: Path) -> dict[str, str]:
        """Variables of a process that finds the programs in `tools` first, then this `python`."""
        path = [*map(str, tools), str(self.folder), str(Path(sys.executable).parent)]
        return {**os.environ, "PATH": ":".join([*path, os.environ["PATH"]])}


def import_snakemake(root: Path) -> None:
    """Import and compute what each call of Snakemake needs of itself and of the package."""
    for name in ("snakemake.cli", "snakemake.workflow"):
        import_module(name)
    for rules in (root / "rules").rglob("*.smk"):
        for module, names in IMPORT.findall(rules.read_text()):
            imported = import_module(module)
            for name in re.findall(r"\w+", names):
                if not hasattr(imported, name):
                    import_module(f"{module}.{name}")
    import_module("snakemake.cli").get_argument_parser()  # finds the plugins
    digests = import_module("halo.code_digest")
    for script in (root / "scripts").glob("*.py"):
        digests.code_digest(script)


def import_scripts(root: Path) -> None:
    """Import what the scripts import, then and when they run."""
    for script in (root / "scripts").glob("*.py"):
        runpy.run_path(str(script), run_name="imported")
    for name in IMPORTED_LATER:
        import_module(name)
    import_module("numba").njit(lambda: None)()  # so that a kernel is only read from the disk


def serve(address: str, root: Path) -> None:
    """Answer callers until stdin ends."""
    import_snakemake(root)
    have_scripts = False
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([server, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            connection, _ = server.accept()
            kind, streams, _, _ = socket.recv_fds(connection, 1, 3)
            if kind == SCRIPT and not have_scripts:
                import_scripts(root)
                have_scripts = True
            gc.freeze()  # a collection in a fork would copy the memory of all that is imported
            if streams and not os.fork():
                server.close()
                supervise(connection, streams)
            connection.close()
            for stream in streams:
                os.close(stream)
            reap()


def reap() -> None:
    """Take the status of supervisors that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:  # there are none
        pass


def supervise(connection: socket.socket, streams: list[int]) -> None:
    """Run what is asked for in a process of its own, which does not outlive its caller."""
    with connection.makefile("rb") as sent:
        asked = json.loads(sent.read())
    job = os.fork()
    if not job:
        os.setsid()
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os._exit(run(**asked))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(job)
    watched = select.poll()
    watched.register(ended, select.POLLIN)
    watched.register(connection, 0)  # POLLHUP, that the caller is gone, is always reported
    if ended not in dict(watched.poll()):
        os.killpg(job, signal.SIGKILL)
    _, status = os.waitpid(job, 0)
    with suppress(BrokenPipeError):
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    """Run a script or Snakemake as the real Python would; its exit status."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    status: object = 0
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0


if __name__ == "__main__":
    import halo

    serve(sys.argv[1], Path(halo.__file__).parents[2])
