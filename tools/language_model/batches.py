"""Batches of pieces of proteins, and the residues in them that the model has to guess."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from esm import Alphabet
from torch import Tensor

ALPHABET = Alphabet.from_architecture("ESM-1b")  # ESM-2's
RESIDUES = torch.tensor([ALPHABET.get_idx(letter) for letter in "ACDEFGHIKLMNPQRSTVWY"])
HIDDEN = 0.15  # share of the residues that are guessed: Devlin et al. 2019
BECOMES_MASK, BECOMES_ANOTHER = 0.8, 0.1  # of those; the others are shown as they are
POOL = 2048  # pieces that are sorted by length at a time


class Piece(NamedTuple):
    """Residues `start` to `stop` of a protein."""

    protein: int
    start: int
    stop: int


def tokenize(sequence: str) -> np.ndarray:
    """uint8 [length + 2]: the tokens of a protein between its start and its end token."""
    indices = ALPHABET.encode(sequence.replace("J", "X"))  # J (L or I) is not in the alphabet
    return np.array([ALPHABET.cls_idx, *indices, ALPHABET.eos_idx], dtype=np.uint8)


def cut(lengths: Sequence[int], longest: int, extra: int) -> list[Piece]:
    """Proteins in equal pieces of at most `longest`, each residue in one.

    A protein that has to be cut is cut into `extra` more pieces, which moves the cuts.
    """
    pieces = []
    for protein, length in enumerate(lengths):
        needed = -(-length // longest)
        bounds = np.linspace(0, length, needed + (extra if needed > 1 else 0) + 1).round()
        bounds = bounds.astype(int).tolist()
        pieces += [Piece(protein, *pair) for pair in pairwise(bounds)]
    return pieces


def batches(lengths: Sequence[int], longest: int, tokens: int, seed: int) -> Iterator[list[Piece]]:
    """Batches without end, in a random order that `seed` decides.

    Parameters
    ----------
    lengths : of the proteins, in tokens
    longest : tokens of a piece
    tokens : of a batch, padding included
    """
    number = 0
    while True:
        rng = np.random.default_rng([seed, number])
        pieces = cut(lengths, min(longest, tokens), extra=number % 2)
        order = rng.permutation(len(pieces))
        for begin in range(0, len(order), POOL):
            made = _by_length([pieces[index] for index in order[begin : begin + POOL]], tokens)
            for index in rng.permutation(len(made)):
                yield made[index]
        number += 1


def _by_length(pieces: list[Piece], tokens: int) -> list[list[Piece]]:
    """The pieces in batches of like length, of at most `tokens` tokens with the padding."""
    made: list[list[Piece]] = [[]]
    for piece in sorted(pieces, key=lambda piece: (piece.stop - piece.start, piece)):
        if (len(made[-1]) + 1) * (piece.stop - piece.start) > tokens and made[-1]:
            made.append([])
        made[-1].append(piece)
    return made


def pad(rows: Sequence[np.ndarray]) -> Tensor:
    """int64 [n_rows, longest row], padded at the end."""
    padded = np.full((len(rows), max(map(len, rows))), ALPHABET.padding_idx, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return torch.from_numpy(padded)


def choose_hidden(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Residues to be guessed, bool of the shape of `tokens`; odd letters are never chosen."""
    return torch.isin(tokens, RESIDUES) & (torch.rand(tokens.shape, generator=generator) < HIDDEN)


def corrupt(tokens: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
    """What the model sees of `tokens` in training.

    Of the hidden ones, 80 % are the mask, 10 % a random residue, and 10 % as they are.
    """
    fate = torch.rand(tokens.shape, generator=generator)
    others = RESIDUES[torch.randint(len(RESIDUES), tokens.shape, generator=generator)]
    seen = torch.where(hidden & (fate < BECOMES_MASK), ALPHABET.mask_idx, tokens)
    is_another = (fate >= BECOMES_MASK) & (fate < BECOMES_MASK + BECOMES_ANOTHER)
    return torch.where(hidden & is_another, others, seen)
