"""Build ESM-2, ESM-1b and ESM-1v from the modules of fair-esm."""

from typing import Any

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from esm.modules import ESM1bLayerNorm
from torch import nn
from torch.overrides import TorchFunctionMode

from halo.embeddings.architecture import Architecture

PREFIXES = ("encoder.sentence_encoder.", "encoder.")
CONTACT_HEAD = "contact_head."
CONSTANT = "rot_emb.inv_freq"  # computed, not learned; not in every file


class ESM1b(ESM2):
    """ESM-1b or ESM-1v: the modules of ESM-2 with learned positions in place of rotary ones."""

    def __init__(self, architecture: Architecture, alphabet: Alphabet) -> None:
        shape = (architecture.layers, architecture.dim, architecture.heads)
        super().__init__(*shape, alphabet, architecture.token_dropout)
        assert architecture.positions is not None
        for layer in self.layers:
            layer.self_attn.rot_emb = None
        self.embed_positions = nn.Embedding(
            architecture.positions, architecture.dim, self.padding_idx
        )
        norm = ESM1bLayerNorm(architecture.dim) if architecture.norm_before else nn.Identity()
        self.emb_layer_norm_before = norm


def fair_esm_architecture(content: dict[str, Any]) -> Architecture:
    """The architecture of a checkpoint in fair-esm's format.

    Raises
    ------
    KeyError, TypeError, AttributeError
        if it is missing
    ValueError
        if it is another model
    """
    if "cfg" in content:
        config = content["cfg"]["model"]
        return Architecture(
            config.encoder_layers,
            config.encoder_embed_dim,
            config.encoder_attention_heads,
            config.token_dropout,
        )
    config = {name.removeprefix("encoder_"): value for name, value in vars(content["args"]).items()}
    if config["arch"] != "roberta_large":
        raise ValueError(f"the architecture {config['arch']} is none of ESM-2, ESM-1b and ESM-1v")
    prefix = "encoder.sentence_encoder."
    return Architecture(
        config["layers"],
        config["embed_dim"],
        config["attention_heads"],
        config.get("token_dropout", False),
        content["model"][f"{prefix}embed_positions.weight"].shape[0],
        f"{prefix}emb_layer_norm_before.weight" in content["model"],
    )


def build_esm2(
    architecture: Architecture, weights: dict[str, torch.Tensor]
) -> tuple[ESM2, Alphabet]:
    """The model, float32 on the CPU and in eval mode, and its alphabet.

    The tensors of `weights` become parameters of the model, and the mapping is emptied: tensors
    of another dtype are converted one by one, so that weights are never in memory twice.
    The contact head, which is not used, is zero.

    Raises
    ------
    ValueError
        if the weights do not fit the architecture, or are NaN or infinite
    """
    if architecture.heads < 1 or architecture.dim % architecture.heads:
        raise ValueError(_misfit(f"{architecture.heads} heads for a width of {architecture.dim}"))
    alphabet = Alphabet.from_architecture("ESM-1b")  # ESM-2 uses the alphabet of ESM-1b
    shape = (architecture.layers, architecture.dim, architecture.heads)
    with _NoFirstWeights():
        model = (
            ESM2(*shape, alphabet, architecture.token_dropout)
            if architecture.positions is None
            else ESM1b(architecture, alphabet)
        )
    state = _state(weights)
    try:
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:  # a line for each parameter that does not fit, after the first
        raise ValueError(_misfit(str(error).splitlines()[1].strip())) from None
    missing = [name for name in missing if not name.startswith(CONTACT_HEAD)]
    missing = [name for name in missing if not name.endswith(CONSTANT)]
    if missing or unexpected:
        raise ValueError(_misfit(f"such as {(missing + unexpected)[0]}"))
    for value in model.contact_head.parameters():
        torch.nn.init.zeros_(value)
    return model.eval(), alphabet


class _NoFirstWeights(TorchFunctionMode):
    """Skips the random initialization of weights, which are replaced anyway.

    Memory that is not written to is not allocated. (The device "meta" serves this purpose too, but
    its first use imports PyTorch's compiler, which takes longer than embedding a protein with a
    small model.)
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (torch.Tensor.uniform_, torch.Tensor.normal_):
            return args[0]
        if getattr(function, "__module__", None) == torch.nn.init.__name__:
            return kwargs["tensor"]
        return function(*args, **kwargs)


def _state(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights by the names of `ESM2`, in float32; `weights` is empty afterwards."""
    state = {}
    for key in list(weights):
        name, value = key, weights.pop(key).float()
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if name.startswith(CONTACT_HEAD):
            continue  # fair-esm keeps it in a file of its own
        bad = value.numel() - int(value.isfinite().sum())
        if bad:
            raise ValueError(f"{bad:,} of the {value.numel():,} values of {name} are no numbers")
        state[name] = value
    return state


def _misfit(fault: str) -> str:
    return f"the weights do not fit the architecture that the file names ({fault})"
