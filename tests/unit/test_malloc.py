"""Memory of freed tensors is reused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "workflow"

GIVEN_BACK = """
import os, sys, torch
from halo.malloc import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.ones(16_000_000)  # what the first use costs for good
tensor = torch.ones(16_000_000)  # larger than what glibc may keep by itself, 32 MB
before = resident()
del tensor
print(before - resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone gives it back")
def test_freed_memory_is_kept():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", GIVEN_BACK]
    kept, given_back = (
        int(subprocess.check_output([*command, way], env=environment, text=True))
        for way in ("kept", "given back")
    )
    assert kept < 1_000_000
    assert given_back > 60_000_000  # of 64 million bytes


TRIMMED = """
import os, torch
from halo.malloc import trim_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

blocks = [torch.ones(16_000) for _ in range(2000)]  # of 64 kB each, which glibc keeps
last = blocks.pop()  # above them in memory
before = resident()
blocks.clear()
print(before - resident())
trim_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone gives it back")
def test_freed_memory_below_other_memory_is_returned():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    said = subprocess.check_output([sys.executable, "-c", TRIMMED], env=environment, text=True)
    freed, trimmed = map(int, said.split())
    assert freed < 10_000_000
    assert trimmed > 100_000_000  # of 128 million bytes
