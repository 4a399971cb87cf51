"""Run the benchmarks that compute on a GPU, and print the ratio of each.

Each runs in a process of its own; its last line is one JSON object. The last line of this is one of
all of them. Without a GPU it is an error.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
BENCHMARKS = {
    "embed": ("bench_embed.py", "--device", "cuda", "--proteins", "1000", "--rounds", "1"),
    "host": ("bench_host.py",),
    "train": ("bench_train.py", "--number", "24"),  # the peer takes a second per model
}


def main() -> int:
    """Run all; the status is 1 if one fails or does not reach its goal."""
    if not torch.cuda.is_available():
        print("there is no GPU: make bench-embed, bench-host and bench-train measure the CPU")
        return 1
    found = {}
    for name, (script, *options) in BENCHMARKS.items():
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, str(HERE / script), *options], stdout=subprocess.PIPE, text=True
        )
        print(done.stdout, flush=True)
        try:
            found[name] = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            found[name] = {"ok": False, "status": done.returncode}
    for name, result in found.items():
        ratio, goal = result.get("ratio"), result.get("goal")
        print(f"{name}: ratio {ratio}, goal {goal}, {'reached' if result['ok'] else 'not reached'}")
    good = all(result["ok"] for result in found.values())
    print(json.dumps({"name": "gpu", "device": torch.cuda.get_device_name(), "ok": good, **found}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
