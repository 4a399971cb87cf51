"""Embeddings: equal to fair-esm's own, whatever the batch; windows lose no residue."""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from esm.model.esm2 import ESM2
from esm.pretrained import load_model_and_alphabet_core
from hypothesis import given
from hypothesis import strategies as st

from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.embed import Window, batches, embed, embed_buckets
from halo.embeddings.find import find_weights
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.embeddings.windows import blend, windows
from halo.errors import HaloError
from halo.files import sha256_of_file, sha256_of_text
from halo.proteins.members import Member
from halo.store import bucket_of

LETTERS = list("ACDEFGHIKLMNPQRSTVWYXBUZO")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A small ESM-2 with random weights, in fair-esm's format."""
    from esm import Alphabet

    torch.manual_seed(0)
    alphabet = Alphabet.from_architecture("ESM-1b")
    model = ESM2(num_layers=2, embed_dim=32, attention_heads=4, alphabet=alphabet)
    state = {f"encoder.sentence_encoder.{k}": v for k, v in model.state_dict().items()}
    config = argparse.Namespace(
        encoder_layers=2, encoder_embed_dim=32, encoder_attention_heads=4, token_dropout=True
    )
    path = tmp_path_factory.mktemp("weights") / "esm2_small.pt"
    torch.save({"cfg": {"model": config}, "model": state}, path)
    return path


def member(sequence: str) -> Member:
    return Member(sha256_of_text(sequence), (), sequence)


def random_members(count: int, longest: int, seed: int) -> list[Member]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, count)
    return [member("".join(rng.choice(LETTERS, n))) for n in lengths]


def by_fair_esm(path: Path, sequence: str) -> np.ndarray:
    """One protein through fair-esm's own loader, batch converter and model."""
    content = torch.load(path, weights_only=False)
    model, alphabet = load_model_and_alphabet_core("esm2_small", content, None)
    _, _, tokens = alphabet.get_batch_converter()([("", sequence)])
    with torch.no_grad():
        out = model.eval()(tokens, repr_layers=[model.num_layers])
    return out["representations"][model.num_layers][0, 1:-1].numpy()


@pytest.mark.filterwarnings("ignore:Regression weights not found")
def test_equal_to_fair_esm(checkpoint):
    model, alphabet = load_esm2(checkpoint)
    members = random_members(20, 60, seed=1)
    found = dict(embed(members, model, alphabet, EmbeddingSettings(tokens_per_batch=256), "cpu"))
    assert set(found) == {one.seq_hash for one in members}
    for one in members:
        expected = by_fair_esm(checkpoint, one.sequence)
        np.testing.assert_allclose(found[one.seq_hash], expected, atol=1e-4)


def test_long_proteins_lose_no_residue(checkpoint):
    model, alphabet = load_esm2(checkpoint)
    settings = EmbeddingSettings(window=64, overlap=16, tokens_per_batch=300)
    members = [member("MK" * 500), member("A" * 64), member("A" * 65)]
    found = dict(embed(members, model, alphabet, settings, "cpu"))
    assert [len(found[one.seq_hash]) for one in members] == [1000, 64, 65]
    assert all(np.isfinite(rows).all() for rows in found.values())


@given(st.integers(1, 5000), st.integers(16, 1022), st.data())
def test_windows_cover_every_residue(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(length, size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(stop - start == min(size, length) for start, stop in found)
    assert all(a[1] - b[0] >= overlap for a, b in pairwise(found))


@pytest.mark.parametrize(("length", "count"), [(1022, 1), (1023, 2), (34_350, 45)])
def test_number_of_windows(length, count):
    assert len(windows(length, 1022, 256)) == count


def test_blend_of_what_agrees_is_what_was_there():
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    parts = [(a, b, rows[a:b]) for a, b in windows(50, 20, 8)]
    np.testing.assert_allclose(blend(50, parts), rows, atol=1e-6)


@given(st.lists(st.integers(1, 100), max_size=30), st.integers(10, 300))
def test_batches_keep_the_budget_and_lose_nothing(lengths, tokens):
    found = [Window(str(i), 0, n, "A" * n) for i, n in enumerate(lengths)]
    made = list(batches(found, tokens))
    assert [window for batch in made for window in batch] == found
    for batch in made:
        size = (max(len(w.residues) for w in batch) + 2) * len(batch)
        assert size <= tokens or len(batch) == 1


def test_only_what_is_missing_is_computed(checkpoint, tmp_path):
    weights = find_weights(str(checkpoint), tmp_path, None)
    settings = EmbeddingSettings()
    one, two = random_members(2, 40, seed=3)
    members = {bucket_of(m.seq_hash): [m] for m in (one,)}
    store = embed_buckets(members, tmp_path, weights, settings, "cpu")
    before = {path: path.stat().st_mtime_ns for path in store.path.glob("*/*.h5")}
    members.setdefault(bucket_of(two.seq_hash), []).append(two)
    store = embed_buckets(members, tmp_path, weights, settings, "cpu")
    after = list(store.path.glob("*/*.h5"))
    assert len(before) == 1
    assert len(after) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert store.read(two.seq_hash)["residues"].shape == (len(two.sequence), 32)


def test_nothing_missing_needs_no_checkpoint(tmp_path):
    weights = Weights("gone", str(tmp_path / "gone.pt"), "0" * 64)
    embed_buckets({"00": []}, tmp_path, weights, EmbeddingSettings(), "cpu")


class Harmful:
    """Would run code when it is unpickled."""

    def __reduce__(self):
        return (print, ("harm",))


def test_bad_checkpoints_are_refused_by_name(checkpoint, tmp_path):
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(checkpoint.read_bytes()[:5000])
    harmful = tmp_path / "harmful.pt"
    torch.save({"model": Harmful()}, harmful)
    foreign = tmp_path / "foreign.pt"
    torch.save({"weights": torch.zeros(3)}, foreign)
    other = tmp_path / "other.pt"
    content = torch.load(checkpoint, weights_only=False)
    content["cfg"]["model"].encoder_layers = 3
    torch.save(content, other)
    tensor = tmp_path / "tensor.pt"
    torch.save(torch.zeros(3), tensor)
    for path, words in [
        (truncated, "truncated"),
        (harmful, "refused"),
        (foreign, "no ESM-2 checkpoint"),
        (other, "do not fit"),
        (tensor, "no ESM-2 checkpoint"),
        (tmp_path / "none.pt", "no such checkpoint"),
    ]:
        with pytest.raises(HaloError, match=words) as error:
            load_esm2(path)
        assert path.name in str(error.value)


def test_weights_are_found_by_path_and_checked(checkpoint, tmp_path):
    digest = sha256_of_file(checkpoint)
    assert find_weights(str(checkpoint), tmp_path, digest).sha256 == digest
    with pytest.raises(HaloError, match="truncated or another"):
        find_weights(str(checkpoint), tmp_path, "0" * 64)
    with pytest.raises(HaloError, match="neither a file nor one of"):
        find_weights("esm2_t5_unknown", tmp_path, None)


def test_unknown_layer_is_an_error(checkpoint, tmp_path):
    weights = find_weights(str(checkpoint), tmp_path, None)
    one = member("MKV")
    with pytest.raises(HaloError, match="2 layers"):
        embed_buckets(
            {bucket_of(one.seq_hash): [one]}, tmp_path, weights, EmbeddingSettings(layer=7), "cpu"
        )
