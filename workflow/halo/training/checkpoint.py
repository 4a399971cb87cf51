"""A trained network on disk: ``model.safetensors`` and ``model.json``, no pickle."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from halo import __version__
from halo.errors import HaloError
from halo.files import read_json, write_json
from halo.network.classes import NETWORKS
from halo.network.model import NetworkSettings
from halo.tensors import require_readable, save_tensors

FORMAT = 3  # 3: buffers of the standardization are called `standardize.mean` and `.std`
LARGEST = 1 << 14  # width or number of layers of a network; ESM-2's largest width is 5,120


def save_model(
    folder: Path,
    network: nn.Module,
    embedding_dim: int,
    description: dict[str, Any],
) -> None:
    """Write the weights and what is needed to build the network and to use it.

    `description` holds at least the network's ``class``, its settings as ``network``, and the
    ``labels``.
    """
    save_tensors(Path(folder) / "model.safetensors", network.state_dict())
    content = {
        "format": FORMAT,
        "halo": __version__,
        "embedding_dim": embedding_dim,
        **description,
    }
    write_json(Path(folder) / "model.json", content)


def load_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a network in eval mode, and its ``model.json``.

    HaloError where the folder holds anything else than a network of this format.
    """
    folder = Path(folder)
    description = read_json(folder / "model.json")
    known = isinstance(description, dict) and description.get("format") == FORMAT
    if not known or str(description.get("class")) not in NETWORKS or "network" not in description:
        raise HaloError(
            f"{folder}/model.json: not a HALO network of format {FORMAT}; train it again with this "
            "version"
        )
    try:
        network = _built(description)
    # What a constructor raises at sizes that are none has no common kind.
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise HaloError(
            f"{folder}/model.json: damaged, no network can be made of it "
            f"({type(error).__name__}: {error}); train it again"
        ) from None
    require_readable(folder / "model.safetensors")
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise HaloError(
            f"{folder}/model.safetensors: damaged, or not the weights of model.json ({error})"
        ) from None
    return network.eval(), description


def _built(description: dict[str, Any]) -> nn.Module:
    """The network of a ``model.json``, with weights that are still to be read."""
    settings = NetworkSettings(**description["network"])
    labels, width = description["labels"], description["embedding_dim"]
    if not (isinstance(labels, list) and labels and all(isinstance(name, str) for name in labels)):
        raise TypeError("labels is not a list of names")
    sizes = [width, settings.hidden, settings.layers, settings.heads, settings.pooling_heads]
    if any(type(size) is not int or not 0 < size <= LARGEST for size in sizes):
        raise ValueError(f"the sizes {sizes} are not between 1 and {LARGEST:,}")
    return NETWORKS[description["class"]](width, len(labels), settings)


def parameter_count(network: nn.Module) -> int:
    """Number of learnable numbers."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
