"""Feed mutated inputs to the readers: `make fuzz MINUTES=5`.

Each reader runs in a process of its own, with a limit of memory and of CPU seconds an input. What
it answers must pass its check, or it must be a HaloError; another exception, a file written
elsewhere, too much time or memory, or the end of the process is a fault. The input of a fault is
kept under ``results/fuzz/<reader>/`` with what is needed to make it again.
"""

import argparse
import faulthandler
import hashlib
import logging
import mmap
import os
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import torch

from child import start
from fuzz.mutations import mutated
from fuzz.readers import READERS, Reader
from halo.errors import HaloError

SECONDS = 5.0  # of CPU, for one input
STUCK = 300.0  # seconds after which a process that does not answer is ended
MEMORY = 1 << 30  # bytes beyond those that the process has at the start
CORPUS = 400  # inputs that are kept because they gave a new outcome
KEPT = 3  # inputs that are saved of one fault
RESTARTS = 20  # of a reader whose process has ended
FOLDER = Path("results/fuzz")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"}
_FORBIDDEN = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "socket.connect"}


class TooLong(BaseException):
    """An input that took more than `SECONDS`; no `Exception`, so that no reader catches it."""


class Elsewhere(BaseException):
    """A reader wrote outside of its folder, or started a program."""


@dataclass
class Counts:
    """What became of the inputs of a reader."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


class _Shared:
    """Counts in memory that a process shares with the one that started it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)

    def put(self, counts: Counts) -> None:
        self._memory[:32] = struct.pack("4Q", *vars(counts).values())

    def get(self) -> Counts:
        return Counts(*struct.unpack("4Q", self._memory[:32]))


def fuzz(
    name: str, seed: int, folder: Path, seconds: float | None = None, inputs: int | None = None
) -> Counts:
    """Fuzz one reader for some CPU seconds or a number of inputs, and keep faults in `folder`.

    The inputs are the same for the same seed and reader, as long as the reader answers the same.
    """
    total = Counts()
    for attempt in range(RESTARTS):
        shared = _Shared()
        with tempfile.TemporaryDirectory(dir=_memory_folder()) as scratch:
            work = partial(
                _loop, name, seed + attempt, folder, Path(scratch), shared, seconds, inputs
            )
            code = _in_process(work, shared)
            counts = shared.get()
            if code:
                data = _input_of(Path(scratch)).read_bytes()
                cause = f"the process ended: {_reason(code)}"
                _save(folder / name, data, f"seed {seed + attempt}\n{cause}\n")
                counts.faults += 1
        total += counts
        done = inputs is not None and total.inputs >= inputs
        if not code or done or not counts.inputs:  # none where a sample is not read
            break
        inputs = None if inputs is None else inputs - counts.inputs
    return total


def _memory_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _input_of(scratch: Path) -> Path:
    return scratch / "input"


def _reason(code: int) -> str:
    return signal.strsignal(-code) or str(code) if code < 0 else f"exit status {code}"


def _in_process(work: Callable[[], None], shared: _Shared) -> int:
    """Do `work` in a forked process; its exit status, negative for a signal."""
    child = start(work)
    seen, since = -1, time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        count = shared.get().inputs
        if count != seen:
            seen, since = count, time.monotonic()
        elif time.monotonic() - since > STUCK:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def _loop(
    name: str,
    seed: int,
    folder: Path,
    scratch: Path,
    shared: _Shared,
    seconds: float | None,
    inputs: int | None,
) -> None:
    """Fuzz in this process, which is limited from here on."""
    reader = READERS[name]
    guard = _prepare(scratch)
    random = Random(f"{name} {seed}")
    corpus = [*reader.samples(scratch)]
    words = [word.encode() for word in reader.words]
    start = len(corpus)
    for sample in corpus:
        outcome = _outcome(reader, sample, scratch, guard)
        assert outcome.kind == "accepted", f"{name}: a sample is not read: {outcome.text}"
    seen: Counter[str] = Counter()
    counts, begun = Counts(), time.process_time()
    while (inputs is None or counts.inputs < inputs) and (
        seconds is None or time.process_time() - begun < seconds
    ):
        data = mutated(random, corpus, words, reader.formats)
        outcome = _outcome(reader, data, scratch, guard)
        counts.inputs += 1
        setattr(counts, outcome.kind, getattr(counts, outcome.kind) + 1)
        shared.put(counts)
        seen[outcome.text] += 1
        if outcome.kind == "faults" and seen[outcome.text] <= KEPT:
            note = f"seed {seed}, input {counts.inputs} of {name}\n{outcome.detail}"
            _save(folder / name, data, note)
        if seen[outcome.text] == 1 and outcome.kind != "faults":
            if len(corpus) - start >= CORPUS:
                corpus.pop(random.randrange(start, len(corpus)))
            corpus.append(data)


