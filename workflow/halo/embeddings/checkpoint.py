"""Load ESM-2, ESM-1b and ESM-1v safely, without running code from their files."""

import argparse
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from esm import Alphabet
from esm.model.esm2 import ESM2

from halo.embeddings.checkpoint_file import REPLACE, require_checkpoint
from halo.embeddings.esm2 import build_esm2, fair_esm_architecture
from halo.embeddings.hub import model_class_of
from halo.embeddings.hugging_face import read_folder
from halo.embeddings.registry import ESM2 as ESM2_CLASS
from halo.errors import HaloError

# Part of PyTorch's message when it refuses an object.
REFUSED = re.compile(r"GLOBAL ([\w.]+)")


def load_esm2(path: Path) -> tuple[ESM2, Alphabet]:
    """Load a checkpoint in fair-esm's format or a folder in Hugging Face's, in eval mode.

    The model is in float32. The architecture is read from the checkpoint, so the file can have any
    name, and no contact-regression file is needed. Only tensors and the configuration are
    unpickled (``weights_only``). Weights are in memory only once.

    Raises
    ------
    HaloError
        if the file is missing, damaged, another model, or has weights that are NaN or infinite
    """
    path = Path(path)
    require_checkpoint(path)
    if path.is_dir():
        if model_class_of(path) != ESM2_CLASS:
            raise HaloError(f"{path}: not ESM-2, ESM-1b or ESM-1v, which this needs")
        try:
            return build_esm2(*read_folder(path))
        except ValueError as error:
            raise HaloError(f"{path}: {error}; download the model again") from None
    content = _unpickle(path)
    try:
        return build_esm2(fair_esm_architecture(content), content["model"])
    except (KeyError, TypeError, AttributeError) as error:
        raise HaloError(
            f"{path}: no ESM-2 checkpoint in fair-esm's format ({error} is missing); {REPLACE}"
        ) from None
    except ValueError as error:
        raise HaloError(f"{path}: {error}; download the checkpoint again") from None


def _unpickle(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = REFUSED.search(str(error))
        what = f"{refused[1]} is not loaded" if refused else "the rest is not loaded"
        raise HaloError(
            f"{path}: refused, because it holds more than weights and their configuration, and "
            f"loading that can run a program ({what}); {REPLACE}"
        ) from None
    except Exception as error:  # PyTorch raises exceptions of many types for damaged files
        raise HaloError(
            f"{path}: the file is damaged or no PyTorch checkpoint; download it again "
            f"({next(iter(str(error).splitlines()), type(error).__name__)})"
        ) from None
    if not isinstance(content, dict):
        raise HaloError(
            f"{path}: no ESM-2 checkpoint, it holds a {type(content).__name__}; {REPLACE}"
        )
    return content
