"""Read ESM-2, ESM-1b and ESM-1v in the format of Hugging Face's transformers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from halo.embeddings.architecture import Architecture
from halo.embeddings.hub import CONFIG, weight_files
from halo.errors import HaloError

# Names of transformers' parameters (left) and of fair-esm's, below the prefix of the model.
_LAYER = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.self.rotary_embeddings": "self_attn.rot_emb",
    "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}
_OTHER = {
    "embeddings.word_embeddings": "embed_tokens",
    "embeddings.position_embeddings": "embed_positions",
    "embeddings.layer_norm": "emb_layer_norm_before",
    "encoder.emb_layer_norm_after": "emb_layer_norm_after",
    "lm_head.dense": "lm_head.dense",
    "lm_head.layer_norm": "lm_head.layer_norm",
    "lm_head.decoder": "lm_head",
}
# Names of norms that transformers 5 writes.
_OLD_KINDS = {".gamma": ".weight", ".beta": ".bias"}
_UNUSED = ("contact_head.", "pooler.", "embeddings.position_ids")
# Transformers 5 writes constants once for all layers, by the number *.
_IN_LAYER = re.compile(r"encoder\.layer\.(\d+|\*)\.(.+)\.(\w+)")
# What a configuration has to say for the numbers to be those of fair-esm's modules.
_EXPECTED = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
    "vocab_size": 33,
}


def read_folder(folder: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Architecture and weights, by the names of fair-esm's modules.

    Raises
    ------
    HaloError
        if a file is missing or damaged, or the model is another one
    """
    folder = Path(folder)
    architecture = _architecture(folder / CONFIG)
    weights: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118  # it is no mapping
                    for own in _own_names(name, architecture.layers):
                        weights[own] = tensors.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise HaloError(f"{file}: truncated or damaged ({error}); download it again") from None
    if "embed_tokens.weight" in weights:  # the weights of the output layer are the same ones
        weights["lm_head.weight"] = weights["embed_tokens.weight"]
        for own, shape in _output_layer(architecture.dim):
            weights.setdefault(own, torch.zeros(shape))  # of a model without it; HALO has no use
    return architecture, weights


def _own_names(name: str, layers: int) -> Iterator[str]:
    """The names of a parameter of fair-esm, if it has that: one, or one of each of the `layers`."""
    name = name.removeprefix("esm.")
    if name.startswith(_UNUSED):
        return
    for old, new in _OLD_KINDS.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    if match := _IN_LAYER.fullmatch(name):
        number, module, kind = match.groups()
        for each in map(str, range(layers)) if number == "*" else (number,):
            yield f"layers.{each}.{_LAYER.get(module, module)}.{kind}"
        return
    module, _, kind = name.rpartition(".")
    yield f"{_OTHER.get(module, module)}.{kind}"


def _output_layer(dim: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "lm_head.bias", (33,)
    yield "lm_head.dense.weight", (dim, dim)
    for name in ("dense.bias", "layer_norm.weight", "layer_norm.bias"):
        yield f"lm_head.{name}", (dim,)


def _architecture(file: Path) -> Architecture:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for key, value in _EXPECTED.items():
            if config.get(key, value) != value:
                raise HaloError(
                    f"{file}: {key} is {config[key]!r}, and HALO reads models with {value!r}; this "
                    "is another model than ESM-2, ESM-1b and ESM-1v"
                )
        positions = {"rotary": None, "absolute": config.get("max_position_embeddings", 1026)}
        if config["intermediate_size"] != 4 * config["hidden_size"]:
            raise HaloError(f"{file}: intermediate_size is not four times hidden_size")
        return Architecture(
            int(config["num_hidden_layers"]),
            int(config["hidden_size"]),
            int(config["num_attention_heads"]),
            bool(config.get("token_dropout", False)),
            positions[config.get("position_embedding_type", "absolute")],
            bool(config.get("emb_layer_norm_before")),
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise HaloError(f"{file}: damaged, or of no ESM-2 ({error!r}); download it again") from None
