"""The layers of ESM-2 for inference with few operations, for GPUs and 16-bit precision.

They compute what `halo.embeddings.encoder` computes under autocast, where a GPU spends more time on
small operations than on matrix products: the input of a layer is converted once for each of three
projections, and the rotary positions and the mask are converted again in every layer.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from esm.model.esm2 import ESM2
from esm.modules import TransformerLayer
from torch import Tensor, nn
from torch.nn import functional

from halo.device import has_bfloat16
from halo.embeddings.encoder import (
    embedded,
    frequencies,
    is_rotary,
    require_window,
    rotated,
    rotation,
    take_layers,
)
from halo.embeddings.tokens import SPECIAL_TOKENS

log = logging.getLogger(__name__)

HEAD_MULTIPLE = 8  # channels of a head, for attention to concatenated sequences
ALIGNMENT = 16  # elements; a mask with other strides is copied in every layer

# Attention of query, key and value, each [B, T, heads, head_dim].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class FusedEncoder:
    """Hidden states of one layer by a model whose layers are fused.

    Args:
        model: the language model, on its device. Its layers are removed one by one, so that their
            weights are not in memory twice.
        layer: layer of the states, as in `halo.embeddings.encoder.encode`.
        dtype: dtype of the matrix products; the states between them are float32.
    """

    def __init__(self, model: ESM2, layer: int, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.frequencies = frequencies(model) if is_rotary(model) else None
        self.layers, self.is_last = take_layers(
            model, layer, lambda module: FusedLayer.of(module, dtype)
        )

    def padded(self, tokens: Tensor, has_padding: bool) -> Tensor:
        """Hidden states, float32 [B, T, dim], of sequences that are padded at the end.

        `tokens` are int64 [B, T]; without `has_padding`, none is padding.
        """
        padding = tokens.eq(self.model.padding_idx)
        width = tokens.shape[1]
        places = torch.arange(width, device=tokens.device)
        mask = additive_mask(padding, self.dtype) if has_padding else None

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            query, key, value = (part.transpose(1, 2) for part in (query, key, value))
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            return mixed.transpose(1, 2)

        return self._states(tokens, padding, places, width, attend)

    def packed(
        self,
        tokens: Tensor,
        places: Tensor,
        starts: Tensor,
        width: int,
        attention: Callable[..., Any],
    ) -> Tensor:
        """Hidden states, float32 [N, dim], of concatenated sequences, on a GPU.

        Parameters
        ----------
        tokens, places : int64 [N], and the number of each token in its sequence
        starts : int32 [sequences + 1], the first token of each, and N
        width : number of tokens of the longest sequence
        attention : see `packed_attention`
        """

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            mixed = attention(query[0], key[0], value[0], starts, starts, width, width)
            return mixed[None]

        one = tokens[None]
        padding = torch.zeros_like(one, dtype=torch.bool)
        return self._states(one, padding, places, width, attend)[0]

    def _states(
        self, tokens: Tensor, padding: Tensor, places: Tensor, width: int, attend: Attend
    ) -> Tensor:
        model = self.model
        require_window(model, width - SPECIAL_TOKENS)
        hidden = embedded(model, tokens, padding, places)
        turns = None
        if self.frequencies is not None:
            rows = rotation(self.frequencies, width, tokens.device)
            turns = tuple(part.to(self.dtype)[places, None, None] for part in rows)
        for layer in self.layers:
            hidden = layer(hidden, turns, attend)
        return model.emb_layer_norm_after(hidden) if self.is_last else hidden


def packed_attention(model: ESM2, device: str, dtype: torch.dtype) -> Callable[..., Any] | None:
    """PyTorch's attention to concatenated sequences; None if it has none for this device and dtype.

    What a build of PyTorch supports is not documented, so it is tried with a few zeros.
    """
    width = model.embed_dim // model.attention_heads
    if device == "cpu" or dtype == torch.float32 or width % HEAD_MULTIPLE:
        return None
    if not has_bfloat16(device):
        return None
    try:
        # Since PyTorch 2.10. The import takes a second and 140 MB.
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    states = torch.zeros(2, model.attention_heads, width, dtype=dtype, device=device)
    starts = torch.zeros(2, dtype=torch.int32, device=device)
    starts[1] = len(states)
    try:
        varlen_attn(states, states, states, starts, starts, len(states), len(states))
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        log.info("no attention to concatenated sequences here, they are padded: %s", reason)
        return None
    return varlen_attn


@dataclass(frozen=True)
class FusedLayer:
    """One layer of ESM-2, with a combined projection to query, key and value."""

    attention_norm: nn.Module
    project: tuple[Tensor, Tensor]  # weight and bias
    join: tuple[Tensor, Tensor]
    norm: nn.Module
    widen: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    heads: int
    dtype: torch.dtype

    @classmethod
    def of(cls, module: TransformerLayer, dtype: torch.dtype) -> "FusedLayer":
        """The layer with the weights of `module`, in `dtype`."""
        own = module.self_attn
        projections = own.q_proj, own.k_proj, own.v_proj

        def joined(*modules: nn.Module) -> tuple[Tensor, Tensor]:
            weight, bias = (
                torch.cat([getattr(part, name).to(dtype) for part in modules])
                for name in ("weight", "bias")
            )
            return weight, bias

        return cls(
            module.self_attn_layer_norm,
            joined(*projections),
            joined(own.out_proj),
            module.final_layer_norm,
            joined(module.fc1),
            joined(module.fc2),
            own.num_heads,
            dtype,
        )

    def __call__(self, hidden: Tensor, turns: tuple[Tensor, ...] | None, attend: Attend) -> Tensor:
        """States [B, T, dim] after the layer; `turns` are the arguments of `rotated`."""
        normed = self.attention_norm(hidden).to(self.dtype)
        projected = functional.linear(normed, *self.project).unflatten(2, (3, self.heads, -1))
        query_and_key, value = projected[:, :, :2], projected[:, :, 2]
        if turns is not None:
            query_and_key = rotated(query_and_key, *turns)
        query, key = query_and_key.unbind(2)
        hidden = hidden + functional.linear(attend(query, key, value).flatten(2), *self.join)
        wide = functional.linear(self.norm(hidden).to(self.dtype), *self.widen)
        return hidden + functional.linear(functional.gelu(wide), *self.narrow)


def additive_mask(padding: Tensor, dtype: torch.dtype) -> Tensor:
    """0 for tokens and -inf for padding, [B, 1, 1, T] of `padding` bool [B, T].

    The rows are `ALIGNMENT` elements apart or a multiple of it.
    """
    rows, width = padding.shape
    aligned = -(-width // ALIGNMENT) * ALIGNMENT
    mask = torch.zeros((rows, 1, 1, aligned), dtype=dtype, device=padding.device)
    mask[..., :width].masked_fill_(padding[:, None, None, :], -torch.inf)
    return mask[..., :width]
