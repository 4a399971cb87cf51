"""Train the offline language model: a small ESM-2, in fair-esm's checkpoint format.

Masked language modelling on proteins that are not similar to any test protein (corpus.py). The
folder keeps the corpus and the state of the training: after an interruption, the same call
resumes; after the end, it only prints the table of perplexities again.
"""

import argparse
import logging
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from batches import tokenize  # noqa: E402
from corpus import LONGEST_VALIDATED, TEST, TRAINING, VALIDATION, make_corpus  # noqa: E402
from halo.cli import run_job  # noqa: E402
from halo.embeddings.checkpoint import load_esm2  # noqa: E402
from halo.files import write_json  # noqa: E402
from masked import Quiz, perplexity  # noqa: E402
from neighbours import NeighbourModel  # noqa: E402
from training import CHECKPOINT, Budget, Plan, train  # noqa: E402

log = logging.getLogger("halo.pretrain")

QUIZ_SEED = 1  # decides which residues are hidden
QUIZ_PROTEINS = 1000  # of a test set


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the data sets")
    add("--folder", type=Path, required=True, help="for the corpus, the state and the checkpoint")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--steps", type=int, help="train for so many steps")
    budget.add_argument("--minutes", type=float, help="train for so many minutes")
    add("--layers", type=int, default=4)
    add("--dimension", type=int, default=128)
    add("--heads", type=int, default=4)
    add("--longest", type=int, default=256, help="tokens of a piece of a protein")
    add("--tokens", type=int, default=2048, help="of a batch, padding included")
    add("--rate", type=float, default=3e-3, help="highest learning rate")
    add("--repeats", type=int, default=2, help="of a DeepLoc or ProtGPS protein per epoch")
    add("--seed", type=int, default=1)
    add("--bfloat16", action="store_true", help="matrix products in bfloat16")
    add("--device", default="cpu", help="cpu or cuda")
    add("--threads", type=int, default=1)
    add("--log", type=Path, help="also write the messages to this file")
    run_job(parser, job)


def job(arguments: argparse.Namespace) -> None:
    """Make the corpus, train, and compare the checkpoint with what it must beat."""
    torch.set_num_threads(arguments.threads)
    folder = arguments.folder
    corpus = make_corpus(arguments.data, folder, arguments.threads)
    training = corpus[corpus["part"] == TRAINING]
    proteins = [tokenize(text) for text in training["sequence"]]
    labelled = [proteins[row] for row in np.flatnonzero(training["labelled"])]
    quizzes = make_quizzes(corpus)
    plan = Plan(**{field.name: getattr(arguments, field.name) for field in fields(Plan)})
    state = train(
        proteins + (arguments.repeats - 1) * labelled,
        quizzes[VALIDATION],
        plan,
        Budget(arguments.steps, arguments.minutes),
        folder,
        arguments.device,
    )
    table = compare(folder / CHECKPOINT, NeighbourModel(proteins), quizzes)
    log.info("perplexity of hidden residues:\n%s", table.to_string(float_format="%.2f"))
    options = {"repeats": arguments.repeats, "device": arguments.device}
    figures = {"plan": asdict(plan) | options, "training": asdict(state)}
    write_json(folder / "figures.json", figures | {"perplexity": table.round(3).to_dict()})


def make_quizzes(corpus: pd.DataFrame) -> dict[str, Quiz]:
    """Validation proteins, and a sample of each test set, of those that ESM-2 takes whole."""
    corpus = corpus[corpus["sequence"].str.len() <= LONGEST_VALIDATED]
    groups = {VALIDATION: corpus[corpus["part"] == VALIDATION]}
    for source, rows in corpus[corpus["part"] == TEST].groupby("source"):
        groups[f"test: {source}"] = rows.sample(min(len(rows), QUIZ_PROTEINS), random_state=1)
    return {
        name: Quiz.make([tokenize(text) for text in rows["sequence"]], QUIZ_SEED)
        for name, rows in groups.items()
    }


def compare(checkpoint: Path, neighbours: NeighbourModel, quizzes: dict[str, Quiz]) -> pd.DataFrame:
    """Perplexity of the same hidden residues by each model; a column a group of proteins."""
    model, _ = load_esm2(checkpoint)
    columns = {}
    for name, quiz in quizzes.items():
        losses = {
            "residue frequencies": quiz.by_neighbours(neighbours, left=False, right=False),
            "given the previous residue": quiz.by_neighbours(neighbours, left=True, right=False),
            "given both neighbours": quiz.by_neighbours(neighbours, left=True, right=True),
            "language model": quiz.by_model(model),
        }
        columns[name] = {method: perplexity(values) for method, values in losses.items()}
        columns[name]["hidden residues"] = len(losses["language model"])
    return pd.DataFrame(columns)


if __name__ == "__main__":
    main()
