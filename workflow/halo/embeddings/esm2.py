"""Build ESM-2 from the content of a checkpoint in fair-esm's format."""

from typing import Any

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch.overrides import TorchFunctionMode

PREFIXES = ("encoder.sentence_encoder.", "encoder.")
CONTACT_HEAD = "contact_head."


def build_esm2(content: dict[str, Any]) -> tuple[ESM2, Alphabet]:
    """The model, float32 on the CPU and in eval mode, and its alphabet.

    The tensors of ``content["model"]`` become parameters of the model, and the mapping is emptied:
    tensors of another dtype are converted one by one, so that weights are never in memory twice.
    The contact head, which is not used, is zero.

    Raises
    ------
    KeyError, TypeError, AttributeError
        if the architecture is missing or wrong
    ValueError
        if the weights do not fit the architecture, or are NaN or infinite
    """
    config = content["cfg"]["model"]
    shape = (config.encoder_layers, config.encoder_embed_dim, config.encoder_attention_heads)
    alphabet = Alphabet.from_architecture("ESM-1b")  # ESM-2 uses the alphabet of ESM-1b
    with _NoFirstWeights():
        model = ESM2(*shape, alphabet, config.token_dropout)
    try:
        missing, unexpected = model.load_state_dict(
            _state(content["model"]), strict=False, assign=True
        )
    except RuntimeError as error:
        raise ValueError(_misfit(str(error).splitlines()[1].strip())) from None
    missing = [name for name in missing if not name.startswith(CONTACT_HEAD)]
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
