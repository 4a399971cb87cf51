"""ESM-2 on a CPU in float32, with concatenated sequences instead of padding.

All layers except attention process residues independently. Attention is computed protein by
protein, which is not slower on a CPU and needs no mask.

A batch is divided into parts that fit into the caches. Each part is computed by one thread, so that
threads do not wait for each other after every operation.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from esm.modules import TransformerLayer
from torch import Tensor

from halo.embeddings.attention import attention
from halo.embeddings.encoder import (
    embedded,
    frequencies,
    is_rotary,
    require_window,
    rotation,
    take_layers,
)
from halo.embeddings.onednn import linear
from halo.embeddings.tokens import SPECIAL_TOKENS, Tokenizer

TOKENS = 1024  # per part


@dataclass(frozen=True)
class _Layer:
    """One layer of ESM-2, with a combined projection to query, key and value."""

    attention_norm: torch.nn.Module
    project: Callable[[Tensor], Tensor]
    join: Callable[[Tensor], Tensor]
    norm: torch.nn.Module
    widen: Callable[[Tensor], Tensor]
    narrow: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, module: TransformerLayer) -> "_Layer":
        own = module.self_attn

        def joined(name: str) -> Tensor:
            query, key, value = (
                getattr(part, name) for part in (own.q_proj, own.k_proj, own.v_proj)
            )
            turned = [_in_pairs(part, own.num_heads) for part in (query, key)]
            return torch.cat([*turned, value])

        return cls(
            module.self_attn_layer_norm,
            linear(joined("weight"), joined("bias")),
            linear(own.out_proj.weight, own.out_proj.bias),
            module.final_layer_norm,
            linear(module.fc1.weight, module.fc1.bias, gelu=True),
            linear(module.fc2.weight, module.fc2.bias),
        )


class PackedEncoder:
    """Hidden states of sequences on the CPU, equal to those of `halo.embeddings.encoder`.

    It uses the number of threads of PyTorch; `ahead` batches can be started at a time.

    Args:
        model: the language model, in float32. Its layers are removed one by one, so that they are
            never in memory twice.
        alphabet: its tokens.
        layer: layer of the states, as in `encode`.
    """

    dtype = torch.float32

    def __init__(self, model: ESM2, alphabet: Alphabet, layer: int) -> None:
        self.tokenizer = Tokenizer(alphabet)
        self.model = model
        self.heads = model.attention_heads
        self.frequencies = frequencies(model) if is_rotary(model) else None
        self.layers, self.is_last = take_layers(model, layer, _Layer.of)
        threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self.ahead = 1 + threads // 2  # a batch has several parts

    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """Start a batch.

        The returned function waits for the result: the states of the residues of each sequence,
        float32 [length, dim].
        """
        parts = [self.pool.submit(self._states, part) for part in _parts(sequences)]
        return lambda: [states for part in parts for states in part.result()]

    @torch.inference_mode()
    def _states(self, sequences: Sequence[str]) -> list[Tensor]:
        lengths = [len(text) + SPECIAL_TOKENS for text in sequences]
        tokens = self.tokenizer.packed(sequences)
        # One row: to the embedding layer, a batch without any padding.
        padding = torch.zeros_like(tokens[None], dtype=torch.bool)
        require_window(self.model, max(lengths) - SPECIAL_TOKENS)
        places = torch.cat([torch.arange(length) for length in lengths])
        hidden = embedded(self.model, tokens[None], padding, places)[0]
        turns = None
        if self.frequencies is not None:
            cosines, sines = rotation(self.frequencies, max(lengths), hidden.device)
            half = cosines.shape[1] // 2
            turns = torch.complex(cosines[:, half:], sines[:, half:])[places, None, None]
        for layer in self.layers:
            projected = layer.project(layer.attention_norm(hidden))
            hidden = hidden + layer.join(self._mixed(projected, lengths, turns))
            hidden = hidden + layer.narrow(layer.widen(layer.norm(hidden)))
        if self.is_last:
            hidden = self.model.emb_layer_norm_after(hidden)
        return [part[1:-1] for part in hidden.split(lengths)]

    def _mixed(self, projected: Tensor, lengths: list[int], turns: Tensor | None) -> Tensor:
        """Attention of each sequence to itself; [N, 3 * dim] to [N, dim]."""
        parts = projected.unflatten(1, (3, self.heads, -1))
        if turns is None:
            query, key = parts[:, :2].unbind(1)
        else:
            pairs = torch.view_as_complex(parts[:, :2].unflatten(3, (-1, 2)))
            query, key = torch.view_as_real(pairs * turns).flatten(3).unbind(1)
        mixed = [
            attention(*protein)
            for protein in zip(
                *(part.split(lengths) for part in (query, key, parts[:, 2])), strict=True
            )
        ]
        return torch.cat(mixed).flatten(1)


def _parts(sequences: Sequence[str]) -> Iterator[Sequence[str]]:
    """Consecutive sequences with `TOKENS` in total, or a single longer one."""
    start = tokens = 0
    for position, text in enumerate(sequences):
        if position > start and tokens + len(text) + SPECIAL_TOKENS > TOKENS:
            yield sequences[start:position]
            start, tokens = position, 0
        tokens += len(text) + SPECIAL_TOKENS
    yield sequences[start:]


def _in_pairs(rows: Tensor, heads: int) -> Tensor:
    """Rows of a projection [dim, ...] with channels of each head reordered to adjacent pairs.

    The rotary embedding rotates pairs of channels; ESM-2 pairs channel i with i + half of the head.
    Attention does not depend on the order of channels.
    """
    return rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
