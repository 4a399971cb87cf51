"""Embeddings equal those of fair-esm for any batch; windows cover all residues."""

import argparse
import math
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from esm.model.esm2 import ESM2
from esm.pretrained import load_model_and_alphabet_core
from hypothesis import given
from hypothesis import strategies as st

from halo.embeddings.attention import ROWS, WORTHWHILE, attention
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.embed import embed, embed_buckets, next_batch, windows_of
from halo.embeddings.find import find_weights
from halo.embeddings.layout import EmbeddingSettings, read_embedding
from halo.embeddings.limits import as_stored, not_finite
from halo.embeddings.onednn import linear
from halo.embeddings.packed import PackedEncoder
from halo.embeddings.padded import PaddedEncoder
from halo.embeddings.weights import Weights
from halo.embeddings.windows import blend, windows
from halo.errors import HaloError
from halo.files import sha256_of_file, sha256_of_text
from halo.proteins.members import Member
from halo.store import Store, Writer, bucket_of

DATA = Path(__file__).resolve().parents[3] / "shared/data"
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


def encoders(checkpoint: Path) -> dict[str, PackedEncoder | PaddedEncoder]:
    return {
        "packed": PackedEncoder(*load_esm2(checkpoint), -1),
        "padded": PaddedEncoder(*load_esm2(checkpoint), -1, "cpu", torch.float32),
    }


@pytest.mark.filterwarnings("ignore:Regression weights not found")
@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_equal_to_fair_esm(checkpoint, kind):
    members = random_members(20, 60, seed=1)
    settings = EmbeddingSettings(tokens_per_batch=256)
    found = dict(embed(members, encoders(checkpoint)[kind], settings))
    assert set(found) == {one.seq_hash for one in members}
    for one in members:
        expected = by_fair_esm(checkpoint, one.sequence)
        np.testing.assert_allclose(found[one.seq_hash], expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Regression weights not found")
def test_equal_to_fair_esm_on_real_sequences(checkpoint):
    table = DATA / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
    if not table.exists():
        pytest.skip(f"{table} is not there")
    sequences = pd.read_csv(table, nrows=40)["Sequence"].str[:1022]
    members = [member(sequence) for sequence in sequences]
    for encoder in encoders(checkpoint).values():
        found = dict(embed(members, encoder, EmbeddingSettings()))
        for one in members:
            expected = by_fair_esm(checkpoint, one.sequence)
            np.testing.assert_allclose(found[one.seq_hash], expected, atol=1e-4)


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2])
def test_every_layer_is_the_same_packed_and_padded(checkpoint, layer):
    sequences = [one.sequence for one in random_members(5, 40, seed=4)]
    packed = PackedEncoder(*load_esm2(checkpoint), layer).start(sequences)()
    padded = PaddedEncoder(*load_esm2(checkpoint), layer, "cpu", torch.float32).start(sequences)()
    for one, other in zip(packed, padded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_float16_is_near(checkpoint):
    sequences = [one.sequence for one in random_members(5, 40, seed=4)]
    whole, half = (
        PaddedEncoder(*load_esm2(checkpoint), -1, "cpu", dtype).start(sequences)()
        for dtype in (torch.float32, torch.bfloat16)
    )
    for one, other in zip(whole, half, strict=True):
        assert other.dtype == torch.float32
        assert 0 < (one - other).abs().max() < 0.1


@pytest.mark.parametrize("scale", [1, 4, 40])  # from 40 on, powers of two leave float32
@pytest.mark.parametrize("length", [1, WORTHWHILE, ROWS, ROWS + 1, 1024])
def test_attention_is_the_softmax(length, scale):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, length, 4, 16, generator=generator)
    found = attention(scale * query, key, value)
    query, key, value = (part.double() for part in (scale * query, key, value))
    scores = torch.einsum("ihd,jhd->hij", query, key) / 4
    expected = torch.einsum("hij,jhd->ihd", scores.softmax(-1), value)
    # A score is rounded in proportion to its size.
    torch.testing.assert_close(found.double(), expected, atol=2e-6 * (1 + scale), rtol=0)


def test_attention_without_onednn_is_the_same(monkeypatch):
    query, key, value = torch.randn(3, WORTHWHILE, 4, 16)
    expected = attention(query, key, value)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.testing.assert_close(attention(query, key, value), expected, atol=1e-5, rtol=0)


def test_threads_change_nothing(checkpoint):
    members = random_members(60, 90, seed=6)
    found, before = [], torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        encoder = encoders(checkpoint)["packed"]
        found.append(dict(embed(members, encoder, EmbeddingSettings())))
        assert torch.get_num_threads() == threads  # nor does the encoder change the caller's
    torch.set_num_threads(before)
    for name, rows in found[0].items():
        np.testing.assert_array_equal(rows, found[1][name])


