"""Proteins for tests: random and mutated sequences, their table, and labels that can be learned."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from halo.files import sha256_of_text

RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_sequence(rng: np.random.Generator, length: int) -> str:
    """Residues drawn independently."""
    return "".join(rng.choice(RESIDUES, length))


def mutated(rng: np.random.Generator, sequence: str, identity: float) -> str:
    """The sequence with other residues at a share of 1 - `identity` of its places."""
    letters = np.array(list(sequence))
    change = rng.choice(len(letters), round((1 - identity) * len(letters)), replace=False)
    for place in change:
        letters[place] = rng.choice(RESIDUES[letters[place] != RESIDUES])
    return "".join(letters)


def with_signals(
    rng: np.random.Generator, count: int, lengths: tuple[int, int]
) -> tuple[list[str], np.ndarray]:
    """Sequences, and uint8 [count, 2]: starts with lysines, ends with tryptophans.

    `lengths` are the smallest one of what is between, and the one above the largest.
    """
    sequences, labels = [], []
    for _ in range(count):
        body = random_sequence(rng, int(rng.integers(*lengths)))
        a, b = rng.integers(0, 2, 2)
        sequences.append(("KKKKK" if a else "DEDED") + body + ("WWWWW" if b else "GAGAG"))
        labels.append((a, b))
    return sequences, np.array(labels, dtype=np.uint8)


def protein_table(
    sequences: Sequence[str],
    ids: Sequence[str] | None = None,
    accession: str | Sequence[str] = "",
    split: str | Sequence[str] = "",
) -> pd.DataFrame:
    """The table of `halo.proteins.table.Proteins`; without `ids` these are p000 and so on."""
    names = [f"p{number:03d}" for number in range(len(sequences))] if ids is None else ids
    return pd.DataFrame(
        {
            "id": names,
            "accession": accession,
            "sequence": sequences,
            "seq_hash": [sha256_of_text(text) for text in sequences],
            "length": [len(text) for text in sequences],
            "split": split,
        }
    )
