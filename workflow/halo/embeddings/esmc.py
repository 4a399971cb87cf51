"""ESM C."""

from collections.abc import Mapping
from typing import Any

from halo.embeddings.transformers_model import AMINO_ACIDS, Tokens, TransformersModel


class EsmC(TransformersModel):
    """Hidden states of ESM C."""

    architecture = "EsmcModel"

    def token_numbers(self, numbers: Mapping[str, int], tokenizer: Any) -> Tokens:
        """Tokens of single letters, between ``<cls>`` and ``<eos>``."""
        return Tokens(
            residues={letter: numbers[letter] for letter in f"{AMINO_ACIDS}BUZO"},
            unknown=numbers["X"],
            padding=tokenizer.pad_token_id,
            start=(tokenizer.cls_token_id,),
            end=(tokenizer.eos_token_id,),
        )
