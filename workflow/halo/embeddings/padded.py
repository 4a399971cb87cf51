"""Language models on a GPU, or in 16-bit precision: batches of sequences of similar length."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor

from halo.device import moved, needing_memory
from halo.embeddings.fused_layers import FusedEncoder, packed_attention
from halo.embeddings.limits import require_finite
from halo.embeddings.tokens import SPECIAL_TOKENS, Tokenizer


class PaddedModel(ABC):
    """Hidden states of sequences by a model on `device`.

    Args:
        model: the language model; it is moved to the device, and the weights of its matrix
            products are converted to `dtype`.
        device: ``cpu`` or ``cuda``.
        dtype: dtype of the matrix products.
        special: number of special tokens before and behind the residues.
    """

    ahead = 1
    attention: Callable[..., Any] | None = None  # to concatenated sequences; None: padded ones

    def __init__(
        self,
        model: torch.nn.Module,
        device: str,
        dtype: torch.dtype,
        special: tuple[int, int] = (1, SPECIAL_TOKENS - 1),
    ) -> None:
        self.special = special
        self.device = device
        self.dtype = dtype
        self.on_gpu = device != "cpu"
        cast_products(model, dtype)
        size = sum(value.nbytes for value in model.parameters()) / 1e9
        with needing_memory(
            f"the language model ({size:.1f} GB)",
            "choose a smaller one, set embeddings.precision to bfloat16 or float16, free the GPU, "
            "or ask for one with more memory",
        ):
            self.model = model.to(device)

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Tokens of the texts, int64 [B, T], and the number of residues of each."""

    @abstractmethod
    def states(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states [B, T, dim] of `tokens`, which are on the device."""

    @torch.inference_mode()
    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """Start a batch.

        The returned function waits for the result: the states of the residues of each sequence on
        the CPU, float32 [length, dim]; float16 from a GPU, unless they exceed its range. It raises
        `NotFinite` for NaN and infinities from a GPU. The next batch can be started before the
        result is fetched.
        """
        tokens, lengths = self.tokens(sequences)
        hidden = self.states(moved(tokens, self.device), lengths)
        first = self.special[0]
        if not self.on_gpu:
            whole = hidden.float()
            return lambda: [row[first : first + n] for row, n in zip(whole, lengths, strict=True)]
        where = moved(residue_rows(lengths, self.special, self.attention is not None), self.device)
        half, finite = packed_half(hidden, where)
        rows, in_range = fetched(half), fetched(finite)
        done = torch.cuda.Event()
        done.record()

        def states() -> list[Tensor]:
            done.synchronize()
            # A copy, so that pinned buffers can be reused for all batches.
            if in_range.item():
                return list(rows.clone().split(lengths))
            parts = list(unpadded(hidden, where).float().cpu().split(lengths))
            require_finite(parts)
            return parts

        return states


class PaddedEncoder(PaddedModel):
    """Hidden states of ESM-2, ESM-1b or ESM-1v.

    Args:
        model: the language model, see `PaddedModel`; it loses its layers, see `FusedEncoder`.
        alphabet: its tokens.
        layer: layer of the states, as in `encode`.
        device: see `PaddedModel`.
        dtype: see `PaddedModel`.
    """

    model: ESM2

    def __init__(
        self, model: ESM2, alphabet: Alphabet, layer: int, device: str, dtype: torch.dtype
    ) -> None:
        self.tokenizer = Tokenizer(alphabet)
        super().__init__(model, device, dtype)
        self.encoder = FusedEncoder(self.model, layer, dtype)
        self.attention = packed_attention(self.model, device, dtype)

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, list[int]]:
        """Tokens and the lengths of the texts."""
        lengths = [len(text) for text in texts]
        if self.attention is not None:
            return self.tokenizer.packed(texts)[None], lengths
        return self.tokenizer.padded(texts)[0], lengths

    def states(self, tokens: Tensor, lengths: Sequence[int]) -> Tensor:
        """Hidden states of the layer."""
        if self.attention is None:
            # Whether there is padding is not asked of `tokens`: the CPU would wait for the GPU.
            return self.encoder.padded(tokens, min(lengths) < max(lengths))
        sizes = np.array(lengths) + SPECIAL_TOKENS
        starts = np.concatenate([[0], sizes.cumsum()])
        places = torch.from_numpy(np.arange(starts[-1]) - np.repeat(starts[:-1], sizes))
        begin = torch.from_numpy(starts.astype(np.int32))
        where = moved(places, self.device), moved(begin, self.device)
        width = max(lengths) + SPECIAL_TOKENS
        return self.encoder.packed(tokens[0], *where, width, self.attention)[None]


def cast_products(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights of matrix products to `dtype`.

    Autocast would convert them in every forward computation, with the same result. Norms and
    embeddings stay in float32.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.to(dtype)


def residue_rows(
    lengths: Sequence[int],
    special: tuple[int, int] = (1, SPECIAL_TOKENS - 1),
    packed: bool = False,
) -> Tensor:
    """Indices of residues among the tokens of a batch, int64 [sum of lengths].

    `special` is the number of special tokens before and behind the residues. Without `packed`, all
    sequences are padded to the longest.
    """
    sizes = np.array(lengths)
    rows = sizes + sum(special) if packed else np.full_like(sizes, max(lengths) + sum(special))
    # The row of each residue: that of the first one of its sequence, and its number in it.
    first = rows.cumsum() - rows + special[0] - (sizes.cumsum() - sizes)
    return torch.from_numpy(np.repeat(first, sizes) + np.arange(sizes.sum()))


def unpadded(hidden: Tensor, rows: Tensor) -> Tensor:
    """The `rows` of the states [B, T, dim], [n, dim]."""
    return hidden.flatten(0, 1).index_select(0, rows)


def packed_half(hidden: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The `rows` of the states [B, T, dim] as float16 [n, dim], and whether they are finite.

    The latter is bool []. Both stay on the device of `hidden`, so that the CPU does not wait.
    """
    half = unpadded(hidden, rows).half()
    return half, half.isfinite().all()


def fetched(tensor: Tensor) -> Tensor:
    """Copy a tensor of a GPU to pinned memory asynchronously."""
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)
