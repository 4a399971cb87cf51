"""ProtT5, ProstT5 and Ankh: the encoder of a T5.

Sources of the tokens: github.com/agemagician/ProtTrans (letters beside the 20 amino acids are X),
github.com/mheinzinger/ProstT5 (sequences of amino acids begin with ``<AA2fold>``) and
github.com/agemagician/Ankh.
"""

from collections.abc import Mapping
from typing import Any

from halo.embeddings.transformers_model import AMINO_ACIDS, Tokens, TransformersModel

AMINO_ACIDS_FOLLOW = "<AA2fold>"  # of ProstT5, which reads letters of structures, too
WORD = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's mark of the start of a word


class ProteinT5(TransformersModel):
    """Hidden states of the encoder of ProtT5, ProstT5 or Ankh."""

    architecture = "T5EncoderModel"

    def token_numbers(self, numbers: Mapping[str, int], tokenizer: Any) -> Tokens:
        """Tokens of single letters: words in ProtT5's vocabulary, and parts of words in Ankh's."""
        own = WORD if f"{WORD}X" in numbers else ""
        prostt5 = numbers.get(AMINO_ACIDS_FOLLOW)
        return Tokens(
            residues={letter: numbers[f"{own}{letter}"] for letter in AMINO_ACIDS},
            unknown=numbers[f"{own}X"],
            padding=tokenizer.pad_token_id,
            start=() if prostt5 is None else (prostt5,),
            end=(tokenizer.eos_token_id,),
        )
