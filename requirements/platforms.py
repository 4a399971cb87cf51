"""Check that the locks can be installed on every platform and Python (`make check-platforms`).

uv plans the installation for each of them, from wheels with the locked checksums, and downloads no
package. What has no wheel is built by pip from its source distribution and is listed here.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCKS = ("lock", "torch")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin")
MACOS = "14.0"  # the oldest that PyTorch's wheels support
PURE_PYTHON = {"connection-pool"}
NEEDS_A_COMPILER = {
    "immutables": lambda platform, python: python == "3.14",
    "parasail": lambda platform, python: not platform.startswith("x86_64"),
}


def fault(platform: str, python: str) -> str:
    """Why the locks cannot be installed; "" if they can."""
    sources = PURE_PYTHON | {
        name for name, applies in NEEDS_A_COMPILER.items() if applies(platform, python)
    }
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--quiet"]
        command += ["--system-certs"]  # as pip: a proxy may have its own
        command += ["--target", target, "--python-platform", platform, "--python-version", python]
        command += ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
        for name in sorted(sources):
            command += ["--no-binary", name]
        for lock in LOCKS:
            command += ["--requirement", str(HERE / f"{lock}.txt")]
        done = subprocess.run(
            command,
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS},
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stderr if done.returncode else ""


def main() -> None:
    faults = 0
    for platform in PLATFORMS:
        for python in PYTHONS:
            text = fault(platform, python)
            faults += bool(text)
            print(f"{platform}, Python {python}: {text or 'ok'}", flush=True)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
