"""Masked language modelling with fair-esm's ESM-2: the model, its loss, and its file."""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from esm.model.esm2 import ESM2
from torch import Tensor
from torch.nn import functional

from batches import ALPHABET, RESIDUES, choose_hidden, pad
from halo.embeddings.encoder import encode
from neighbours import NeighbourModel

EMBEDDING_SCALE = 0.02  # standard deviation at the start; the embeddings are the output layer too
TOKENS_PER_BATCH = 16_384  # of an evaluation


def new_model(layers: int, dimension: int, heads: int, seed: int) -> ESM2:
    """An ESM-2 with random weights."""
    torch.manual_seed(seed)
    model = ESM2(layers, dimension, heads, ALPHABET, token_dropout=True)
    torch.nn.init.normal_(model.embed_tokens.weight, std=EMBEDDING_SCALE)
    return model


def start_from_frequencies(model: ESM2, proteins: list[np.ndarray]) -> None:
    """Let an untrained `model` guess each residue as often as it is in `proteins` (of tokens)."""
    seen = np.bincount(np.concatenate(proteins), minlength=len(ALPHABET))
    counts = np.ones(len(ALPHABET))
    counts[RESIDUES] += seen[RESIDUES]
    bias = np.log(counts / counts.sum())
    with torch.no_grad():
        model.lm_head.bias.copy_(torch.from_numpy(bias))


def autocast(device: str, bfloat16: bool) -> AbstractContextManager:
    """Matrix products in bfloat16, or all in float32."""
    return torch.autocast(device, torch.bfloat16, enabled=bfloat16)


def losses(model: ESM2, seen: Tensor, hidden: Tensor, tokens: Tensor) -> Tensor:
    """Negative logarithm of the probability of each hidden token, float32 [n_hidden].

    `seen` is what the model is shown of `tokens`; the three are [n, length] on its device. Only
    the hidden tokens go through the output layer.
    """
    logits = model.lm_head(encode(model, seen)[hidden])
    return functional.cross_entropy(logits.float(), tokens[hidden], reduction="none")


@dataclass(frozen=True)
class Quiz:
    """Whole proteins with residues to be guessed, all of them shown as the mask."""

    tokens: list[Tensor]
    hidden: list[Tensor]

    @classmethod
    def make(cls, proteins: list[np.ndarray], seed: int) -> "Quiz":
        """15 % of the residues of `proteins` (arrays of tokens), which `seed` chooses."""
        generator = torch.Generator().manual_seed(seed)
        groups: list[list[np.ndarray]] = [[]]
        for protein in sorted(proteins, key=len):
            if (len(groups[-1]) + 1) * len(protein) > TOKENS_PER_BATCH and groups[-1]:
                groups.append([])
            groups[-1].append(protein)
        tokens = [pad(group) for group in groups]
        return cls(tokens, [choose_hidden(batch, generator) for batch in tokens])

    @torch.inference_mode()
    def by_model(self, model: ESM2, device: str = "cpu", bfloat16: bool = False) -> np.ndarray:
        """Loss of each hidden residue, float64 [n_hidden]."""
        model.eval()
        all_losses = []
        for tokens, hidden in zip(self.tokens, self.hidden, strict=True):
            seen = tokens.masked_fill(hidden, ALPHABET.mask_idx)
            with autocast(device, bfloat16):
                inputs = (x.to(device) for x in (seen, hidden, tokens))
                all_losses.append(losses(model, *inputs).cpu())
        model.train()
        return torch.cat(all_losses).double().numpy()

    def by_neighbours(self, model: NeighbourModel, left: bool, right: bool) -> np.ndarray:
        """The same from a residue's neighbours, as far as they are told and not hidden."""
        all_losses = []
        for tokens, hidden in zip(self.tokens, self.hidden, strict=True):
            seen = tokens.masked_fill(hidden, ALPHABET.mask_idx)
            before, after = (seen.roll(shift, 1)[hidden].numpy() for shift in (1, -1))
            truth = tokens[hidden].numpy()
            all_losses.append(model.loss(before if left else None, truth, after if right else None))
        return np.concatenate(all_losses)


def perplexity(losses: np.ndarray) -> float:
    """The exponential of the mean loss."""
    return math.exp(losses.mean())
