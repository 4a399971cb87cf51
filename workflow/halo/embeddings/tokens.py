"""Tokenize sequences for ESM-2."""

from collections.abc import Sequence

import numpy as np
import torch
from esm import Alphabet
from torch import Tensor

SPECIAL_TOKENS = 2  # start and end
KNOWN = "ACDEFGHIKLMNPQRSTVWYBUZO"


class Tokenizer:
    """Tokenizer of ESM-2; unknown letters become the token for any residue."""

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self.table = np.full(256, alphabet.get_idx("X"), dtype=np.int64)
        for letter in KNOWN:
            self.table[ord(letter)] = alphabet.get_idx(letter)

    def one(self, sequence: str) -> np.ndarray:
        """Tokens of one sequence, int64 [length + 2]."""
        tokens = np.empty(len(sequence) + SPECIAL_TOKENS, dtype=np.int64)
        tokens[0], tokens[-1] = self.alphabet.cls_idx, self.alphabet.eos_idx
        tokens[1:-1] = self.table[np.frombuffer(sequence.encode("ascii"), np.uint8)]
        return tokens

    def packed(self, sequences: Sequence[str]) -> Tensor:
        """Concatenated tokens of all sequences, int64 [sum of (length + 2)]."""
        return torch.from_numpy(np.concatenate([self.one(text) for text in sequences]))

    def padded(self, sequences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Padded tokens, int64 [B, T], and a mask of residues, bool [B, T]."""
        longest = max(map(len, sequences)) + SPECIAL_TOKENS
        tokens = np.full((len(sequences), longest), self.alphabet.padding_idx, dtype=np.int64)
        for row, text in zip(tokens, sequences, strict=True):
            row[: len(text) + SPECIAL_TOKENS] = self.one(text)
        lengths = np.array([[len(text)] for text in sequences])
        position = np.arange(longest)
        residues = (position > 0) & (position <= lengths)
        return torch.from_numpy(tokens), torch.from_numpy(residues)
