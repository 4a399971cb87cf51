"""Versions of the numbers that networks read, by which a model knows whether it still fits.

A network predicts nothing sensible from features that are computed in another way than those it was
trained on. A bundle therefore contains these versions. They state what a digest of the code
cannot: whether the numbers are the same although the code was changed.

Raise a version when numbers of that kind change. ``tests/unit/test_content_versions.py`` (of
embeddings, ``test_embeddings_fingerprint.py``) compares them with stored ones, and fails if they
change and the version does not.
"""

from halo.embeddings.registry import ESM2, LANGUAGE_MODELS

CONTENT_VERSIONS = {
    "structures": 1,  # coordinates and pLDDT from a file, and their residues in the sequence
    "embeddings": LANGUAGE_MODELS[ESM2].version,  # states of a language model
    "graphs": 1,  # edges and structural features
    "features": 1,  # inputs of the networks, from a graph and the scales of the amino acids
}


def content_versions(model_class: str) -> dict[str, int]:
    """`CONTENT_VERSIONS` with that of the embeddings by a class of language models."""
    of_class = {} if model_class == ESM2 else {"embeddings": LANGUAGE_MODELS[model_class].version}
    return CONTENT_VERSIONS | of_class
