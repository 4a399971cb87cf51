"""ESM-2 on a CPU in float32: sequences one behind another, so that nothing is padding.

All layers but attention work on single residues and do not care where a protein ends. Attention
goes protein by protein: on a CPU that costs nothing, and without padding it needs no mask.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor
from torch.nn import functional

from halo.embeddings.encoder import embedded, rotation
from halo.embeddings.onednn import linear
from halo.embeddings.tokens import SPECIAL_TOKENS, Tokenizer


@dataclass(frozen=True)
class _Layer:
    """One layer of ESM-2; the projections to query, key and value are one."""

    attention_norm: torch.nn.Module
    project: Callable[[Tensor], Tensor]
    join: Callable[[Tensor], Tensor]
    norm: torch.nn.Module
    widen: Callable[[Tensor], Tensor]
    narrow: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, module: torch.nn.Module) -> "_Layer":
        attention = module.self_attn
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        return cls(
            module.self_attn_layer_norm,
            linear(
                torch.cat([part.weight for part in projections]),
                torch.cat([part.bias for part in projections]),
            ),
            linear(attention.out_proj.weight, attention.out_proj.bias),
            module.final_layer_norm,
            linear(module.fc1.weight, module.fc1.bias, gelu=True),
            linear(module.fc2.weight, module.fc2.bias),
        )


class PackedEncoder:
    """Hidden states of sequences with a model on the CPU, as `halo.embeddings.encoder` has them.

    Args:
        model, alphabet: the language model, in float32.
        layer: whose states are wanted, counted as `encode` does.
    """

    @torch.inference_mode()
    def __init__(self, model: ESM2, alphabet: Alphabet, layer: int) -> None:
        self.tokenizer = Tokenizer(alphabet)
        self.model = model
        self.heads = model.attention_heads
        index = layer % (model.num_layers + 1)
        self.layers = [_Layer.of(module) for module in model.layers[:index]]
        self.is_last = index == model.num_layers

    @torch.inference_mode()
    def start(self, sequences: Sequence[str]) -> Callable[[], list[Tensor]]:
        """Compute a batch; the function that comes back gives the states of the residues of each
        sequence, float32 [length, dim]."""
        lengths = [len(text) + SPECIAL_TOKENS for text in sequences]
        tokens = self.tokenizer.packed(sequences)
        # One row: to the embedding layer, a batch without any padding.
        hidden = embedded(self.model, tokens[None], torch.zeros_like(tokens[None], dtype=bool))[0]
        turns = tuple(
            torch.cat([part[:length] for length in lengths])[:, None, None]
            for part in rotation(self.model, max(lengths), hidden.device)
        )
        for layer in self.layers:
            projected = layer.project(layer.attention_norm(hidden))
            hidden = hidden + layer.join(self._mixed(projected, lengths, turns))
            hidden = hidden + layer.narrow(layer.widen(layer.norm(hidden)))
        if self.is_last:
            hidden = self.model.emb_layer_norm_after(hidden)
        states = [part[1:-1] for part in hidden.split(lengths)]
        return lambda: states

    def _mixed(self, projected: Tensor, lengths: list[int], turns: tuple[Tensor, ...]) -> Tensor:
        """Attention of each sequence to itself; [N, 3 * dim] to [N, dim]."""
        parts = projected.unflatten(1, (3, self.heads, -1))
        both, value = parts[:, :2], parts[:, 2]
        cosines, sines = turns
        first, second = both.chunk(2, dim=-1)
        both = torch.addcmul(both * cosines, torch.cat([-second, first], dim=-1), sines)
        query, key = both.unbind(1)
        mixed = [
            functional.scaled_dot_product_attention(
                *(part.transpose(0, 1)[None] for part in protein)
            )[0].transpose(0, 1)
            for protein in zip(*(part.split(lengths) for part in (query, key, value)), strict=True)
        ]
        return torch.cat(mixed).flatten(1)
