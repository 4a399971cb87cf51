"""Hardware of this machine."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

DEVICES = ("auto", "cuda", "cpu")
PATIENCE = 10.0  # seconds; nvidia-smi may hang if the driver has failed


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets of the processor by their names in Linux; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").partition(":")[2].split())


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs; empty if the driver does not respond."""
    if shutil.which("nvidia-smi") is None:
        return []
    return output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()


def output_of(*command: str, timeout: float = PATIENCE) -> str:
    """Output of a command without the final line break; "" if it fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
