"""Training: learns known signals, is reproducible, and saves its state."""

import logging
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import get_ident

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.layout import layout_of
from halo.embeddings.leakage import write_training
from halo.embeddings.weights import Weights, write_weights
from halo.errors import HaloError
from halo.files import read_json, write_json
from halo.fold_parts import FoldParts
from halo.graphs.build import GraphSettings, build_graph
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.model_key import ModelKey
from halo.network import graph_attention
from halo.network.classes import NETWORKS
from halo.network.fused_attention import fused_attention
from halo.network.graph_attention import GraphAttention
from halo.network.model import HaloNetwork, NetworkSettings
from halo.predict import ensemble
from halo.predict.ensemble import network_outputs
from halo.proteins.table import Proteins
from halo.regions.decode import decode
from halo.regions.table import Region, Regions, read_regions, write_regions
from halo.shards import open_store
from halo.store import Store
from halo.training import stage
from halo.training.checkpoint import load_model
from halo.training.data import ProteinDataset, ResidueBudget, loader
from halo.training.decisions import macro_f1_error
from halo.training.loop import Training, region_probabilities
from halo.training.settings import TrainingSettings
from halo.training.stage import Inputs, train_fold
from halo.training.state import Position
from made_proteins import protein_table, random_sequence, with_signals

NETWORK = NetworkSettings(hidden=16, layers=1, heads=2, pooling_heads=2, dropout=0.1)
TRAINING = TrainingSettings(epochs=12, patience=12, residues_per_batch=400, learning_rate=5e-3)
SHORT = replace(TRAINING, epochs=3)
KEY = ModelKey("kfold", "0", 1, "halo")


Setting = tuple[Proteins, pd.Series, Path]


def setting_of(
    root: Path,
    rng: np.random.Generator,
    sequences: list[str],
    labels: np.ndarray,
    parts: list[str],
) -> Setting:
    """Proteins without a structure, with their stores in `root`; embeddings are noise."""
    table = protein_table(sequences)
    graphs = Store.create(root, "graphs", {}, GRAPHS)
    embeddings = Store.create(root, "embeddings", {}, EMBEDDINGS)
    with graphs.writer() as to_graphs, embeddings.writer() as to_embeddings:
        for sequence, digest in zip(sequences, table["seq_hash"], strict=True):
            graph = build_graph(sequence, None, GraphSettings())
            to_graphs.add(digest, graph, {"structure_sha256": ""})
            noise = rng.normal(size=(len(sequence), 8)).astype(np.float16)
            to_embeddings.add(digest, {"residues": noise})
    write_json(root / "graphs.json", {"store": f"graphs/{graphs.fingerprint}"})
    write_json(root / "embeddings.json", {"store": f"embeddings/{embeddings.fingerprint}"})
    proteins = Proteins(table, ("A", "B"), labels.astype(np.uint8), "multilabel")
    return proteins, pd.Series(parts, index=table["id"]), root


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    """90 proteins; label A: starts with lysines, label B: ends with tryptophans."""
    rng = np.random.default_rng(0)
    sequences, labels = with_signals(rng, 90, (20, 40))
    parts = ["train"] * 50 + ["val"] * 15 + ["cal"] * 10 + ["test"] * 15
    return setting_of(tmp_path_factory.mktemp("setting"), rng, sequences, labels, parts)


def run(setting, folder: Path, **change) -> None:
    proteins, parts, root = setting
    folder.mkdir(exist_ok=True)
    train_fold(
        proteins,
        FoldParts("0", change.get("parts", parts).to_numpy(dtype=object)),
        Inputs(
            [root / "graphs.json"],
            [root / "embeddings.json"],
            root,
            change.get("own"),
            change.get("regions"),
        ),
        KEY,
        change.get("method_class", "network"),
        NETWORK,
        change.get("training", TRAINING),
        folder,
        "cpu",
    )


