"""Compare fine-tuning on 2,000 proteins of DeepLoc 2.0 with the same head on the frozen model.

Both sides run the same loop on the same proteins with the same seeds; on the frozen side nothing
of the language model is adapted, the head alone is trained. The proteins are drawn from the
authors' partitions 0 to 3, of up to 500 residues, which spares time, and divided anew into train,
val and test, with no similar pair between them (HALO's split, audited). Every side keeps the epoch
that is best on the validation, so its score there is a little too good, alike for both; the test
is looked at once, at the end.

The checkpoint of the repository was trained on the sequences of these partitions, without labels:
what is compared is what fine-tuning adds, on both sides of the same model. The last line is one
JSON object; its ratio is that of the mean macro-F1 on the validation.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from samples import DEEPLOC, deeploc_sample  # noqa: E402

from halo.cli import start_log  # noqa: E402
from halo.embeddings.checkpoint import load_esm2  # noqa: E402
from halo.embeddings.layout import EmbeddingSettings  # noqa: E402
from halo.finetuning.data import Examples  # noqa: E402
from halo.finetuning.learner import Learner  # noqa: E402
from halo.finetuning.loop import Finetuning  # noqa: E402
from halo.finetuning.processes import Processes  # noqa: E402
from halo.finetuning.settings import FinetuneSettings  # noqa: E402
from halo.label_groups import all_groups  # noqa: E402
from halo.malloc import keep_freed_memory  # noqa: E402
from halo.proteins.table import Proteins  # noqa: E402
from halo.split.run import split  # noqa: E402
from halo.split.settings import Fractions, SplitSettings  # noqa: E402
from halo.training.decisions import macro_f1  # noqa: E402

GOAL = 1.0
FROZEN = {"method": "last_layers", "last_layers": 0}
# For a small model and a few hundred steps; bfloat16 is twice as fast on a CPU that has it.
SETTINGS = {
    "method": "last_layers",
    "last_layers": 4,  # all of the repository's
    "epochs": 12,
    "patience": 5,
    "tokens_per_batch": 2048,
    "accumulate": 1,
    "learning_rate": 0.001,
    "precision": "bfloat16",
}
SHARES = Fractions(train=0.6, val=0.2, cal=0.0, test=0.2)


def parts_of(proteins: Proteins, threads: int) -> np.ndarray:
    """Part of each protein, text [n]."""
    with TemporaryDirectory() as folder:
        settings = SplitSettings(mode="fractions", fractions=SHARES)
        result = split(proteins, settings, threads, Path(folder))
    found = result.assignments.set_index("id")["part_0"].reindex(proteins.ids)
    pairs = result.leakage["pairs_above_threshold"]
    print(f"{found.value_counts().to_dict()}, similar pairs between them: {pairs}", flush=True)
    return found.to_numpy(dtype=object)


def examples(proteins: Proteins, chosen: np.ndarray) -> Examples:
    """Sequences and labels of some proteins."""
    labels = torch.from_numpy(proteins.labels[chosen].astype(np.float32))
    return Examples(proteins.table.loc[chosen, "sequence"].tolist(), labels)


def measure(
    checkpoint: Path,
    data: dict[str, Examples],
    embedding: EmbeddingSettings,
    settings: FinetuneSettings,
    seed: int,
    device: str,
) -> dict[str, float]:
    """Macro-F1 on val and test of one training."""
    start = time.perf_counter()
    model, alphabet = load_esm2(checkpoint)
    n_labels = data["train"].labels.shape[1]
    learner = Learner(model, alphabet, n_labels, embedding, settings, seed).to(device)
    one = Processes()
    groups = all_groups([str(label) for label in range(n_labels)], "multilabel", ())
    position = Finetuning(learner, data["train"], data["val"], groups, seed, one).run()
    logits = learner.score(data["test"].sequences, one)
    tau = learner.tau.cpu()
    return {
        "val": position.history[position.best_epoch - 1]["val_macro_f1"],
        "test": macro_f1((logits >= tau).numpy(), data["test"].labels.numpy()),
        "best_epoch": position.best_epoch,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT / "resources/language_model/esm2_offline.pt"
    parser.add_argument("--checkpoint", type=Path, default=default)
    parser.add_argument("--proteins", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--longest", type=int, default=500, help="residues of a protein")
    parser.add_argument("--window", type=int, default=1022, help="residues that the model sees")
    parser.add_argument("--settings", type=json.loads, default={}, help="keys of finetune, JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start_log(None, "halo")
    proteins = deeploc_sample(DEEPLOC, arguments.proteins, 1, "0123", arguments.longest)
    part = parts_of(proteins, arguments.threads)
    data = {name: examples(proteins, part == name) for name in ("train", "val", "test")}
    embedding = EmbeddingSettings(window=arguments.window, overlap=arguments.window // 4)
    tuned = FinetuneSettings(**{**SETTINGS, **arguments.settings})
    sides = {"frozen": replace(tuned, **FROZEN), tuned.method: tuned}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for seed in arguments.seeds:
        for name, settings in sides.items():
            scores = measure(arguments.checkpoint, data, embedding, settings, seed, device)
            found[name].append(scores)
            print(
                f"seed {seed}, {name:<11} val {scores['val']:.3f}  test {scores['test']:.3f}  "
                f"(epoch {scores['best_epoch']}, {scores['seconds']:.0f} s)",
                flush=True,
            )
    means = {
        name: {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        for name, rows in found.items()
    }
    for name, mean in means.items():
        spread = np.std([row["val"] for row in found[name]])
        print(f"{name:<11} val {mean['val']:.3f} (sd {spread:.3f})  test {mean['test']:.3f}")
    frozen, better = means["frozen"], means[tuned.method]
    ratio = better["val"] / frozen["val"]
    result = {
        "name": "finetuning",
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "ok": ratio > GOAL,
        "test_ratio": round(better["test"] / frozen["test"], 3),
        "checkpoint": arguments.checkpoint.name,
        "seeds": arguments.seeds,
        "scores": found,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