def test_linear_without_onednn_is_the_same(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    weight, bias, rows = (
        torch.randn(*shape, generator=generator) for shape in [(7, 5), (7,), (3, 5)]
    )
    with torch.inference_mode():
        ours = [linear(weight, bias, gelu)(rows) for gelu in (False, True)]
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        theirs = [linear(weight, bias, gelu)(rows) for gelu in (False, True)]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("length", [1022, 1023, 34_350])
def test_long_proteins_lose_no_residue(checkpoint, length):
    """With overlaps of any size a residue far from every end is what its window makes of it."""
    rng = np.random.default_rng(length)
    one = member("".join(rng.choice(LETTERS[:20], length)))
    encoder = encoders(checkpoint)["packed"]
    ((name, rows),) = embed([one], encoder, EmbeddingSettings())
    assert name == one.seq_hash
    assert rows.shape == (length, 32)
    assert np.isfinite(rows).all()
    found = windows(length, 1022, 256)
    for position in (0, length // 2, length - 1):
        states = [
            (position - start, stop - start, encoder.start([one.sequence[start:stop]])()[0])
            for start, stop in found
            if start <= position < stop
        ]
        weights = np.array([min(at + 1, size - at) for at, size, _ in states], dtype=float)
        parts = np.array([part[at].numpy() for at, _, part in states])
        expected = (weights[:, None] * parts).sum(0) / weights.sum()
        np.testing.assert_allclose(rows[position], expected, atol=1e-4)


@given(st.integers(1, 5000), st.integers(16, 1022), st.data())
def test_windows_cover_every_residue(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(length, size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert len({stop - start for start, stop in found}) == 1
    assert found[0][1] <= size
    shared = [a[1] - b[0] for a, b in pairwise(found)]
    assert all(overlap <= residues <= overlap + 2 for residues in shared)


@pytest.mark.parametrize(("length", "count"), [(1022, 1), (1023, 2), (34_350, 45)])
def test_number_of_windows(length, count):
    assert len(windows(length, 1022, 256)) == count


def test_blending_equal_windows_gives_the_original():
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    parts = [(a, b, rows[a:b]) for a, b in windows(50, 20, 8)]
    np.testing.assert_allclose(blend(50, parts), rows, atol=1e-6)


@given(st.lists(st.integers(1, 100), max_size=30), st.integers(10, 300))
def test_batches_keep_the_budget_and_lose_nothing(lengths, tokens):
    members = [Member(str(number), (), "A" * n) for number, n in enumerate(lengths)]
    found = windows_of(members, EmbeddingSettings(window=64, overlap=16))
    made, position = [], 0
    while position < len(found):
        made.append(next_batch(found, position, tokens))
        position += len(made[-1])
    assert [window for batch in made for window in batch] == found
    for batch in made:
        assert max(window.tokens for window in batch) * len(batch) <= tokens or len(batch) == 1


NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory")


class SmallMemory:
    """Stands in for a GPU: its memory holds so many tokens, more is the error that torch raises."""

    def __init__(self, encoder: PackedEncoder, tokens: int, error: Exception = NO_MEMORY) -> None:
        self.encoder, self.tokens, self.refused = encoder, tokens, 0
        self.ahead, self.error = encoder.ahead, error

    def start(self, sequences):
        if sum(len(text) + 2 for text in sequences) > self.tokens:
            self.refused += 1
            raise self.error
        return self.encoder.start(sequences)


@pytest.mark.parametrize(
    "error",
    [
        NO_MEMORY,
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_out_of_memory_halves_the_batch(checkpoint, error):
    encoder = encoders(checkpoint)["packed"]
    members = random_members(40, 60, seed=5)
    expected = dict(embed(members, encoder, EmbeddingSettings()))
    small = SmallMemory(encoder, 150, error)
    found = dict(embed(members, small, EmbeddingSettings(tokens_per_batch=1000)))
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        np.testing.assert_allclose(rows, expected[name], atol=1e-5)
    assert small.refused == 3  # 1,000, 500 and 250 tokens; what was learned is kept


def test_a_window_beyond_the_memory_is_a_clear_error(checkpoint):
    small = SmallMemory(encoders(checkpoint)["packed"], 20)
    with pytest.raises(HaloError, match=r"30 residues.*lower embeddings\.window"):
        list(embed([member("MKV" * 10)], small, EmbeddingSettings()))


def test_what_is_no_number_is_an_error_with_a_fix(checkpoint, tmp_path, monkeypatch):
    weights = find_weights(str(checkpoint), tmp_path, None)
    one = member("MKV")
    monkeypatch.setattr(
        PackedEncoder, "start", lambda self, texts: lambda: [torch.full((3, 32), math.nan)]
    )
    words = rf"protein {one.seq_hash[:12]}: .*no numbers, in float32; the checkpoint is damaged"
    with pytest.raises(HaloError, match=words):
        embed_buckets(
            {bucket_of(one.seq_hash): [one]}, tmp_path, weights, EmbeddingSettings(), "cpu"
        )
    assert not list(tmp_path.glob("embeddings/*/*/*.h5"))


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e5, 1e30])
def test_an_embedding_of_any_size_is_stored(checkpoint, tmp_path, monkeypatch, factor):
    weights = find_weights(str(checkpoint), tmp_path, None)
    one, two = member("MKV"), member("MKVA")
    generator = torch.Generator().manual_seed(0)
    states = {text: torch.randn(len(text), 32, generator=generator) for text in ("MKV", "MKVA")}
    states["MKV"] *= factor
    monkeypatch.setattr(
        PackedEncoder, "start", lambda self, texts: lambda: [states[text] for text in texts]
    )
    members = {bucket_of(each.seq_hash): [each] for each in (one, two)}
    store = embed_buckets(members, tmp_path, weights, EmbeddingSettings(), "cpu")
    for each in (one, two):
        found, expected = read_embedding(store, each.seq_hash), states[each.sequence].numpy()
        assert found.dtype == (np.float32 if np.abs(expected).max() > 65_504 else np.float16)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=np.abs(expected).max() * 1e-6)
        # The head of a fine-tuned model is scored on the same numbers.
        rounded = as_stored(states[each.sequence][None])[0]
        np.testing.assert_array_equal(found, rounded.numpy())


def test_computing_in_float16_has_a_fix_of_its_own():
    said = str(not_finite("a" * 64, torch.float16))
    assert "set embeddings.precision (halo predict: --precision) to float32" in said


class Answers:
    """An encoder that computes nothing, and says when it was asked for everything."""

    ahead, dtype = 1, torch.bfloat16

    def __init__(self, total: int) -> None:
        self.left, self.asked_for_all = total, threading.Event()

    def start(self, sequences):
        self.left -= len(sequences)
        if not self.left:
            self.asked_for_all.set()
        return lambda: [torch.ones(len(text), 8, dtype=torch.float16) for text in sequences]


def test_the_gpu_computes_while_segments_are_written(tmp_path, monkeypatch):
    members = random_members(300, 60, seed=7)
    encoder, waited = Answers(len(members)), []
    add = Writer.add

    def slow(self, *arguments):
        if not waited:  # as a flush to a slow disk
            waited.append(encoder.asked_for_all.wait(timeout=20))
        add(self, *arguments)

    monkeypatch.setattr(Writer, "add", slow)
    buckets: dict[str, list[Member]] = {}
    for one in members:
        buckets.setdefault(bucket_of(one.seq_hash), []).append(one)
    weights, settings = Weights("none", "", "0" * 64), EmbeddingSettings(tokens_per_batch=256)
    store = embed_buckets(buckets, tmp_path, weights, settings, "cpu", lambda *_: encoder)
    assert waited == [True]
    assert all(len(store.read(one.seq_hash)["residues"]) == len(one.sequence) for one in members)


def test_segments_say_how_they_were_computed(checkpoint, tmp_path):
    weights = find_weights(str(checkpoint), tmp_path, None)
    one = member("MKV")
    bucket = bucket_of(one.seq_hash)
    store = embed_buckets({bucket: [one]}, tmp_path, weights, EmbeddingSettings(), "cpu")
    found = store.provenance(bucket)
    assert found["precision"] == "float32"
    assert found["language_model"] == "esm2_small"
    assert found["torch"] == torch.__version__


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


def test_a_resumed_job_computes_each_missing_protein_once(tmp_path):
    members, computed = random_members(9, 40, seed=8), []

    class Counting(Answers):
        def start(self, sequences):
            computed.extend(sequences)
            return super().start(sequences)

    def run(some: list[Member]) -> Store:
        buckets: dict[str, list[Member]] = {}
        for one in some:
            buckets.setdefault(bucket_of(one.seq_hash), []).append(one)
        weights, encoder = Weights("none", "", "0" * 64), Counting(len(some))
        settings = EmbeddingSettings(tokens_per_batch=64)
        return embed_buckets(buckets, tmp_path, weights, settings, "cpu", lambda *_: encoder)

    run(members[2:6])
    computed.clear()
    store = run(members)
    missing = [*members[:2], *members[6:]]
    assert sorted(computed) == sorted(one.sequence for one in missing)
    assert store.missing(one.seq_hash for one in members) == []
    computed.clear()
    run(members)
    assert computed == []


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
    with pytest.raises(HaloError, match="truncated or a different"):
        find_weights(str(checkpoint), tmp_path, "0" * 64)
    with pytest.raises(HaloError, match="neither a file nor a folder nor one of"):
        find_weights("esm2_t5_unknown", tmp_path, None)


def test_unknown_layer_is_an_error(checkpoint, tmp_path):
    weights = find_weights(str(checkpoint), tmp_path, None)
    one = member("MKV")
    with pytest.raises(HaloError, match="2 layers"):
        embed_buckets(
            {bucket_of(one.seq_hash): [one]}, tmp_path, weights, EmbeddingSettings(layer=7), "cpu"
        )