@pytest.fixture(scope="module")
def trained(setting, tmp_path_factory) -> Path:
    """Folder of a model that is trained with `TRAINING`; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    run(setting, folder)
    return folder


@pytest.fixture(scope="module")
def briefly_trained(setting, tmp_path_factory) -> Path:
    """The same with the settings `SHORT`."""
    folder = tmp_path_factory.mktemp("briefly_trained")
    run(setting, folder, training=SHORT)
    return folder


def own_language_model(setting: Setting, folder: Path, seen: list[str], adapter: str) -> Path:
    """A fold's ``language_model.json``, fine-tuned on the proteins of the parts `seen`."""
    proteins, parts, _ = setting
    folder.mkdir()
    write_weights(folder / "language_model.json", Weights("m", "m.pt", "00", "a", adapter))
    part = np.where(parts.isin(seen), "train", "").astype(object)
    write_training(folder / "training.csv", proteins, FoldParts("0", part))
    return folder / "language_model.json"


@pytest.fixture
def finetuned(setting, tmp_path) -> Setting:
    """The same proteins, with embeddings by the adapter ``a0``."""
    root = tmp_path / "root"
    shutil.copytree(setting[2], root)
    [note] = root.glob("embeddings/*/fingerprint.json")
    write_json(note, {"adapter": "a0"})
    return *setting[:2], root


@pytest.mark.parametrize("part", ["val", "cal", "test"])
def test_a_language_model_that_was_trained_on_what_is_held_out_is_refused(
    finetuned, tmp_path, part
):
    own = own_language_model(finetuned, tmp_path / "lm", ["train", part], "a0")
    with pytest.raises(HaloError, match=r"fine-tuned on \d+ proteins that the split now keeps out"):
        run(finetuned, tmp_path / "out", own=own)


@pytest.mark.parametrize(("adapter", "named"), [("a1", "sha256 a1"), (None, "pretrained")])
def test_embeddings_of_another_language_model_are_refused(finetuned, tmp_path, adapter, named):
    """Those of another fold's adapter, and those of an adapter where the published are read."""
    own = adapter and own_language_model(finetuned, tmp_path / "lm", ["train"], adapter)
    with pytest.raises(HaloError, match=f"a0, but the fold uses those of .*{named}"):
        run(finetuned, tmp_path / "out", own=own)


def test_published_embeddings_are_refused_where_the_fold_has_its_own(setting, tmp_path):
    own = own_language_model(setting, tmp_path / "lm", ["train"], "a0")
    with pytest.raises(HaloError, match="pretrained language model, but the fold uses"):
        run(setting, tmp_path / "out", own=own)


def test_the_number_of_workers_does_not_change_the_model(setting, briefly_trained, tmp_path):
    run(setting, tmp_path, training=replace(SHORT, workers=1))
    one, two = (folder / "model.safetensors" for folder in (briefly_trained, tmp_path))
    assert one.read_bytes() == two.read_bytes()


def test_a_fold_is_trained_saved_and_scored(setting, trained):
    proteins, _, _ = setting
    predictions = pd.read_csv(trained / "predictions.csv")
    assert predictions["part"].value_counts().to_dict() == {"val": 15, "cal": 10, "test": 15}
    assert list(predictions.columns) == ["id", "part", "p:A", "p:B"]
    truth = pd.DataFrame(proteins.labels, index=proteins.ids).loc[predictions["id"]].to_numpy()
    description = read_json(trained / "model.json")
    thresholds = [description["thresholds"][name] for name in ("A", "B")]
    accuracy = ((predictions[["p:A", "p:B"]].to_numpy() > thresholds) == truth).mean()
    assert accuracy > 0.9
    assert sum(description["modality_weights"].values()) == pytest.approx(1)
    history = pd.read_csv(trained / "history.csv")
    assert len(history) == description["epochs"]
    assert history.loc[history["kept"] == 1, "epoch"].iloc[-1] == description["kept_epoch"]


@pytest.mark.parametrize(("error", "kept"), [(0.0, 2), (0.02, 3), (0.2, 4)])
def test_of_epochs_that_do_not_differ_the_last_is_kept(error, kept):
    """The means of the epochs so far: 0.5, 0.6, 0.59 and 0.48."""
    position = Position()
    rows = [{"val_macro_f1": f1} for f1 in (0.5, 0.7, 0.57, 0.15)]
    for row in rows:
        position.end_epoch(row, error)
    assert (position.best_epoch, position.kept_epoch) == (2, kept)
    assert [row["kept"] for row in rows] == [1, 1, int(kept > 2), int(kept > 3)]


