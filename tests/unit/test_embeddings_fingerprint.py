"""The fingerprint of embeddings depends on the version of the numbers and on the precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from halo.embeddings import embed
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.embed import embed_buckets
from halo.embeddings.layout import description, store_names
from halo.embeddings.packed import PackedEncoder
from halo.embeddings.padded import PaddedEncoder
from halo.embeddings.registry import ESM2, LANGUAGE_MODELS
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.files import read_json, sha256_of_text
from halo.proteins.members import Member

WEIGHTS = Weights("esm2_demo", "esm2_demo.pt", "0" * 64)
SETTINGS = EmbeddingSettings()


# By version and length of the protein: the channels 0, 7 and -1 of the residues 0, 5, 19 and -1, in
# float32 with the demo's language model. Those of the shorter protein are fair-esm's, too.
SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQXBZUO"
KNOWN = {
    1: {
        61: [
            *(-2.24994, -0.55211, -1.3151, 0.16846, 0.305, 0.17447),
            *(0.33917, 0.44473, -0.67255, -2.02445, 0.10092, 1.79036),
        ],
        20: [
            *(-2.48564, -0.65158, -1.09287, 0.1966, 0.08399, 0.15266),
            *(0.50142, 0.56114, -0.01987, 0.50142, 0.56114, -0.01987),
        ],
    },
}


@pytest.mark.parametrize("encoder", ["packed", "padded"])
def test_the_numbers_are_those_of_the_version(root, encoder):
    """If this fails and the change is wanted, raise ESM-2's version and add its values here."""
    model = load_esm2(root / "resources/demo/esm2_demo.pt")
    made = {
        "packed": lambda: PackedEncoder(*model, -1),
        "padded": lambda: PaddedEncoder(*model, -1, "cpu", torch.float32),
    }[encoder]()
    settings = EmbeddingSettings(window=40, overlap=10)
    members = [Member(sha256_of_text(text), (), text) for text in (SEQUENCE, SEQUENCE[:20])]
    found = dict(embed.embed(members, made, settings))
    for one in members:
        rows = found[one.seq_hash]
        values = rows[[0, 5, 19, -1]][:, [0, 7, -1]].ravel()
        known = KNOWN[LANGUAGE_MODELS[ESM2].version][len(one.sequence)]
        np.testing.assert_allclose(values, known, atol=2e-5)


def test_precisions_are_not_mixed(tmp_path, monkeypatch):
    """With ``auto`` a CPU and a GPU fill different stores."""
    used = {}
    for device, dtype in (
        ("cpu", torch.float32),
        ("cuda", torch.bfloat16),
        ("cuda", torch.float16),
    ):
        monkeypatch.setattr(embed, "matrix_dtype", lambda precision, device, found=dtype: found)
        store = embed_buckets({}, tmp_path, WEIGHTS, SETTINGS, device)
        used[dtype] = store.fingerprint
        note = read_json(store.path / "fingerprint.json")
        assert note["precision"] == str(dtype).removeprefix("torch.")
    assert len(set(used.values())) == 3
    assert store_names(WEIGHTS, SETTINGS) == set(used.values())
    assert store_names(WEIGHTS, replace(SETTINGS, precision="bfloat16")) == {used[torch.bfloat16]}
    assert description(WEIGHTS, SETTINGS, "float32") != description(WEIGHTS, SETTINGS, "float16")
