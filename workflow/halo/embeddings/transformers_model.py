"""Language models of the package transformers, loaded from a folder in Hugging Face's format."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from halo.embeddings.hub import require_same
from halo.embeddings.language_model import require_layer
from halo.embeddings.padded import PaddedModel
from halo.embeddings.weights import Weights
from halo.errors import HaloError

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
# Its tables of weights that are not loaded, such as those of a decoder, and its progress bars.
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@dataclass(frozen=True)
class Tokens:
    """Numbers of tokens.

    Attributes
    ----------
    residues
        Token of each text of `width` characters.
    unknown
        Token of all others.
    padding
        Token behind the shorter sequences of a batch.
    start, end
        Tokens before and behind the residues.
    width
        Characters of a residue.
    """

    residues: Mapping[str, int]
    unknown: int
    padding: int
    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    width: int = 1

    def one(self, text: str) -> list[int]:
        """Tokens of one text."""
        parts = (text[at : at + self.width] for at in range(0, len(text), self.width))
        return [*self.start, *(self.residues.get(part, self.unknown) for part in parts), *self.end]

    def padded(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Padded tokens, int64 [B, T], and the number of residues of each text."""
        rows = list(map(self.one, texts))
        tokens = np.full((len(rows), max(map(len, rows))), self.padding, dtype=np.int64)
        for row, values in zip(tokens, rows, strict=True):
            row[: len(values)] = values
        return torch.from_numpy(tokens), [len(text) // self.width for text in texts]


class TransformersModel(PaddedModel):
    """Hidden states of a model of transformers.

    Subclasses set `architecture`, the name of the class in transformers, and define
    `token_numbers`. No code of the folder is run: pickled weights are read with ``weights_only``.

    Args:
        weights: the folder with ``config.json``, weights and vocabulary.
        layer: 0 for the tokens' own embeddings, n for the states after the n-th layer; negative
            counts from the last, whose states are the output of the model.
        device: see `halo.embeddings.padded.PaddedModel`.
        dtype: see `halo.embeddings.padded.PaddedModel`.

    Raises
    ------
    HaloError
        if weights are missing or no numbers, or the folder has changed
    """

    architecture: str
    options: Mapping[str, Any] = {}  # of the class, such as those that leave out its head

    def __init__(self, weights: Weights, layer: int, device: str, dtype: torch.dtype) -> None:
        require_same(weights.path, weights.sha256, "it was found", "run again")
        folder = Path(weights.path)
        model = self._load(folder)
        layers = int(model.config.num_hidden_layers)
        require_layer(layers, layer)
        self.layer, self.is_last = layer % (layers + 1), layer % (layers + 1) == layers
        self.vocabulary = self._read_vocabulary(folder)
        special = (len(self.vocabulary.start), len(self.vocabulary.end))
        super().__init__(model, device, dtype, special)

    @abstractmethod
    def token_numbers(self, numbers: Mapping[str, int], tokenizer: Any) -> Tokens:
        """The tokens of this model.

        `numbers` are the tokens of its vocabulary, `tokenizer` is that of transformers. A KeyError
        means that the vocabulary is of another model.
        """

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Padded tokens and the number of residues of the texts."""
        return self.vocabulary.padded(texts)

    def states(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states of the layer."""
        # Attention is faster without a mask.
        padded = min(lengths) < max(lengths)
        mixed = torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32)
        with mixed:
            found = self.model(
                input_ids=tokens,
                attention_mask=tokens.ne(self.vocabulary.padding).long() if padded else None,
                output_hidden_states=not self.is_last,
            )
        return found.last_hidden_state if self.is_last else found.hidden_states[self.layer]

    def _load(self, folder: Path) -> Any:
        try:
            model, found = getattr(transformers, self.architecture).from_pretrained(
                folder,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **self.options,
            )
        except Exception as error:  # of many types, for damaged files
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise HaloError(f"{folder}: transformers cannot load it ({first})") from None
        wrong = [*found["missing_keys"], *found["mismatched_keys"]]
        if wrong:
            raise HaloError(
                f"{folder}: the weights do not fit {self.architecture}, {wrong[0]} is missing or "
                "has another shape; download the model again"
            )
        for name, value in model.named_parameters():
            if not value.isfinite().all():
                raise HaloError(
                    f"{folder}: values of {name} are no numbers; download the model again"
                )
        return model.eval()

    def _read_vocabulary(self, folder: Path) -> Tokens:
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            return self.token_numbers(tokenizer.get_vocab(), tokenizer)
        except Exception as error:  # of many types, for damaged files
            raise HaloError(
                f"{folder}: the vocabulary is damaged or that of another model ({error!r}); "
                "download its files again"
            ) from None
