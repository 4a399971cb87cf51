"""Command lines of the scripts: argument parser, log, progress and exit status."""

import argparse
import errno
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from halo.errors import HaloError

log = logging.getLogger("halo")

DISK_FULL = "the disk is full: free some space and run again, finished results are kept"
NO_PERMISSION = "no permission: let this user read and write there, then run again"
FAILED = "the file system failed: run again when it works, finished results are kept"
# Errors with an external cause, by errno.
EXTERNAL = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), DISK_FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), NO_PERMISSION),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENOLCK, errno.ETIMEDOUT), FAILED),
    **dict.fromkeys((errno.ENOTCONN, errno.EREMOTEIO, errno.EHOSTDOWN), FAILED),
}


def given_text(text: str) -> str:
    """An `argparse` type: a text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "empty; give a value (is a variable of the shell not set?)"
        )
    return text


def given_path(text: str) -> Path:
    """An `argparse` type: a path that is not blank; ``Path("")`` would be the current folder."""
    return Path(given_text(text))


def job_parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the options of every job: log, settings and execution."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=given_path, help="also write the messages to this file")
    parser.add_argument(
        "--settings",
        type=json.loads,
        default={},
        metavar="JSON",
        help="section of the stage in the configuration",
    )
    parser.add_argument(
        "--execution",
        type=json.loads,
        default={},
        metavar="JSON",
        help="keys of that section that do not influence the result",
    )
    return parser


def run_job(parser: argparse.ArgumentParser, job: Callable[[argparse.Namespace], None]) -> None:
    """Parse the command line, start the log, run `job`, and exit.

    A `HaloError` and errors of the file system (`EXTERNAL`) end the process with status 1 and a
    message without traceback, Ctrl-C with 130. Any other exception is a bug and is logged with its
    traceback.
    """
    arguments = parser.parse_args()
    name = Path(sys.argv[0]).stem
    # Of several processes of torchrun, the first one writes the log file.
    file = arguments.log if process_number() == 0 else None
    try:
        start_log(file, name)
    except OSError as error:
        parser.error(f"--log: {file}: {error.strerror}; give another file")
    except HaloError as error:
        parser.error(str(error))
    try:
        job(arguments)
    except HaloError as error:
        log.error("%s", error)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("interrupted; finished results are kept, repeat the call to resume")
        sys.exit(130)  # 128 plus the number of the signal, as in shells
    except Exception as error:
        if isinstance(error, OSError) and error.errno in EXTERNAL:
            log.error("%s (%s)", EXTERNAL[error.errno], error)
            sys.exit(1)
        log.exception("unexpected error; please report it with this log")
        sys.exit(1)


def process_number() -> int:
    """Rank of this process among those of torchrun, or 0.

    RANK and WORLD_SIZE alone are not reliable: other programs also set them.
    """
    return int(os.environ["RANK"]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


class _Formatter(logging.Formatter):
    """Adds the level to messages other than INFO."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno == logging.INFO:
            return text
        return text.replace(": ", f": {record.levelname.lower()}: ", 1)


def start_log(file: Path | None, name: str) -> None:
    """Send messages of level INFO and above to stderr and, if given, to `file`."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if file is not None:
        _require_log(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file, mode="w", encoding="utf-8"))
    formatter = _Formatter(f"%(asctime)s {name}: %(message)s", "%H:%M:%S")
    for handler in handlers:
        handler.setFormatter(formatter)
    log.handlers[:] = handlers
    log.setLevel(logging.INFO)
    log.propagate = False


def _require_log(file: Path) -> None:
    """Raise a HaloError if `file` is not a log, to avoid overwriting it."""
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            start = lines.read(9)
        if start and not re.match(r"\d\d:\d\d:\d\d ", start):
            raise HaloError(f"--log: {file} exists and is not a log; give another file")


class Progress:
    """Logs the progress, the rate and the remaining time of a loop.

    A line is logged at most every `every` seconds and, without a `label`, at the end. `unit` is the
    plural of the counted items, `label` the name of a part of a longer task, and a `total` of 0
    stands for one that is not known.
    """

    def __init__(self, total: int, unit: str, every: float = 10.0, label: str = "") -> None:
        self.total = total
        self.unit = unit
        self.every = every
        self.label = label and f"{label}: "
        self.done = 0
        self._start = self._last = time.monotonic()

    def add(self, count: int = 1) -> None:
        """Count `count` more items as done."""
        self.done += count
        now = time.monotonic()
        at_the_end = 0 < self.total <= self.done and not self.label
        if now - self._last < self.every and not at_the_end:
            return
        self._last = now
        seconds = max(now - self._start, 1e-9)
        rate = self.done / seconds
        if not self.total:
            log.info("%s%s %s, %s per second", self.label, f"{self.done:,}", self.unit, _rate(rate))
            return
        left = (self.total - self.done) / rate if rate else float("inf")
        log.info(
            "%s%s of %s %s (%.0f %%), %s per second, %s left",
            self.label,
            f"{self.done:,}",
            f"{self.total:,}",
            self.unit,
            100 * self.done / self.total,
            _rate(rate),
            _duration(left),
        )


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
