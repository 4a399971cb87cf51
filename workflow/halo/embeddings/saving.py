"""Write ESM-2 checkpoints in fairseq's format, for `halo.embeddings.checkpoint` and fair-esm."""

import argparse
from pathlib import Path

import torch
from esm.model.esm2 import ESM2

from halo.files import atomic_path


def save_esm2(model: ESM2, path: Path) -> None:
    """Write a checkpoint in fair-esm's format: float16 weights under fairseq's names."""
    architecture = argparse.Namespace(
        encoder_layers=model.num_layers,
        encoder_embed_dim=model.embed_dim,
        encoder_ffn_embed_dim=4 * model.embed_dim,
        encoder_attention_heads=model.attention_heads,
        token_dropout=model.token_dropout,
    )
    weights = {}
    for name, value in model.state_dict().items():
        if name.startswith("contact_head."):
            continue  # fair-esm keeps it in a file of its own
        prefix = "encoder." if name.startswith("lm_head.") else "encoder.sentence_encoder."
        constant = name.endswith("inv_freq")  # computed, not learned: left exact
        weights[prefix + name] = value.cpu().clone() if constant else value.cpu().half()
    with atomic_path(path) as temporary:
        torch.save({"cfg": {"model": architecture}, "model": weights}, temporary)
