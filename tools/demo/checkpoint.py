"""Train the demo's protein language model: a small ESM-2, in fair-esm's checkpoint format.

Masked language modelling on freshly simulated proteins (another seed than the demo's, so none
of the demo's families), on one core for some minutes. The same seed gives the same weights on
the same machine and PyTorch; other machines round differently.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from halo.embeddings.saving import save_esm2  # noqa: E402
from sequences import simulate_proteins  # noqa: E402

LAYERS, DIMENSION, HEADS = 4, 96, 8
SEED = 4
PROTEINS = 6000
STEPS = 700
TOKENS = 4000  # a batch, padding included
WARMUP = 50
RATE = 3e-3
HIDDEN = 0.15  # share of the residues that the model has to guess: Devlin et al. 2019


def main() -> None:
    """Read the command line, train, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT / "resources/demo/esm2_demo.pt"
    parser.add_argument("--out", type=Path, default=default, help="file to write")
    parser.add_argument("--proteins", type=int, default=PROTEINS, help="to train on")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = train(arguments.proteins, arguments.steps, arguments.seed)
    save_esm2(model, arguments.out)


def train(proteins: int, steps: int, seed: int) -> ESM2:
    """A model trained for `steps` batches of simulated proteins; prints the loss on its way."""
    torch.manual_seed(seed)
    alphabet = Alphabet.from_architecture("ESM-1b")
    model = ESM2(LAYERS, DIMENSION, HEADS, alphabet, token_dropout=True)
    torch.nn.init.normal_(model.embed_tokens.weight, std=0.05)  # they are the output layer too
    rng = Random(f"language model {seed}")
    sequences = [protein.sequence for protein in simulate_proteins(proteins, rng)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    begun, losses = time.monotonic(), []
    for step, tokens in zip(range(1, steps + 1), _batches(sequences, alphabet, rng), strict=False):
        masked, hidden = mask(tokens, alphabet)
        logits = model(masked)["logits"]
        loss = torch.nn.functional.cross_entropy(logits[hidden], tokens[hidden])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            mean = sum(losses[-50:]) / len(losses[-50:])
            print(f"step {step}: perplexity {math.exp(mean):.2f}, {time.monotonic() - begun:.0f} s")
    return model.eval()


def mask(tokens: torch.Tensor, alphabet: Alphabet) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide residues from the model.

    Of the residues chosen, 80 % become the mask, 10 % another residue, and 10 % stay.

    Parameters
    ----------
    tokens
        int64 [proteins, length].

    Returns
    -------
    masked, hidden
        int64 [proteins, length], and bool of the same shape: where the model has to guess.
    """
    residues = torch.tensor([alphabet.get_idx(letter) for letter in "ACDEFGHIKLMNPQRSTVWY"])
    hidden = torch.isin(tokens, residues) & (torch.rand(tokens.shape) < HIDDEN)
    fate = torch.rand(tokens.shape)
    others = residues[torch.randint(len(residues), tokens.shape)]
    masked = torch.where(hidden & (fate < 0.8), alphabet.mask_idx, tokens)
    return torch.where(hidden & (fate >= 0.9), others, masked), hidden


def _batches(sequences: list[str], alphabet: Alphabet, rng: Random) -> Iterator[torch.Tensor]:
    """Batches of tokens without end: proteins of like length together, in random order."""
    convert = alphabet.get_batch_converter()
    batches: list[list[str]] = [[]]
    for sequence in sorted(sequences, key=len):
        if (len(batches[-1]) + 1) * (len(sequence) + 2) > TOKENS:
            batches.append([])
        batches[-1].append(sequence)
    while True:
        rng.shuffle(batches)
        for batch in batches:
            yield convert([("", sequence) for sequence in batch])[2]


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


if __name__ == "__main__":
    main()
