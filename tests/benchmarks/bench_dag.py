"""Time and memory of Snakemake's dry run for 500,000 proteins.

    PYTHONPATH=workflow python tests/benchmarks/bench_dag.py [--proteins 500000]

Two dry runs: of a new run, and after the ingest, when all jobs of all shards are known. The
last line is JSON with the slower of the two: `ratio` is the limit over what was measured.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SECONDS, GIBIBYTES = 15, 1  # the limits
LENGTH = 60  # residues; the number of jobs does not depend on them
CONFIG = {
    "run": "large",
    "shards": 256,
    "dataset": {"proteins": "proteins.csv"},
    "split": {"mode": "kfold", "folds": 5},
    "embeddings": {"model": str(ROOT / "resources/demo/esm2_demo.pt")},
}


def write_proteins(path: Path, count: int) -> None:
    """A table of `count` random proteins with two labels."""
    rng = random.Random(1)
    with path.open("w") as file:
        file.write("id,sequence,A,B\n")
        for number in range(count):
            sequence = "".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=LENGTH))
            file.write(f"P{number},{sequence},{number % 2},{1 - number % 2}\n")


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, float, str]:
    """Seconds, those of the CPU, GiB at most, and output of a call of Snakemake in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", "config.yaml", "--cores", "2", *arguments]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    output = folder / "output.txt"
    with output.open("w") as file:
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PATH": path}, stdout=file, stderr=file
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
    if status:
        sys.exit(output.read_text())
    cpu = usage.ru_utime + usage.ru_stime
    return seconds, cpu, usage.ru_maxrss / 2**20, output.read_text()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proteins", type=int, default=500_000)
    count = parser.parse_args().proteins
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_proteins(folder / "proteins.csv", count)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        before = snakemake(folder, "--dry-run", "--quiet", "rules")
        ingest = snakemake(folder, "results/large/members.json")
        after = snakemake(folder, "--dry-run", "--quiet", "rules")
    found = {"new run": before, "after the ingest": after}
    for name, (seconds, cpu, memory, output) in found.items():
        jobs = int(output.split("\ntotal")[1].split()[0])
        print(f"{name}: {jobs} jobs, {seconds:.1f} s ({cpu:.1f} s of CPU), {memory:.2f} GiB")
    print(f"the ingest itself: {ingest[0]:.0f} s")
    seconds, cpu, memory = (max(before[i], after[i]) for i in range(3))
    ratio = min(SECONDS / seconds, GIBIBYTES / memory)
    result = {
        "name": "dag",
        "ratio": round(ratio, 2),
        "goal": 1,
        "ok": ratio >= 1,
        "proteins": count,
        "seconds": round(seconds, 1),
        "seconds_cpu": round(cpu, 1),
        "gibibytes": round(memory, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
