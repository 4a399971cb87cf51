"""Forward computation of fair-esm's ESM-2 with torch's scaled dot-product attention.

fair-esm's attention computes the full matrix of weights, and its forward computation ends with the
logits of all tokens. Embeddings and fine-tuning need neither. The modules and weights are those of
fair-esm.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from esm.model.esm2 import ESM2
from esm.modules import TransformerLayer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from halo.embeddings.tokens import SPECIAL_TOKENS
from halo.errors import HaloError

Layer = TypeVar("Layer")

MASKED_IN_TRAINING = 0.15 * 0.8  # fraction of <mask> tokens in the training of ESM-2


def encode(
    model: ESM2,
    tokens: Tensor,
    layer: int = -1,
    checkpointing: bool = False,
    padded: bool = True,
) -> Tensor:
    """Hidden states of one layer.

    Parameters
    ----------
    model : on the device of `tokens`
    tokens : int64 [B, T], padded at the end with ``model.padding_idx``
    layer : 0 for the tokens' own embeddings, n for the states after the n-th layer; negative
        counts from the last, whose states are normalized as ESM-2's own output is
    checkpointing : compute each layer again in the backward pass instead of keeping its states
    padded : False where no token is padding: attention is faster without a mask

    Returns
    -------
    [B, T, dim], in the dtype of autocast or of the weights; at padding the values mean nothing
    """
    index = layer % (model.num_layers + 1)
    padding = tokens.eq(model.padding_idx)
    require_window(model, tokens.shape[1] - SPECIAL_TOKENS)
    places = torch.arange(tokens.shape[1], device=tokens.device)
    hidden = embedded(model, tokens, padding, places)
    # Whether there is padding is not asked of `tokens`: the CPU would wait for the GPU.
    mask = ~padding[:, None, None, :] if padded else None
    turns = None
    if index and is_rotary(model):
        turns = rotation(frequencies(model), tokens.shape[1], hidden.device)
    for module in model.layers[:index]:
        if checkpointing:
            hidden = checkpoint(_layer, module, hidden, turns, mask, use_reentrant=False)
        else:
            hidden = _layer(module, hidden, turns, mask)
    return model.emb_layer_norm_after(hidden) if index == model.num_layers else hidden


def embedded(model: ESM2, tokens: Tensor, padding: Tensor, places: Tensor) -> Tensor:
    """Token embeddings, [B, T, dim], scaled for the fraction of <mask> tokens.

    `places` is the number of each token in its sequence, int64 [T] or [B, T]; it is used by models
    with learned positions (ESM-1b, ESM-1v).
    """
    hidden = model.embed_scale * model.embed_tokens(tokens)
    if model.token_dropout:
        masked = tokens.eq(model.mask_idx)
        hidden = hidden.masked_fill(masked[:, :, None], 0.0)
        share = masked.sum(dim=1) / (~padding).sum(dim=1)
        hidden = hidden * ((1 - MASKED_IN_TRAINING) / (1 - share))[:, None, None].to(hidden.dtype)
    if not is_rotary(model):
        hidden = hidden + model.embed_positions(places + model.padding_idx + 1)
        hidden = model.emb_layer_norm_before(hidden)
    return hidden.masked_fill(padding[:, :, None], 0.0)


def take_layers(
    model: ESM2, layer: int, convert: Callable[[TransformerLayer], Layer]
) -> tuple[list[Layer], bool]:
    """The converted layers up to `layer` (as in `encode`), and whether that is the last one.

    Each is removed from the model when it is converted, so that weights are not in memory twice.
    """
    index = layer % (model.num_layers + 1)
    layers = []
    with torch.inference_mode():
        for number in range(index):
            layers.append(convert(model.layers[number]))
            model.layers[number] = nn.Identity()
    model.layers = nn.ModuleList()
    return layers, index == model.num_layers


def is_rotary(model: ESM2) -> bool:
    """Whether the positions are rotary (ESM-2) and not learned (ESM-1b, ESM-1v)."""
    return not hasattr(model, "embed_positions")


def require_window(model: ESM2, residues: int) -> None:
    """Raise a HaloError if the model has no positions for windows of so many residues."""
    if is_rotary(model):
        return
    most = model.embed_positions.num_embeddings - (model.padding_idx + 1) - SPECIAL_TOKENS
    if residues > most:
        raise HaloError(
            f"embeddings.window: {residues}, but this language model has positions for {most} "
            "residues; lower it"
        )


def _layer(
    module: TransformerLayer,
    hidden: Tensor,
    turns: tuple[Tensor, Tensor] | None,
    mask: Tensor | None,
) -> Tensor:
    attention = module.self_attn
    normed = module.self_attn_layer_norm(hidden)
    query, key, value = (
        project(normed).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = functional.scaled_dot_product_attention(
        _rotated(query, turns), _rotated(key, turns), value, attn_mask=mask
    )
    hidden = hidden + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    return hidden + module.fc2(functional.gelu(module.fc1(module.final_layer_norm(hidden))))


def frequencies(model: ESM2) -> Tensor:
    """Frequencies of the rotary positions, float32 [head_dim / 2] (Su et al. 2021)."""
    return model.layers[0].self_attn.rot_emb.inv_freq.float()


def rotation(frequencies: Tensor, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Factors of the first `length` rotary positions for `rotated`, float32 [length, head_dim].

    They are the cosines of the angles, and the sines, negative for the first half of the channels.
    """
    angles = torch.outer(torch.arange(length, device=device).float(), frequencies)
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat([cosines, cosines], dim=1), torch.cat([-sines, sines], dim=1)


def rotated(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """States [..., head_dim] with rotary positions (Su et al. 2021).

    ESM-2 pairs channel i of a head with i + half of the head. The factors are those of `rotation`,
    in the dtype of the states.
    """
    swapped = states.roll(states.shape[-1] // 2, dims=-1)
    return torch.addcmul(states * cosines, swapped, sines)


def _rotated(states: Tensor, turns: tuple[Tensor, Tensor] | None) -> Tensor:
    if turns is None:  # of learned positions
        return states
    cosines, sines = (part.to(states.dtype) for part in turns)
    return rotated(states, cosines, sines)
