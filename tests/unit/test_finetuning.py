"""Fine-tuning: trainable parameters, data that it uses, and resuming."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from halo.embeddings.adapters import PROJECTIONS, LowRank, adapt, merge
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.embed import embed_buckets
from halo.embeddings.encoder import encode
from halo.embeddings.language_model import load_language_model
from halo.embeddings.layout import EmbeddingSettings, description
from halo.embeddings.leakage import require_no_leak, write_training
from halo.embeddings.tokens import Tokenizer
from halo.embeddings.weights import Weights, read_weights, write_weights
from halo.errors import HaloError
from halo.files import read_json, sha256_of_file, sha256_of_text
from halo.finetuning import loop
from halo.finetuning.data import cropped, epoch_batches, token_batches
from halo.finetuning.head import AttentionHead
from halo.finetuning.learner import Learner
from halo.finetuning.loop import Finetuning
from halo.finetuning.predict import head_logits, load_head, predict_fold
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.finetuning.stage import finetune_fold
from halo.fold_parts import FoldParts
from halo.model_key import ModelKey
from halo.proteins.members import Member
from halo.proteins.table import Proteins, write_proteins
from halo.shards import write_shard
from halo.store import bucket_of
from halo.store_upkeep import find_garbage
from halo.training.decisions import label_weights
from halo.training.state import Position, load_state, save_state
from made_proteins import protein_table, with_signals
from pipeline import TORCHRUN, forks

EMBEDDING = EmbeddingSettings(window=48, overlap=16)
SETTINGS = FinetuneSettings(
    epochs=3, tokens_per_batch=400, accumulate=3, rank=4, hidden=32, learning_rate=2e-3
)
PARTS = np.repeat(np.array(["train", "val", "cal", "test"], dtype=object), [60, 20, 10, 10])


@pytest.fixture(scope="module")
def weights(root) -> Weights:
    path = root / "resources/demo/esm2_demo.pt"
    return Weights("esm2_demo", str(path), sha256_of_file(path))


def make_proteins(count: int = 100, task: str = "multilabel") -> Proteins:
    """Label A: starts with lysines, label B: ends with tryptophans; some exceed the window."""
    sequences, labels = with_signals(np.random.default_rng(0), count, (20, 60))
    if task == "singlelabel":
        labels[:, 1] = 1 - labels[:, 0]
    return Proteins(protein_table(sequences), ("A", "B"), labels, task)


def finetune(weights: Weights, folder: Path, **change) -> None:
    arguments = {
        "proteins": make_proteins(), "parts": FoldParts("0", PARTS), "seed": 1,
        "settings": SETTINGS, "embedding": EMBEDDING, "store": folder / "store",
        "save_seconds": 600.0, **change,
    }  # fmt: skip
    finetune_fold(
        weights=weights, folder=folder / "out", processes=Processes(), device="cpu", **arguments
    )


def outcome(folder: Path) -> tuple[pd.DataFrame, bytes, bytes]:
    """History without times, adapter and head."""
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds")
    tensors = ((folder / f"{name}.safetensors").read_bytes() for name in ("adapter", "head"))
    return history, *tensors


def require_same(one: Path, two: Path) -> None:
    for a, b in zip(outcome(one), outcome(two), strict=True):
        if isinstance(a, bytes):
            assert a == b
        else:
            pd.testing.assert_frame_equal(a, b, check_exact=True)


@pytest.fixture(scope="module")
def finetuned(weights, tmp_path_factory) -> Path:
    """What an undisturbed fine-tuning with `SETTINGS` makes; not to be changed."""
    folder = tmp_path_factory.mktemp("finetuned")
    finetune(weights, folder)
    return folder / "out"


# ---------------------------------------------------------------- adapters and head


@pytest.mark.parametrize("method", ["lora", "last_layers"])
def test_an_adapter_starts_at_nothing_and_is_merged_exactly(weights, method):
    model, alphabet = load_esm2(Path(weights.path))
    tokens, _ = Tokenizer(alphabet).padded(["MKVLLA", "ACDEFGHIKLMNPQRSTVWY"])
    before = encode(model, tokens)
    settings = replace(SETTINGS, method=method, projections=tuple(PROJECTIONS))
    parameters = adapt(model, settings.adapter(-1))
    torch.testing.assert_close(encode(model, tokens), before)
    with torch.no_grad():
        for value in parameters.values():
            value += 0.01 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    changed = encode(model, tokens)
    assert (changed - before).abs().max() > 0.01
    names = set(load_esm2(Path(weights.path))[0].state_dict())
    assert set(merge(model).state_dict()) == names
    torch.testing.assert_close(encode(model, tokens), changed)


def test_the_update_of_low_rank_has_the_scale_of_alpha_and_rank():
    layer = LowRank(torch.ones(2, 3), rank=4, alpha=6.0)
    with torch.no_grad():
        layer.up.copy_(torch.arange(8).view(2, 4))
        layer.down.copy_(torch.eye(4, 3))
    expected = 1 + 1.5 * torch.tensor([[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]])
    torch.testing.assert_close(layer(torch.ones(2, 3)), expected)


def test_only_what_is_asked_for_is_trained(weights):
    for settings, layer, expected in [
        (replace(SETTINGS, method="lora"), -1, 4 * 2 * 2 * 4 * 96),
        (replace(SETTINGS, method="lora"), 2, 2 * 2 * 2 * 4 * 96),
        (replace(SETTINGS, method="last_layers", last_layers=0), -1, 0),
    ]:
        model, _ = load_esm2(Path(weights.path))
        assert (
            sum(value.numel() for value in adapt(model, settings.adapter(layer)).values())
            == expected
        )
    model, _ = load_esm2(Path(weights.path))
    names = adapt(model, replace(SETTINGS, method="last_layers", last_layers=1).adapter(-1))
    assert {name.split(".")[0] for name in names} == {"layers", "emb_layer_norm_after"}
    assert {name.split(".")[1] for name in names if name.startswith("layers")} == {"3"}


@given(st.integers(0, 40))
def test_the_head_does_not_see_padding(padding):
    torch.manual_seed(0)
    head = AttentionHead(8, 3, SETTINGS).eval()
    states = torch.randn(2, 7, 8)
    residues = torch.ones(2, 7, dtype=torch.bool)
    more = torch.cat([states, 100 * torch.randn(2, padding, 8)], dim=1)
    mask = torch.cat([residues, torch.zeros(2, padding, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(head(more, mask), head(states, residues))


def test_checkpointing_changes_nothing(weights, finetuned, tmp_path):
    finetune(weights, tmp_path, settings=replace(SETTINGS, checkpointing=True))
    require_same(finetuned, tmp_path / "out")


@pytest.mark.slow
def test_mixed_precision_is_nearly_the_same(weights, finetuned, tmp_path):
    """As on a GPU: the language model in bfloat16, what is trained in float32."""
    finetune(weights, tmp_path, settings=replace(SETTINGS, precision="bfloat16"))
    one, two = (outcome(folder)[0] for folder in (finetuned, tmp_path / "out"))
    np.testing.assert_allclose(one["train_loss"], two["train_loss"], rtol=0.05)
    tensors = load_file(tmp_path / "out/adapter.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.float32}


# ---------------------------------------------------------------- batches


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(10, 300), st.integers(1, 5))
def test_batches_hold_every_protein_once_and_keep_the_budget(lengths, budget, epoch):
    lengths = np.array(lengths, dtype=np.int64)
    batches = epoch_batches(lengths, budget, seed=1, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        tokens = (lengths[batch].max() + 2) * len(batch)
        assert tokens <= budget or len(batch) == 1


def test_batches_are_of_similar_lengths_and_never_the_same():
    lengths = np.random.default_rng(0).integers(30, 1000, 2000)
    one, two = (epoch_batches(lengths, 8192, 1, epoch) for epoch in (1, 2))
    assert [set(batch) for batch in one] != [set(batch) for batch in two]
    for batches in (one, two):
        padded = sum((lengths[batch].max() + 2) * len(batch) for batch in batches)
        assert lengths.sum() / padded > 0.85
        assert np.corrcoef(range(len(batches)), [lengths[b].mean() for b in batches])[0, 1] < 0.5


def test_long_proteins_are_cropped_elsewhere_in_every_epoch():
    sequence = "ACDEFGHIKL" * 20
    found = {cropped(sequence, 50, 1, epoch, 0) for epoch in range(20)}
    assert all(len(part) == 50 and part in sequence for part in found)
    assert len(found) > 5
    assert cropped(sequence[:50], 50, 1, 1, 0) == sequence[:50]


def test_tokens_are_those_of_fair_esm(weights):
    _, alphabet = load_esm2(Path(weights.path))
    sequences = ["MKXBUZO", "ACDEFGHIKLMNPQRSTVWY", "J"]
    tokens, residues = Tokenizer(alphabet).padded(sequences)
    _, _, expected = alphabet.get_batch_converter()(
        [("", text.replace("J", "X")) for text in sequences]
    )
    assert tokens.tolist() == expected.tolist()
    assert residues.sum(dim=1).tolist() == [7, 20, 1]


def test_token_batches_of_nothing():
    assert token_batches(np.array([], dtype=int), np.array([], dtype=int), 100) == []


# ---------------------------------------------------------------- the loop


@pytest.mark.slow
def test_it_learns_and_its_files_describe_it(weights, tmp_path):
    finetune(weights, tmp_path, settings=replace(SETTINGS, epochs=12, patience=12))
    folder = tmp_path / "out"
    history = pd.read_csv(folder / "history.csv")
    note = read_json(folder / "adapter.json")
    assert history["val_macro_f1"].max() > 0.85
    smoothed = history["val_macro_f1"].rolling(5, min_periods=1).mean()
    assert smoothed.idxmax() + 1 == note["best_epoch"]
    assert note["sha256"] == weights.sha256
    training = pd.read_csv(folder / "training.csv")
    assert training["part"].value_counts().to_dict() == {"train": 60, "val": 20}
    assert not list((tmp_path / "store").rglob("*.safetensors"))
    found = read_weights(folder / "language_model.json")
    assert found.adapter_sha256 == sha256_of_file(folder / "adapter.safetensors")
    assert description(found, EMBEDDING, "float32") != description(weights, EMBEDDING, "float32")


def test_labels_of_cal_and_test_have_no_part_in_it(weights, finetuned, tmp_path):
    proteins = make_proteins()
    other = proteins.labels.copy()
    held = np.isin(PARTS, ["cal", "test"])
    other[held] = 1 - other[held]
    finetune(weights, tmp_path, proteins=replace(proteins, labels=other))
    require_same(finetuned, tmp_path / "out")


def test_positives_are_weighed_and_unknown_labels_are_not_learned(weights, tmp_path, monkeypatch):
    """The losses of an epoch grow with the weights; unknown labels are ignored."""
    plain = make_proteins()
    known = np.random.default_rng(1).random(plain.labels.shape) < 0.8
    losses = []
    for factor, unknown in ((1.0, 0), (1.0, 1), (3.0, 0)):
        labels = np.where(known, plain.labels, unknown).astype(np.uint8)
        monkeypatch.setattr(
            loop, "label_weights", lambda targets, by=factor: by * label_weights(targets)
        )
        folder = tmp_path / f"{factor}{unknown}"
        proteins = replace(plain, labels=labels, known=known)
        finetune(weights, folder, proteins=proteins, settings=replace(SETTINGS, epochs=1))
        table = pd.read_csv(folder / "out/history.csv")
        losses.append(table[["train_loss", "val_loss"]].to_numpy())
    np.testing.assert_array_equal(losses[0], losses[1])
    assert (losses[2] > 1.2 * losses[0]).all()


@pytest.mark.slow
def test_early_stopping(weights, tmp_path):
    finetune(weights, tmp_path, settings=replace(SETTINGS, epochs=30, patience=2))
    note = read_json(tmp_path / "out/adapter.json")
    assert note["epochs"] == note["best_epoch"] + 2


def test_a_loss_that_is_no_number_ends_it(weights, tmp_path):
    with pytest.raises(HaloError, match=r"lower finetune.learning_rate"):
        finetune(weights, tmp_path, settings=replace(SETTINGS, learning_rate=1e12, epochs=20))


def test_one_label_a_protein(weights, tmp_path):
    finetune(weights, tmp_path, proteins=make_proteins(task="singlelabel"))
    assert (tmp_path / "out/head.safetensors").is_file()


def test_scores_do_not_depend_on_the_batches_nor_on_the_window(weights):
    model, alphabet = load_esm2(Path(weights.path))
    learner = Learner(model, alphabet, 2, EMBEDDING, SETTINGS, seed=1)
    sequences = make_proteins(20).table["sequence"].tolist()
    together = learner.score(sequences, Processes())
    assert max(map(len, sequences)) > EMBEDDING.window
    alone = torch.cat([learner.score([text], Processes()) for text in sequences])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained", "embedded"), [("bfloat16", "float32"), ("float32", "bfloat16")]
)
def test_it_scores_in_the_precision_of_the_embeddings(
    weights, tmp_path, monkeypatch, trained, embedded
):
    """The scores that choose the epoch and the thresholds are those of the predictions.

    But for the order of sums: of the batches, and of two ways through the layers.
    """
    seen = []
    real = Learner.score

    def score(self, *arguments):
        seen.append((real(self, *arguments), arguments[0]))
        return seen[-1][0]

    monkeypatch.setattr(Learner, "score", score)
    settings = replace(SETTINGS, epochs=1, precision=trained)
    embeddings = {name: replace(EMBEDDING, precision=name) for name in (trained, embedded)}
    finetune(weights, tmp_path, settings=settings, embedding=embeddings[embedded])
    [(scores, sequences)] = seen
    assert max(map(len, sequences)) > EMBEDDING.window  # of one window and of several
    members: dict[str, list[Member]] = {}
    hashes = [sha256_of_text(text) for text in sequences]
    for name, text in zip(hashes, sequences, strict=True):
        members.setdefault(bucket_of(name), []).append(Member(name, (), text))
    model = read_weights(tmp_path / "out/language_model.json")
    head, _ = load_head(tmp_path / "out")
    apart = {}
    for name, embedding in embeddings.items():
        store = embed_buckets(members, tmp_path, model, embedding, "cpu")
        predicted = head_logits(head, store, np.array(hashes, dtype=object))
        apart[name] = (scores - predicted).abs().mean().item()
    assert apart[embedded] < apart[trained] / 5
    if embedded == "float32":
        assert apart[embedded] < 1e-4


@pytest.mark.parametrize("window", [48, 400])
def test_states_that_are_no_numbers_are_reported_when_scored(weights, window):
    """Not only by the job that embeds, after the fine-tuning."""
    model, alphabet = load_esm2(Path(weights.path))
    model.embed_tokens.weight.data *= 1e8
    embedding = replace(EMBEDDING, layer=0, window=window)
    learner = Learner(model, alphabet, 2, embedding, SETTINGS, seed=1)
    sequences = [*make_proteins(3).table["sequence"].tolist(), "MKV" * 30]
    assert learner.score(sequences, Processes()).isfinite().all()  # beyond float16's range
    learner.model.embed_tokens.weight.data *= torch.nan
    with pytest.raises(HaloError, match=r"NaN or infinite.*embeddings\.precision to float32"):
        learner.score(sequences, Processes())


# ---------------------------------------------------------------- going on


@pytest.fixture(scope="module")
def inputs(weights, tmp_path_factory) -> Path:
    """Files that the script reads."""
    folder = tmp_path_factory.mktemp("inputs")
    proteins = make_proteins()
    write_proteins(folder / "proteins.csv", proteins, long_labels=False)
    pd.DataFrame({"id": proteins.ids, "part_0": PARTS}).to_csv(folder / "parts.csv", index=False)
    write_weights(folder / "language_model.json", weights)
    return folder


SCRIPT_SETTINGS = (
    '{"embeddings": {"layer": -1, "window": 48, "overlap": 16}, "finetune": {"epochs": 3, '
    '"tokens_per_batch": 400, "accumulate": 3, "rank": 4, "hidden": 32, "learning_rate": 0.002}}'
)


def script(root: Path, inputs: Path, folder: Path, *launcher: str) -> list[str]:
    return [
        sys.executable, *launcher, str(root / "scripts/finetune.py"),
        "--proteins", str(inputs / "proteins.csv"), "--assignments", str(inputs / "parts.csv"),
        "--language-model", str(inputs / "language_model.json"), "--fold", "0", "--seed", "1",
        "--out", str(folder / "out"), "--store", str(folder / "store"), "--save-minutes", "0",
        "--settings", SCRIPT_SETTINGS,
    ]  # fmt: skip


@pytest.mark.slow
def test_killed_and_resumed_it_ends_as_if_undisturbed(
    root, finetuned, inputs, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(root / "workflow"))
    command = [forks().python, *script(root, inputs, tmp_path)[1:]]
    steps, seen = [], tmp_path / "seen.safetensors"
    for least in (2, 7):  # steps of the first epoch, then of a later one
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            for file in (tmp_path / "store").glob("finetune/*/state.safetensors"):
                # A copy: a file that is replaced while it is mapped cannot be read.
                seen.write_bytes(file.read_bytes())
                position, _ = load_state(seen)
                steps.append(10 * (position.epoch - 1) + position.step)
            if steps and steps[-1] >= least:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert not (tmp_path / "out").exists()
    state = next((tmp_path / "store/finetune").iterdir())
    assert find_garbage(tmp_path / "store", days=0).stores == (state,)
    last = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "resumed at epoch" in last.stderr
    require_same(finetuned, tmp_path / "out")
    assert not list((tmp_path / "store/finetune").iterdir())


@pytest.mark.slow
def test_two_processes_give_what_one_gives(root, finetuned, inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root / "workflow"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [*script(root, inputs, tmp_path, *TORCHRUN), "--log", str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "on 2 x cpu" in done.stderr
    assert "on 2 x cpu" in (tmp_path / "log").read_text()
    folders = finetuned, tmp_path / "out"
    one, two = (outcome(folder)[0] for folder in folders)
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)
    one, two = (load_file(folder / "head.safetensors") for folder in folders)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-3, rtol=0)


def test_a_gpu_without_memory_for_a_batch_is_reported(weights, tmp_path, monkeypatch):
    def run(self):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")

    monkeypatch.setattr(Finetuning, "run", run)
    with pytest.raises(HaloError, match=r"is too small for 400 .*set finetune\.checkpointing"):
        finetune(weights, tmp_path)


def test_a_damaged_state_counts_for_none(tmp_path):
    file = tmp_path / "state.safetensors"
    assert load_state(file) is None
    save_state(file, Position(epoch=2, step=3), {"now.a": torch.ones(3)})
    position, tensors = load_state(file)
    assert (position.epoch, position.step) == (2, 3)
    assert tensors["now.a"].tolist() == [1, 1, 1]
    file.write_bytes(file.read_bytes()[:40])
    assert load_state(file) is None


# ---------------------------------------------------------------- what depends on it


def embeddings_of(proteins: Proteins, finetuned: Path, folder: Path) -> list[Path]:
    members: dict[str, list[Member]] = {}
    for row in proteins.table.itertuples():
        found = members.setdefault(bucket_of(row.seq_hash), [])
        found.append(Member(row.seq_hash, (), row.sequence))
    model = read_weights(finetuned / "language_model.json")
    write_shard(
        folder / "000.json", embed_buckets(members, folder, model, EMBEDDING, "cpu"), members
    )
    return [folder / "000.json"]


def test_the_head_on_the_embeddings_is_the_fine_tuned_model(weights, finetuned, tmp_path):
    """What `esm` says from stored embeddings is what the learner said of the validation."""
    proteins = make_proteins()
    shards = embeddings_of(proteins, finetuned, tmp_path)
    key, parts = ModelKey("kfold", "0", 1, "esm"), FoldParts("0", PARTS)
    predict_fold(proteins, parts, finetuned, shards, tmp_path, key, tmp_path)
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["part"].value_counts().to_dict() == {"val": 20, "cal": 10, "test": 10}
    model = read_json(tmp_path / "model.json")
    assert (model["class"], model["labels"]) == ("esm", ["A", "B"])
    thresholds = [model["thresholds"][name] for name in ("A", "B")]
    val = table[table["part"] == "val"]
    truth = pd.DataFrame(proteins.labels, index=proteins.ids).loc[val["id"]].to_numpy()
    decisions = val[["p:A", "p:B"]].to_numpy() > thresholds
    scores = [
        2 * (decisions[:, i] & (truth[:, i] == 1)).sum()
        / (decisions[:, i].sum() + truth[:, i].sum())
        for i in range(2)
    ]  # fmt: skip
    assert np.mean(scores) == pytest.approx(
        pd.read_csv(tmp_path / "history.csv")["val_macro_f1"].max()
    )
    other = replace(proteins, label_names=("A", "C"))
    with pytest.raises(HaloError, match="other labels"):
        predict_fold(other, parts, finetuned, shards, tmp_path, key, tmp_path)
    held_out = FoldParts("0", PARTS.copy())
    held_out.part[0] = "test"
    with pytest.raises(HaloError, match=f"keeps out of the training .{proteins.ids[0]}"):
        predict_fold(proteins, held_out, finetuned, shards, tmp_path, key, tmp_path)


def test_a_changed_checkpoint_or_adapter_is_refused(finetuned, tmp_path):
    found = read_weights(finetuned / "language_model.json")
    load_language_model(found)
    with pytest.raises(HaloError, match="changed since"):
        load_language_model(replace(found, sha256="0" * 64))
    adapter = tmp_path / "adapter.safetensors"
    (tmp_path / "adapter.json").write_bytes((finetuned / "adapter.json").read_bytes())
    tensors = load_file(found.adapter)
    tensors.pop(min(tensors))
    save_file(tensors, adapter)
    wrong = replace(found, adapter=str(adapter), adapter_sha256=sha256_of_file(adapter))
    with pytest.raises(HaloError, match="in one of them only"):
        load_language_model(wrong)
    adapter.write_bytes(b"nothing")
    wrong = replace(wrong, adapter_sha256=sha256_of_file(adapter))
    with pytest.raises(HaloError, match="damaged"):
        load_language_model(wrong)


def test_an_unknown_layer_is_an_error(weights, tmp_path):
    with pytest.raises(HaloError, match="4 layers"):
        finetune(weights, tmp_path, embedding=replace(EMBEDDING, layer=5))


@pytest.mark.parametrize(
    ("before", "now", "allowed"),
    [
        ("train", "train", True),
        ("train", "val", False),
        ("train", "cal", False),
        ("train", "test", False),
        ("train", "removed", False),
        ("val", "train", True),
        ("val", "val", True),
        ("val", "cal", False),
        ("val", "test", False),
        ("test", "train", True),
        ("cal", "test", True),
    ],
)
def test_a_model_is_refused_where_it_knows_too_much(tmp_path, before, now, allowed):
    proteins = make_proteins()
    parts = FoldParts("0", PARTS.copy())
    row = parts.rows(before)[0]
    write_training(tmp_path / "training.csv", proteins, parts)
    # The protein has got another id since: sequences count.
    table = proteins.table.copy()
    table.loc[row, "id"] = "renamed"
    changed = replace(proteins, table=table)
    parts.part[row] = now
    if allowed:
        require_no_leak(tmp_path / "training.csv", changed, parts)
    else:
        with pytest.raises(HaloError, match=r"renamed.*finetune.refresh"):
            require_no_leak(tmp_path / "training.csv", changed, parts)


@pytest.mark.parametrize("before", ["train", "val"])
def test_a_protein_whose_sequence_was_changed_since_is_the_same(tmp_path, before):
    proteins, parts = make_proteins(), FoldParts("0", PARTS.copy())
    write_training(tmp_path / "training.csv", proteins, parts)
    row = parts.rows(before)[0]
    table = proteins.table.copy()
    sequence = table.at[row, "sequence"][1:]
    table.loc[row, ["sequence", "seq_hash"]] = [sequence, sha256_of_text(sequence)]
    changed = replace(proteins, table=table)
    require_no_leak(tmp_path / "training.csv", changed, parts)  # it is still where it was
    parts.part[row] = "test"
    words = rf"{table.at[row, 'id']}, whose sequence was another one.*finetune\.refresh"
    with pytest.raises(HaloError, match=words):
        require_no_leak(tmp_path / "training.csv", changed, parts)


@pytest.mark.parametrize(("count", "named"), [(5, "p004)"), (6, "p004 and others)")])
def test_five_leaking_proteins_are_named(tmp_path, count, named):
    proteins, parts = make_proteins(), FoldParts("0", PARTS.copy())
    write_training(tmp_path / "training.csv", proteins, parts)
    parts.part[:count] = "test"
    with pytest.raises(HaloError) as leak:
        require_no_leak(tmp_path / "training.csv", proteins, parts)
    assert f"on {count} proteins" in str(leak.value)
    assert f"p003, {named}" in str(leak.value)


def test_proteins_that_are_gone_are_no_leak(tmp_path):
    proteins = make_proteins()
    write_training(tmp_path / "training.csv", proteins, FoldParts("0", PARTS))
    fewer = Proteins(
        proteins.table.iloc[1:].reset_index(drop=True), proteins.label_names, proteins.labels[1:],
        proteins.task,
    )  # fmt: skip
    require_no_leak(tmp_path / "training.csv", fewer, FoldParts("0", PARTS[1:]))
