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

FORMAT = 2  # 2: whether the pLDDT is known is an input


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
    known = description.get("format") == FORMAT and description.get("class") in NETWORKS
    if not known or "network" not in description:
        raise HaloError(
            f"{folder}/model.json: not a HALO network of format {FORMAT}; train it again with this "
            "version"
        )
    settings = NetworkSettings(**description["network"])
    build = NETWORKS[description["class"]]
    network = build(description["embedding_dim"], len(description["labels"]), settings)
    require_readable(folder / "model.safetensors")
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise HaloError(
            f"{folder}/model.safetensors: damaged, or not the weights of model.json ({error})"
        ) from None
    return network.eval(), description


def parameter_count(network: nn.Module) -> int:
    """Number of learnable numbers."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
