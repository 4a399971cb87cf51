"""ESM-2 on a GPU, or in half precision: batches of sequences of like length."""

from collections.abc import Callable, Sequence

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor

from halo.embeddings.encoder import encode
from halo.embeddings.tokens import Tokenizer


class PaddedEncoder:
    """Hidden states of sequences with a model on `device`.

    Args:
        model, alphabet: the language model; it is moved to the device.
        layer: whose states are wanted, counted as `encode` does.
        device: ``cpu`` or ``cuda``.
        dtype: of the matrix products.
    """

    ahead = 1

    def __init__(
        self, model: ESM2, alphabet: Alphabet, layer: int, device: str, dtype: torch.dtype
    ) -> None:
        self.tokenizer = Tokenizer(alphabet)
        self.model = model.to(device)
        self.layer = layer
        self.device = device
        self.dtype = dtype
        self.on_gpu = device != "cpu"

    @torch.inference_mode()
    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """Begin with a batch.

        The function that comes back waits for its end and gives the states of the residues of
        each sequence, float32 [length, dim] on the CPU. Between the two the GPU computes, and the
        next batch can be begun.
        """
        tokens, _ = self.tokenizer.padded(sequences)
        if self.on_gpu:
            tokens = tokens.pin_memory()
        lengths = [len(text) for text in sequences]
        half = self.dtype != torch.float32
        with torch.autocast(self.device, self.dtype, enabled=half):
            hidden = encode(
                self.model,
                tokens.to(self.device, non_blocking=True),
                self.layer,
                padded=min(lengths) < max(lengths),
            ).float()
        done = None
        if self.on_gpu:
            pinned = torch.empty(hidden.shape, pin_memory=True)
            hidden = pinned.copy_(hidden, non_blocking=True)
            done = torch.cuda.Event()
            done.record()

        def states() -> list[Tensor]:
            if done is not None:
                done.synchronize()
            return [row[1 : length + 1] for row, length in zip(hidden, lengths, strict=True)]

        return states
