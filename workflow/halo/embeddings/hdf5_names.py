"""List the data sets of an HDF5 file of somebody else, in a process of its own.

HDF5 does not return from some damaged files: one wrong size in the heap that holds the texts of
attributes is an endless loop. A process can be ended.
"""

import multiprocessing
import sys
from collections.abc import Iterator
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import h5py

from halo.errors import HaloError

ORIGINAL_ID = "original_id"
SILENT = 600.0  # seconds without an answer after which the process is ended
AT_A_TIME = 100  # data sets in an answer
# What h5py raises for damaged files, and for types that numpy does not have.
DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError)
_START = "fork" if sys.platform == "linux" else "spawn"


def names_of(path: Path) -> Iterator[tuple[str, str | None]]:
    """Path of each data set in the file, and its attribute `ORIGINAL_ID`, if it is a text.

    Raises
    ------
    HaloError
        if HDF5 cannot read the file, does not return from it or crashes
    """
    if multiprocessing.current_process().daemon:  # it may not start processes
        yield from names_here(path)
        return
    context: Any = multiprocessing.get_context(_START)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield from _answers(ours)
    except TimeoutError:
        raise _damaged(path, f"HDF5 has not returned from it for {SILENT:.0f} s") from None
    except EOFError:
        raise _damaged(path, "HDF5 crashes") from None
    except OSError as error:
        raise _damaged(path, str(error)) from None
    finally:
        process.kill()
        process.join()
        ours.close()


def names_here(path: Path) -> Iterator[tuple[str, str | None]]:
    """As `names_of`, in this process: it does not return if HDF5 does not."""
    try:
        yield from read_names(path)
    except DAMAGED as error:
        raise _damaged(path, str(error)) from None


def _answers(connection: Connection) -> Iterator[tuple[str, str | None]]:
    while True:
        if not connection.poll(SILENT):
            raise TimeoutError
        answer = connection.recv()
        if isinstance(answer, str):
            raise OSError(answer)
        if not answer:
            return
        yield from answer


def read_names(path: Path) -> Iterator[tuple[str, str | None]]:
    """As `names_of`, in this process; raises what h5py raises, see `DAMAGED`."""
    names: list[str] = []
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(
            lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None
        )
        for name in names:
            yield name, _text(file[name].attrs.get(ORIGINAL_ID))


def _send(path: Path, connection: Connection) -> None:
    """Send lists of names, an empty one at the end, or the message of an error."""
    try:
        names = read_names(path)
        while batch := list(islice(names, AT_A_TIME)):
            connection.send(batch)
    except DAMAGED as error:
        connection.send(f"{error}" or type(error).__name__)
    else:
        connection.send([])
    connection.close()


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _damaged(path: Path, why: str) -> HaloError:
    return HaloError(f"{path}: damaged HDF5 file ({why}); make the file again")
