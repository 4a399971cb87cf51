"""Loading fair-esm's ESM-2 checkpoints as what they are: untrusted bytes."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.errors import HaloError

PREFIXES = ("encoder.sentence_encoder.", "encoder.")
CONTACT_HEAD = "contact_head."


def load_esm2(path: Path) -> tuple[ESM2, Alphabet]:
    """Load an ESM-2 checkpoint in fair-esm's format, in float32 and in eval mode.

    The architecture is read from the checkpoint itself, so the file may have any name,
    and no contact-regression file is needed (nothing here predicts contacts). Only
    tensors and the configuration are unpickled (``weights_only``). HaloError where the
    file is missing, truncated, or no ESM-2 checkpoint.
    """
    path = Path(path)
    content = _unpickle(path)
    try:
        config = content["cfg"]["model"]
        shape = (config.encoder_layers, config.encoder_embed_dim, config.encoder_attention_heads)
        token_dropout = config.token_dropout
        state = {_module_name(name): value.float() for name, value in content["model"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise HaloError(
            f"{path}: no ESM-2 checkpoint in fair-esm's format ({error} is missing); HALO reads "
            "esm2_t6_8M to esm2_t36_3B"
        ) from None
    alphabet = Alphabet.from_architecture("ESM-1b")  # ESM-2 uses the alphabet of ESM-1b
    layers, dimension, heads = shape
    model = ESM2(layers, dimension, heads, alphabet, token_dropout)
    # Contacts are not predicted here, and their regression is in a file of its own.
    state = {k: v for k, v in state.items() if not k.startswith(CONTACT_HEAD)}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.startswith(CONTACT_HEAD)]
        fault = f"such as {(missing + unexpected)[0]}" if missing or unexpected else ""
    except RuntimeError as error:
        fault = str(error).splitlines()[1].strip()
    if fault:
        raise HaloError(
            f"{path}: the weights do not fit the architecture that the file names ({fault}); "
            "download the checkpoint again"
        )
    return model.eval(), alphabet


def _unpickle(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise HaloError(f"{path}: there is no such checkpoint") from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise HaloError(
            f"{path}: the file is truncated or no PyTorch checkpoint; download it again ({error})"
        ) from None
    except pickle.UnpicklingError as error:
        raise HaloError(
            f"{path}: refused, because it holds more than weights and their configuration "
            f"({str(error).splitlines()[0]})"
        ) from None
    if not isinstance(content, dict):
        raise HaloError(f"{path}: no ESM-2 checkpoint, it holds a {type(content).__name__}")
    return content


def _module_name(name: str) -> str:
    """Name of a parameter in `ESM2`, given its name in a checkpoint of fairseq."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name
