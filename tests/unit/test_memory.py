"""Memory of tensors that are gone is used again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "workflow"

FAULTS = """
import resource, sys, torch
from halo.memory import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):
    torch.ones(4_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone gives it back")
def test_freed_memory_is_not_asked_for_again():
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-c", FAULTS]
    kept, given_back = (
        int(subprocess.check_output([*command, way], env=environment, text=True))
        for way in ("kept", "given back")
    )
    pages = 20 * 16_000_000 // 4096  # of 4 kB; the system may hand out larger ones
    assert kept + pages // 100 < given_back