@pytest.mark.slow
def test_the_error_of_macro_f1_is_its_deviation_in_bootstrap_samples():
    rng = np.random.default_rng(3)
    truth, decisions = (rng.random((60, 4)) < share for share in (0.3, 0.4))
    samples = rng.integers(0, 60, (1000, 60))
    scores = [
        f1_score(truth[rows], decisions[rows], average="macro", zero_division=0) for rows in samples
    ]
    found = macro_f1_error(decisions.astype(np.uint8), truth.astype(np.float32))
    assert found == pytest.approx(np.std(scores), rel=0.15)


def test_the_same_seed_gives_the_same_model(setting, briefly_trained, tmp_path):
    run(setting, tmp_path, training=SHORT)
    for name in ("predictions.csv", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (briefly_trained / name).read_bytes()


def test_labels_of_held_out_proteins_have_no_part_in_training(setting, briefly_trained, tmp_path):
    """Other labels of cal and test, the same model: neither is looked at."""
    proteins, parts, root = setting
    other = proteins.labels.copy()
    held = parts.isin(["cal", "test"]).to_numpy()
    other[held] = 1 - other[held]
    changed = Proteins(proteins.table, proteins.label_names, other, proteins.task)
    run((changed, parts, root), tmp_path, training=SHORT)
    one, two = (folder / "model.safetensors" for folder in (briefly_trained, tmp_path))
    assert one.read_bytes() == two.read_bytes()


def test_a_saved_network_predicts_as_before(setting, trained):
    network, description = load_model(trained)
    proteins, _, root = setting
    stores = (
        Store.create(root, "graphs", {}, GRAPHS),
        Store.create(root, "embeddings", {}, EMBEDDINGS),
    )
    dataset = ProteinDataset(
        proteins.table["seq_hash"].to_numpy(dtype=object), proteins.labels, *stores
    )
    sampler = ResidueBudget(proteins.table["length"].to_numpy(), range(90), 500, 0, shuffle=False)
    with torch.inference_mode():
        found = torch.cat([network(batch).logits for batch in loader(dataset, sampler, 2)])
    expected = pd.read_csv(trained / "predictions.csv").set_index("id")
    rows = [proteins.ids.tolist().index(name) for name in expected.index]
    np.testing.assert_allclose(torch.sigmoid(found)[rows], expected[["p:A", "p:B"]], atol=1e-5)
    assert description.labels == ["A", "B"]


@pytest.mark.parametrize("method_class", NETWORKS)
def test_every_network_is_trained_saved_and_loaded(setting, tmp_path, method_class):
    run(setting, tmp_path, method_class=method_class, training=replace(TRAINING, epochs=2))
    network, description = load_model(tmp_path)
    assert isinstance(network, NETWORKS[method_class])
    assert description.method_class == method_class
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.slow
def test_interrupted_and_resumed_it_ends_as_if_undisturbed(
    setting, trained, tmp_path, monkeypatch, caplog
):
    """Killed in two epochs and resumed each time; a state of other settings is left alone."""
    monkeypatch.setattr(stage, "Training", partial(Training, save_seconds=0.0))
    caplog.set_level(logging.INFO, "halo")
    validate, ends = Training._validate, [3, 7]

    def validate_and_end(training: Training) -> None:
        if ends and training.position.epoch == ends[0]:
            raise Killed
        validate(training)

    monkeypatch.setattr(Training, "_validate", validate_and_end)
    while ends:
        with pytest.raises(Killed):
            run(setting, tmp_path)
        ends.pop(0)
    other = tmp_path / "state-0.safetensors"
    other.write_bytes(b"of another training")
    run(setting, tmp_path)
    assert [text for text in caplog.messages if "resumed" in text] == [
        "resumed at epoch 3",
        "resumed at epoch 7",
    ]
    for name in ("model.safetensors", "model.json", "predictions.csv"):
        assert (trained / name).read_bytes() == (tmp_path / name).read_bytes(), name
    folders = (trained, tmp_path)
    histories = [pd.read_csv(f / "history.csv").drop(columns="seconds") for f in folders]
    pd.testing.assert_frame_equal(*histories)
    assert not list(tmp_path.glob("state-*"))


@pytest.mark.parametrize(
    ("change", "resumed"),
    [("graphs", False), ("embeddings", False), ("of a test protein", True), ("workers", True)],
)
def test_a_state_of_other_inputs_is_not_resumed(
    setting, tmp_path, monkeypatch, caplog, change, resumed
):
    """Structures are replaced in the same store; those of proteins that are not learned may be."""
    proteins, parts, source = setting
    root = tmp_path / "root"
    shutil.copytree(source, root)
    files = ["embeddings.json"] if change == "embeddings" else ["graphs.json"]
    if change == "embeddings":
        reads_structures(root, proteins)
    monkeypatch.setattr(stage, "Training", partial(Training, save_seconds=0.0))
    caplog.set_level(logging.INFO, "halo")
    validate = Training._validate

    def end(training: Training) -> None:
        if training.position.epoch == 2:
            raise Killed
        validate(training)

    monkeypatch.setattr(Training, "_validate", end)
    settings = replace(TRAINING, epochs=2)
    with pytest.raises(Killed):
        run((proteins, parts, root), tmp_path / "out", training=settings)
    monkeypatch.setattr(Training, "_validate", validate)
    if change == "workers":
        settings = replace(settings, cache_gb=1.0, workers=1)
    else:
        part = "test" if change == "of a test protein" else "val"
        replace_in(root, files, proteins, int(np.flatnonzero(parts == part)[0]))
    run((proteins, parts, root), tmp_path / "out", training=settings)
    assert ("resumed at epoch 2" in caplog.messages) == resumed


def reads_structures(root: Path, proteins: Proteins) -> None:
    """Replace the embeddings by those of a language model that reads structures."""
    note = {"structures": "0"}
    store = Store.create(root, "embeddings", note, layout_of(note))
    rng = np.random.default_rng(0)
    with store.writer() as writer:
        for digest, length in proteins.table[["seq_hash", "length"]].itertuples(index=False):
            noise = rng.normal(size=(length, 8)).astype(np.float16)
            writer.add(digest, {"residues": noise}, {"structure_sha256": "old"})
    write_json(root / "embeddings.json", {"store": f"embeddings/{store.fingerprint}"})


def replace_in(root: Path, files: list[str], proteins: Proteins, row: int) -> None:
    """Write what a store has of a protein again, as made with another structure."""
    digest = proteins.table["seq_hash"].iat[row]
    for name in files:
        layout = GRAPHS if name == "graphs.json" else layout_of({"structures": "0"})
        store = open_store([root / name], layout, root)
        arrays = store.read(digest)
        with store.writer() as writer:
            writer.add(digest, arrays, {"structure_sha256": "new"})


@pytest.mark.parametrize("method_class", NETWORKS)
def test_inputs_are_hidden_only_from_networks_that_leave_out_a_modality(
    setting, tmp_path, monkeypatch, method_class
):
    """The baselines have no fusion: zeros would be an embedding like any other."""
    hidden: list[bool] = []
    forward = NETWORKS[method_class].forward

    def watched(network, batch):
        if network.training:
            hidden.append(bool((batch.present[:, 0] == 0).any()))
            zeros = torch.stack(
                [part.eq(0).all() for part in batch.embedding.split(batch.ptr.diff().tolist())]
            )
            assert torch.equal(zeros, ~batch.present[:, 0])
        return forward(network, batch)

    monkeypatch.setattr(NETWORKS[method_class], "forward", watched)
    settings = replace(TRAINING, epochs=1, embedding_dropout=0.5)
    run(setting, tmp_path, method_class=method_class, training=settings)
    assert any(hidden) == (method_class == "network")


def test_trained_in_mixed_precision_it_is_scored_as_it_predicts(setting, tmp_path, monkeypatch):
    """Thresholds are learned from the scores, and hold for what a bundle predicts."""
    run(setting, tmp_path, training=replace(TRAINING, epochs=2, precision="bfloat16"))
    history = pd.read_csv(tmp_path / "history.csv")
    assert np.isfinite(history["train_loss"]).all()
    network, _ = load_model(tmp_path)
    proteins, _, root = setting
    scored = pd.read_csv(tmp_path / "predictions.csv").set_index("id")
    rows = [proteins.ids.tolist().index(name) for name in scored.index]
    stores = (
        Store.create(root, "graphs", {}, GRAPHS),
        Store.create(root, "embeddings", {}, EMBEDDINGS),
    )
    table = proteins.table.iloc[rows]
    hashes = table["seq_hash"].to_numpy(dtype=object)
    dataset = ProteinDataset(hashes, proteins.labels[rows], *stores)
    outputs = network_outputs(network, dataset, table["length"].to_numpy(), "cpu")
    predicted = outputs.logits
    np.testing.assert_allclose(predicted.sigmoid(), scored[["p:A", "p:B"]], rtol=0, atol=1e-5)
    # In several batches, each by one of three threads.
    monkeypatch.setattr(ensemble, "RESIDUES", int(table["length"].sum() / 5))
    threads, used = torch.get_num_threads(), set()
    network.register_forward_hook(lambda *_: used.add((get_ident(), torch.get_num_threads())))
    torch.set_num_threads(3)
    try:
        again = network_outputs(network, dataset, table["length"].to_numpy(), "cpu")
    finally:
        torch.set_num_threads(threads)
    assert get_ident() not in dict(used)
    assert set(dict(used).values()) == {1}
    np.testing.assert_allclose(again.logits, predicted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(again.weights, outputs.weights, rtol=0, atol=1e-5)


def test_validation_and_scores_are_computed_by_the_fused_function(setting, tmp_path, monkeypatch):
    """As the steps of the training: it takes less time there, too."""
    in_inference = []

    def fused(*arguments):
        in_inference.append(torch.is_inference_mode_enabled())
        return fused_attention(*arguments)

    monkeypatch.setattr(graph_attention, "fused_attention", fused)
    monkeypatch.setattr(GraphAttention, "_by_steps", None)
    run(setting, tmp_path, training=replace(TRAINING, epochs=1))
    assert set(in_inference) == {False, True}


def test_a_loss_that_is_no_number_is_an_error(setting, tmp_path):
    with pytest.raises(HaloError, match=r"loss is NaN or infinite; lower training\.learning_rate"):
        run(setting, tmp_path, training=replace(TRAINING, learning_rate=1e30))


def test_a_gpu_without_memory_for_a_batch_is_reported(setting, tmp_path, monkeypatch):
    def training(self):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(Training, "run", training)
    with pytest.raises(HaloError, match=r"too small for a batch.*lower training\.residues_per_b"):
        run(setting, tmp_path)


def test_what_is_no_model_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(HaloError, match="damaged"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"format": 0}')
    with pytest.raises(HaloError, match="format 0, and this HALO reads format 3"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(HaloError, match="not readable as JSON"):
        load_model(tmp_path)


def test_the_longest_protein_is_trained_and_scored_whole(tmp_path):
    """34,350 residues, titin's: forty times the budget, and a batch of its own."""
    rng = np.random.default_rng(3)
    sequences = [random_sequence(rng, length) for length in (34_350, 50, 60, 34_350, 50, 60)]
    parts = ["train"] * 3 + ["val", "cal", "test"]
    setting = setting_of(tmp_path, rng, sequences, rng.integers(0, 2, (6, 2)), parts)
    run(setting, tmp_path / "run", training=replace(TRAINING, epochs=2, residues_per_batch=850))
    predictions = pd.read_csv(tmp_path / "run/predictions.csv", index_col="id")
    assert predictions.loc["p003", "part"] == "val"
    assert predictions[["p:A", "p:B"]].notna().all(axis=None)


def test_the_middle_of_long_proteins_is_cropped_in_training_only(tmp_path, monkeypatch):
    """The longest training protein has 600 residues, and so has one of validation and of test."""
    rng = np.random.default_rng(1)
    lengths = [600, 30, 40, 50, 600, 35, 600, 35]
    sequences = [random_sequence(rng, length) for length in lengths]
    parts = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    labels = np.array([(0, 1), (1, 0)] * 4)
    seen: list[tuple[bool, int]] = []
    forward = HaloNetwork.forward

    def watched(network, batch):
        seen.append((network.training, int(batch.ptr.diff().max())))
        return forward(network, batch)

    monkeypatch.setattr(HaloNetwork, "forward", watched)
    settings = replace(TRAINING, epochs=2, residues_per_batch=4096, longest=64)
    run(setting_of(tmp_path, rng, sequences, labels, parts), tmp_path / "out", training=settings)
    assert {longest for training, longest in seen if training} == {64}
    assert {longest for training, longest in seen if not training} == {600}


@pytest.fixture(scope="module")
def regions(setting, tmp_path_factory) -> Path:
    """Label A's first residues are a region; each fifth protein is not annotated."""
    table = setting[0].table
    of_protein = {
        name: (Region(1, 5, "start"), Region(6, len(sequence), ""))
        if sequence.startswith("KKKKK")
        else (Region(1, len(sequence), ""),)
        for number, (name, sequence) in enumerate(zip(table["id"], table["sequence"], strict=True))
        if number % 5
    }
    file = tmp_path_factory.mktemp("regions") / "regions.csv"
    write_regions(file, Regions(("start",), of_protein))
    return file


@pytest.mark.slow
def test_regions_are_learned_with_the_labels(setting, regions, tmp_path):
    proteins, parts, root = setting
    settings = replace(TRAINING, epochs=25, patience=25, region_weight=2.0)
    run(setting, tmp_path, training=settings, regions=regions)
    true = read_regions(regions)
    held_out = [name for name in parts.index[parts != "train"] if name in true.of_protein]
    found = pd.read_csv(tmp_path / "regions.csv")
    assert set(found["id"]) <= set(held_out)  # no training protein, and no unknown one
    assert found["confidence"].between(0.5, 1).all()
    with_region = {name for name in held_out if true.named(name)}
    assert len(with_region & set(found["id"])) > 0.8 * len(with_region)
    assert len(set(found["id"]) - with_region) < 0.2 * len(with_region)
    assert found["end"].between(3, 7).mean() > 0.8
    network, description = load_model(tmp_path)
    assert description.regions.kinds == ["start"]
    dataset = ProteinDataset(
        proteins.table["seq_hash"].to_numpy(object), proteins.targets,
        open_store([root / "graphs.json"], GRAPHS, root),
        open_store([root / "embeddings.json"], EMBEDDINGS, root),
    )  # fmt: skip
    lengths = proteins.table["length"].to_numpy()
    row = int(np.flatnonzero(proteins.ids == found["id"].iat[0])[0])
    [(_, p)] = region_probabilities(network, dataset, lengths, [row], settings)
    assert p.shape == (lengths[row], 2)
    first = decode(p, ["start"], description.regions.transitions)[0]
    assert (first.start, first.end) == tuple(found[["start", "end"]].iloc[0])
    assert first.confidence == pytest.approx(found["confidence"].iat[0], abs=1e-3)


@pytest.mark.parametrize(("method_class", "weight"), [("mean_embedding", 1.0), ("network", 0.0)])
def test_a_network_without_regions_writes_none(setting, regions, tmp_path, method_class, weight):
    settings = replace(TRAINING, epochs=1, region_weight=weight)
    run(setting, tmp_path, method_class=method_class, training=settings, regions=regions)
    assert pd.read_csv(tmp_path / "regions.csv").columns.tolist() == [
        "id", "start", "end", "kind", "confidence",
    ]  # fmt: skip
    assert load_model(tmp_path)[1].regions is None


def test_a_part_without_proteins_is_an_error(setting, tmp_path):
    _, parts, _ = setting
    with pytest.raises(HaloError, match="no protein in 'val'"):
        run(setting, tmp_path, parts=parts.replace("val", "train"))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=60), st.integers(1, 500), st.booleans())
def test_batches_keep_the_budget_and_lose_nothing(lengths, budget, shuffle):
    lengths = np.array(lengths)
    sampler = ResidueBudget(lengths, range(len(lengths)), budget, 1, shuffle)
    made = list(sampler)
    assert sorted(row for batch in made for row in batch) == list(range(len(lengths)))
    assert all(lengths[batch].sum() <= budget or len(batch) == 1 for batch in made)
    assert made == list(sampler)
    sampler.epoch = 1
    if shuffle and len(lengths) > 20:
        assert made != list(sampler)
