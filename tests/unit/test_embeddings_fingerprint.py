"""The fingerprint of embeddings depends on code and precision."""

from dataclasses import replace

import pytest
import torch

from halo import code_digest
from halo.embeddings import embed, layout
from halo.embeddings.embed import embed_buckets
from halo.embeddings.layout import description, store_names
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.files import read_json

WEIGHTS = Weights("esm2_demo", "esm2_demo.pt", "0" * 64)
SETTINGS = EmbeddingSettings()


@pytest.mark.parametrize(
    "module", ["packed", "padded", "encoder", "attention", "windows", "tokens"]
)
def test_the_encoders_code_is_in_the_fingerprint(module):
    """Of every module that computes the content, through what is imported."""
    found: set = set()
    for name in layout.CONTENT_MODULES:
        code_digest._collect(code_digest._module_file(name), found)
    assert code_digest.PACKAGE / f"embeddings/{module}.py" in found
    assert not {path.name for path in found} & {"store.py", "segments.py", "embed.py", "job.py"}


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
