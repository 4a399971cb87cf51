"""Trainable parameters of the language model: low-rank adapters or its last layers.

The adapters are those of LoRA (Hu et al. 2021, arXiv 2106.09685), implemented as a torch
parametrization of the weights that they change, which torch can also merge. The package peft would
add transformers and accelerate to the environment.
"""

import math

import torch
from esm.model.esm2 import ESM2
from torch import Tensor, nn
from torch.nn.utils import parametrize

from halo.embeddings.settings import AdapterSettings

# Linear modules of a layer of fair-esm's ESM-2, by their names in the configuration.
PROJECTIONS = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.out_proj",
    "up": "fc1",
    "down": "fc2",
}


class LowRank(nn.Module):
    r"""A weight with a low-rank update, :math:`W + \frac{\alpha}{r} U D`.

    :math:`U` is initialized with zeros, so that the model is unchanged at first.

    Shapes:
        - **input, output:** :math:`(out, in)`; :math:`U: (out, r)`, :math:`D: (r, in)`
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))
        self.down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """The updated weight, in float32 even within autocast, like that of `merge`."""
        # Weights on the device "meta" have shapes only, and autocast does not support it.
        device = "cpu" if weight.is_meta else weight.device.type
        with torch.autocast(device, enabled=False):
            return weight + self.scale * (self.up @ self.down)


def adapt(model: ESM2, settings: AdapterSettings) -> dict[str, nn.Parameter]:
    """Freeze `model` but for what is trained, and return that by name.

    The layers behind the one whose states are used have no part in the result and stay as they
    are.
    """
    model.requires_grad_(False)
    index = settings.layer % (model.num_layers + 1)
    layers = model.layers[:index]
    if settings.method == "lora":
        for module in layers:
            for name in settings.projections:
                linear = module.get_submodule(PROJECTIONS[name])
                adapter = LowRank(linear.weight, settings.rank, settings.alpha)
                parametrize.register_parametrization(linear, "weight", adapter)
    elif settings.last_layers:
        layers[-settings.last_layers :].requires_grad_(True)
        model.emb_layer_norm_after.requires_grad_(index == model.num_layers)
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def merge(model: ESM2) -> ESM2:
    """Merge the adapters into the weights, which makes the model an ordinary one again."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return model.requires_grad_(False)