@dataclass
class _Outcome:
    kind: str  # the name of a field of `Counts`
    text: str  # the same for outcomes of one kind
    detail: str = ""


class _Guard(logging.Handler):
    """Notices what a reader must not do, and renders each of its log messages."""

    def __init__(self, scratch: Path) -> None:
        super().__init__()
        self.scratch = str(scratch.resolve())
        self.active = False

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()

    def audit(self, event: str, arguments: tuple) -> None:
        if not self.active:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if event in _FORBIDDEN or ((writes or event in _CHANGES) and self._outside(arguments[0])):
            raise Elsewhere(f"{event} {arguments[0]!r}")

    def _outside(self, path: object) -> bool:
        if isinstance(path, int):
            return False
        return not os.path.realpath(os.fsdecode(path)).startswith((self.scratch, "/dev/null"))


def _prepare(scratch: Path) -> _Guard:
    """Limit the memory and the time of this process, and watch what it does."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    faulthandler.disable()  # the parent reports how the process ended
    sys.dont_write_bytecode = True
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _too_long)
    guard = _Guard(scratch)
    logging.getLogger().handlers[:] = [guard]
    sys.addaudithook(guard.audit)
    os.chdir(scratch)
    return guard


def _too_long(*_: object) -> None:
    raise TooLong(f"more than {SECONDS} s of CPU")


@contextmanager
def _watched(guard: _Guard) -> Iterator[None]:
    guard.active = True
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        guard.active = False


def _outcome(reader: Reader, data: bytes, scratch: Path, guard: _Guard) -> _Outcome:
    path = _input_of(scratch)
    path.write_bytes(data)
    try:
        with _watched(guard):
            reader.read(path)
    except HaloError as error:
        text = str(error).replace(str(path), "")
        return _Outcome("refused", re.sub(r"'[^']*'|\"[^\"]*\"|[\d,.]+|b'.*", "#", text)[:80])
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "/halo/" in f.filename or "/fuzz/readers" in f.filename]
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
        detail = "".join(traceback.format_exception(error, limit=-12))[-6000:]
        return _Outcome("faults", f"{type(error).__name__} at {place}", detail)
    return _Outcome("accepted", "accepted")


def _save(folder: Path, data: bytes, note: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(data).hexdigest()
    (folder / f"{name}.bin").write_bytes(data)
    (folder / f"{name}.txt").write_text(note, "utf-8", "backslashreplace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz all readers, or those named, one after the other; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description="feed mutated inputs to the readers of HALO")
    parser.add_argument("--minutes", type=float, default=1.0, help="of CPU, for all readers")
    parser.add_argument("--inputs", type=int, help="so many for each reader, in place of minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where faults are kept")
    options = parser.parse_args(arguments)
    seconds = None if options.inputs else 60 * options.minutes / len(options.readers)
    total = Counts()
    print(f"{'reader':<20} {'inputs':>10} {'accepted':>10} {'refused':>10} {'faults':>7}")
    for name in options.readers:
        counts = fuzz(name, options.seed, options.folder.resolve(), seconds, options.inputs)
        total += counts
        _print(name, counts)
    _print("all", total)
    if total.faults:
        print(f"The inputs of the faults, and what happened, are in {options.folder}")
    return int(total.faults > 0)


def _print(name: str, counts: Counts) -> None:
    print(
        f"{name:<20} {counts.inputs:>10,} {counts.accepted:>10,} {counts.refused:>10,} "
        f"{counts.faults:>7,}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
