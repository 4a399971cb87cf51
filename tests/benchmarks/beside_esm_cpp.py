"""esm-cpp (PyPI) beside HALO's embedding: in an environment of its own, because it needs NumPy 1.

This file is imported by `bench_embed.py`, and run by the Python of that environment:

    python beside_esm_cpp.py model.safetensors sequences.json float32 out.npz

It computes the states of the first sequences, and takes the time of all of them in packed batches
(`forward_scheduled`), which are its fastest way. That returns logits: the output layer is included.
int8 is its SmoothQuant, calibrated on the first sequences.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PACKAGE = "esm-cpp==0.2.1"
FOLDER = Path("results/esm-cpp")  # the environment, which is kept
COMPARED = 3  # sequences whose states are returned
PRECISIONS = ("float32", "int8")


def environment() -> Path | None:
    """The Python of an environment with esm-cpp; None, with a message, where there is none."""
    python = FOLDER / "bin/python"
    commands = (
        [sys.executable, "-m", "venv", str(FOLDER)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
    )
    if python.exists():
        commands = commands[1:]
    for command in commands:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode:
            reason = (found.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"esm-cpp: not measured, {PACKAGE} cannot be installed ({reason})")
            return None
    return python


def seconds_of(
    python: Path, model: Path, sequences: list[str], precision: str, threads: int, scratch: Path
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Seconds on the clock and of CPU time, and the states of the first sequences."""
    texts, out = scratch / "sequences.json", scratch / "esm-cpp.npz"
    texts.write_text(json.dumps(sequences))
    command = [python, Path(__file__).resolve(), model, texts, precision, out]
    given = {"ESM_NUM_THREADS": str(threads), "PATH": "/usr/bin:/bin"}
    subprocess.run(list(map(str, command)), check=True, env=given)
    with np.load(out) as content:
        seconds = {name: float(content[name]) for name in ("clock", "cpu")}
        return seconds, [
            content[f"states{number}"] for number in range(min(COMPARED, len(sequences)))
        ]


def main(path: str, texts: str, precision: str, out: str) -> None:
    """Measure in this environment."""
    import esm_cpp

    sequences = json.loads(Path(texts).read_text())
    tokenizer = esm_cpp.Tokenizer()
    tokens = [np.asarray(tokenizer.encode(text), dtype=np.int32) for text in sequences]
    model = esm_cpp.Model.load_from_safetensors(path)
    if precision == "int8":
        observer = esm_cpp.ActivationObserver()
        for some in tokens[:COMPARED]:
            model.forward_with_observer(some, np.ones_like(some), observer)
        model.apply_smoothquant(observer.percentile(99.9), 0.5)
        model.quantize_weights()
    found = {
        f"states{number}": np.asarray(model.forward_with_hidden_states(some)[1][-1])[1:-1]
        for number, some in enumerate(tokens[:COMPARED])
    }
    clock, cpu = time.perf_counter(), time.process_time()
    model.forward_scheduled(tokens)
    found |= {"clock": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
