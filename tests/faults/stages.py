"""Run stages in separate processes on a file system with injected errors.

    LD_PRELOAD=faults.so python stages.py

Reads a JSON object a line: `arguments` (a script and its command line), the `folder` to run in,
`fault` and `value` (see faults.c), `flush_bytes` and `output` (a file for the messages); answers
each with one: `status`, negative where a signal ended the process, and how many `steps`, `bytes`
and `locks` (requests) there were. What costs time, the imports, is done once: the processes are
forks.
"""

import ctypes
import functools
import json
import os
import runpy
import sys
from typing import Any

import numba
import torch
import torch._dynamo  # the first optimizer of a process imports it

import halo.embeddings.embed
import halo.finetuning.stage
import halo.graphs.stage
import halo.structures.fetch
import halo.training.stage
from halo.store import Store
from halo.training.loop import Training

LIBRARY = ctypes.CDLL(None)


def run(order: dict[str, Any], answer: int) -> None:
    """Run one script as its command line would, and write what was counted to `answer`."""
    os.chdir(order["folder"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    Store.writer = functools.partialmethod(Store.writer, flush_bytes=order["flush_bytes"])
    halo.training.stage.Training = functools.partial(Training, save_seconds=0.0)
    sys.argv = order["arguments"]
    LIBRARY.set_fault(order["fault"], ctypes.c_long(order["value"]))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        counts = LIBRARY.count_steps(), LIBRARY.count_bytes(), LIBRARY.count_locks()
        os.write(answer, " ".join(map(str, counts)).encode())


def main() -> None:
    """Answer the orders."""
    torch.set_num_threads(1)
    numba.njit(lambda: None)()  # so that the kernels of a network are only read from the disk
    for line in sys.stdin:
        order = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            status = 0
            try:
                run(order, writer)
            except SystemExit as end:
                status = int(end.code or 0)
            os._exit(status)
        os.close(writer)
        counted = os.read(reader, 100).decode() or "0 0 0"
        os.close(reader)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        counts = zip(("steps", "bytes", "locks"), map(int, counted.split()), strict=True)
        print(json.dumps({"status": status, **dict(counts)}), flush=True)


if __name__ == "__main__":
    main()
