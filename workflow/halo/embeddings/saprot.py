"""SaProt, which reads pairs of a residue and the 3Di letter of its structure.

Source of the tokens: github.com/westlake-repl/SaProt. ``#`` stands for what is not known.
"""

from collections.abc import Mapping
from typing import Any

from halo.embeddings.transformers_model import AMINO_ACIDS, Tokens, TransformersModel
from halo.structures.letters import LETTERS, UNKNOWN


class SaProt(TransformersModel):
    """Hidden states of SaProt, of texts such as ``MdEvVp``."""

    architecture = "EsmModel"
    options = {"add_pooling_layer": False}  # noqa: RUF012  # never changed

    def token_numbers(self, numbers: Mapping[str, int], tokenizer: Any) -> Tokens:
        """Tokens of all pairs, between ``<cls>`` and ``<eos>``."""
        return Tokens(
            residues={
                residue + letter: numbers[residue + letter]
                for residue in AMINO_ACIDS + UNKNOWN
                for letter in LETTERS + UNKNOWN
            },
            unknown=numbers[UNKNOWN + UNKNOWN],
            padding=tokenizer.pad_token_id,
            start=(tokenizer.cls_token_id,),
            end=(tokenizer.eos_token_id,),
            width=2,
        )
