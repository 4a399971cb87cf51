"""``halo check-model``: what a file or folder of a language model is, and whether it is intact."""

import argparse
from pathlib import Path

from halo.cli import given_text
from halo.embeddings.published import PUBLISHED

DESCRIPTION = """\
Check a language model: its files, its weights, and of a published ESM-2, what it computes.

The states of the last layer for a short sequence are compared with those of the published model.
"""
EPILOG = """\
Examples:
  halo check-model esm2_t33_650M_UR50D.pt
  halo check-model facebook/esm2_t33_650M_UR50D       in the cache of Hugging Face
  halo check-model models/esm2/ --name esm2_t12_35M_UR50D
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "model", type=given_text,
        help="file in fair-esm's format, folder in Hugging Face's, or organization/name",
    )  # fmt: skip
    parser.add_argument(
        "--name", choices=PUBLISHED,
        help="the published model that it has to be; default: the one with as many layers",
    )  # fmt: skip


def job(arguments: argparse.Namespace) -> None:
    """Check the model and print what it is; HaloError if it is damaged or not what it has to be."""
    # They load PyTorch: not for --help.
    import torch

    from halo.embeddings.checkpoint import load_esm2
    from halo.embeddings.checkpoint_file import require_checkpoint
    from halo.embeddings.encoder import is_rotary
    from halo.embeddings.find import found_in_cache
    from halo.embeddings.hub import digest_of, model_class_of, model_folder, model_name
    from halo.embeddings.known_states import compare, difference_text, require_known_states
    from halo.embeddings.registry import ESM2, LANGUAGE_MODELS, load_encoder
    from halo.embeddings.weights import Weights

    path = Path(arguments.model)
    path = path if path.exists() else found_in_cache(arguments.model)
    path = model_folder(path) if path.is_dir() else path
    require_checkpoint(path)
    model_class = model_class_of(path)
    if model_class is not None and model_class != ESM2:
        weights = Weights(model_name(path), str(path), digest_of(path), model_class=model_class)
        other = load_encoder(model_class)(weights, -1, "cpu", torch.float32).model
        millions = sum(value.numel() for value in other.parameters()) / 1e6
        shape = f"{other.config.num_hidden_layers} layers, {other.config.hidden_size} channels"
        print(f"{path}: {LANGUAGE_MODELS[model_class].title}: {shape}, {millions:.1f}M")
        print(f"sha256 {weights.sha256}")
        print("no known states to compare it with")
        return
    model, alphabet = load_esm2(path)
    weights = sum(value.numel() for value in model.layers.parameters()) / 1e6
    kind = "ESM-2" if is_rotary(model) else "ESM-1b or ESM-1v"
    print(f"{path}: {kind}, {model.num_layers} layers, {model.embed_dim} channels, {weights:.1f}M")
    digest = digest_of(path)
    published = [name for name, known in PUBLISHED.items() if known.sha256 == digest]
    print(f"sha256 {digest}" + (f", that of the published {published[0]}" if published else ""))
    own = model_name(path).rpartition("/")[2]
    if arguments.name or own in PUBLISHED:
        name = arguments.name or own
        require_known_states(model, alphabet, name, str(path))
    else:
        layers = model.num_layers if is_rotary(model) else 0
        name = next((name for name, known in PUBLISHED.items() if known.layers == layers), "")
    comparison = compare(model, alphabet, name)
    print(difference_text(comparison) if comparison else "no known states to compare it with")
