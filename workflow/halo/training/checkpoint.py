"""Save and load a trained network: ``model.safetensors`` and ``model.json``, without pickle."""

from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from halo.errors import HaloError
from halo.model_description import ModelDescription, read_description
from halo.network.classes import NETWORKS
from halo.tensors import load_finite, require_readable, save_tensors

LARGEST = 1 << 14  # width or number of layers of a network; ESM-2's largest width is 5,120


def save_weights(folder: Path, network: nn.Module) -> None:
    """Write ``model.safetensors``, beside which `load_model` reads ``model.json``."""
    save_tensors(Path(folder) / "model.safetensors", network.state_dict())


def load_model(folder: Path) -> tuple[nn.Module, ModelDescription]:
    """Read a network in eval mode, and its ``model.json``.

    HaloError if the folder holds anything else than a network of this format, or weights that are
    not finite.
    """
    folder = Path(folder)
    description = read_description(folder)
    try:
        network = _built(description)
    # Constructors raise exceptions of many types for wrong sizes.
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise HaloError(
            f"{folder}/model.json: damaged, no network can be built from it "
            f"({type(error).__name__}: {error}); train it again"
        ) from None
    require_readable(folder / "model.safetensors")
    try:
        network.load_state_dict(load_finite(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise HaloError(
            f"{folder}/model.safetensors: damaged, or not the weights of model.json ({error})"
        ) from None
    return network.eval(), description


def _built(description: ModelDescription) -> nn.Module:
    """The network of a ``model.json``, with random weights."""
    settings, width = description.network, description.embedding_dim
    if description.method_class not in NETWORKS or settings is None or width is None:
        raise ValueError(f"{description.method_class} is no network, or has no shape")
    sizes = [width, settings.hidden, settings.layers, settings.heads, settings.pooling_heads]
    if any(not 0 < size <= LARGEST for size in sizes):
        raise ValueError(f"the sizes {sizes} are not between 1 and {LARGEST:,}")
    kinds = {} if description.regions is None else {"n_kinds": len(description.regions.kinds)}
    return NETWORKS[description.method_class](width, len(description.labels), settings, **kinds)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
