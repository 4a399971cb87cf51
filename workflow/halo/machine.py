"""What the machine has that this runs on."""

import shutil
import subprocess

PATIENCE = 10.0  # seconds; a driver in trouble lets nvidia-smi hang


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs, or none where their driver does not answer."""
    if shutil.which("nvidia-smi") is None:
        return []
    return output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()


def output_of(*command: str, timeout: float = PATIENCE) -> str:
    """What a command prints, without the end of the line; "" where it fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
