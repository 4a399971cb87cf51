"""What a GPU computes equals what the CPU computes, within tolerance (make test-gpu).

With HALO_TEST_DEVICE=cpu they run on the CPU, which shows that the tests themselves work.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor, nn

from halo.embeddings.adapters import adapt
from halo.embeddings.embed import embed
from halo.embeddings.packed import PackedEncoder
from halo.embeddings.padded import PaddedEncoder
from halo.embeddings.settings import EmbeddingSettings
from halo.files import sha256_of_text
from halo.finetuning.learner import Learner
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.graphs.build import GraphSettings, build_graph
from halo.network.batch import Batch
from halo.network.classes import NETWORKS, prepared
from halo.network.features import protein_data
from halo.network.loss import focal_loss
from halo.network.model import NetworkSettings
from halo.predict.run import predict
from halo.proteins.members import Member
from predict_bundle import OFFLINE

DEVICE = os.environ.get("HALO_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no GPU"
    ),
]
ALPHABET = Alphabet.from_architecture("ESM-1b")
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
DIM, LABELS = 32, 4


def language_model() -> ESM2:
    torch.manual_seed(0)
    return ESM2(4, 64, 4, ALPHABET).eval()


def members(count: int, longest: int) -> list[Member]:
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(LETTERS, n)) for n in rng.integers(2, longest, count)]
    return [Member(sha256_of_text(text), (), text) for text in texts]


def relative(one: Tensor | np.ndarray, other: Tensor | np.ndarray) -> float:
    """Root mean square of the difference, relative to that of the second."""
    first, second = (np.asarray(part, np.float64) for part in (one, other))
    return float(np.sqrt(np.square(first - second).mean() / np.square(second).mean()))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 2e-3), (torch.float16, 5e-3), (torch.bfloat16, 3e-2)],
)
def test_embeddings(dtype, tolerance):
    """In float32, the rows are rounded to float16 on the GPU."""
    settings = EmbeddingSettings(window=200, overlap=40, tokens_per_batch=2000)
    proteins = members(40, 500)
    cpu = dict(embed(proteins, PackedEncoder(language_model(), ALPHABET, -1), settings))
    encoder = PaddedEncoder(language_model(), ALPHABET, -1, DEVICE, dtype)
    found = dict(embed(proteins, encoder, settings))
    assert found.keys() == cpu.keys()
    assert max(relative(found[name], cpu[name]) for name in cpu) < tolerance


def test_states_beyond_float16_are_kept():
    model = language_model()
    with torch.no_grad():
        model.emb_layer_norm_after.weight *= 1e6
    encoder = PaddedEncoder(model, ALPHABET, -1, DEVICE, torch.float32)
    [states] = encoder.start(["MKVLAAGW"])()
    assert states.dtype == torch.float32
    assert states.isfinite().all()
    assert states.abs().max() > 65_504


@pytest.mark.skipif(DEVICE == "cpu", reason="the memory of a CPU is not limited")
def test_a_batch_that_does_not_fit_is_halved(caplog):
    proteins = [Member(str(number), (), "M" * 1000) for number in range(64)]
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(2e8 / total)
    try:
        encoder = PaddedEncoder(language_model(), ALPHABET, -1, DEVICE, torch.float32)
        settings = EmbeddingSettings(tokens_per_batch=1_000_000)
        found = dict(embed(proteins, encoder, settings))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert len(found) == len(proteins)
    assert "does not hold" in caplog.text


def batch_of_proteins() -> list:
    rng = np.random.default_rng(2)
    proteins = []
    for member in members(12, 120):
        length = len(member.sequence)
        graph = build_graph(member.sequence, None, GraphSettings())
        data = protein_data(graph, rng.normal(size=(length, DIM)).astype(np.float16))
        data.y = torch.from_numpy(rng.integers(0, 2, (1, LABELS)).astype(np.float32))
        proteins.append(data)
    return proteins


def gradients(name: str, device: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and gradients of a network without dropout."""
    torch.manual_seed(3)
    settings = NetworkSettings(hidden=32, layers=2, heads=4, pooling_heads=2, dropout=0.0)
    network: nn.Module = NETWORKS[name](DIM, LABELS, settings)
    network = network.to(device).train()
    for module in network.modules():
        if hasattr(module, "p"):  # light attention has a dropout of its own
            module.p = 0.0
    batch = prepared(network, Batch.from_data_list(batch_of_proteins())).to(device)
    logits = network(batch).logits
    focal_loss(logits, batch.y, 2.0, torch.ones(LABELS, device=device)).backward()
    learned = {
        key: value.grad.cpu() for key, value in network.named_parameters() if value.grad is not None
    }
    return logits.detach().cpu(), learned


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_their_gradients(name):
    (expected, by_cpu), (found, by_gpu) = gradients(name, "cpu"), gradients(name, DEVICE)
    assert relative(found, expected) < 1e-3
    assert by_cpu.keys() == by_gpu.keys()
    largest = max(value.abs().max() for value in by_cpu.values())
    for key, value in by_cpu.items():
        assert (by_gpu[key] - value).abs().max() < 1e-2 * largest, key


@pytest.mark.parametrize("method", ["lora", "last_layers"])
def test_fine_tuning_scores(method):
    settings = FinetuneSettings(method=method, last_layers=1)
    embedding = EmbeddingSettings(window=64, overlap=16, precision="float32")
    sequences = [member.sequence for member in members(12, 150)]
    scores = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(4)
        learner = Learner(language_model(), ALPHABET, LABELS, embedding, settings, 1).to(device)
        learner.standardize(sequences)
        scores.append(learner.score(sequences, Processes()))
    assert relative(scores[1], scores[0]) < 2e-2


def test_adapters_do_not_leave_the_device():
    model = language_model().to(DEVICE)
    settings = FinetuneSettings().adapter(-1)
    assert {value.device.type for value in adapt(model, settings).values()} == {DEVICE}


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("auto", 2e-2)])
def test_predictions_of_a_bundle(small_run, small_bundle, tmp_path, precision, tolerance):
    rows = small_run.proteins.table.head(20)
    fasta = Path(tmp_path / "in.fasta")
    fasta.write_text(
        "".join(f">{n}\n{s}\n" for n, s in zip(rows["id"], rows["sequence"], strict=True))
    )
    tables = []
    for device in ("cpu", DEVICE):
        settings = replace(
            OFFLINE, device=device, page=2, precision="float32" if device == "cpu" else precision
        )
        out = tmp_path / f"{device}{len(tables)}"
        tables.append(pd.read_csv(predict(fasta, small_bundle, out, settings)))
    columns = [name for name in tables[0] if name.startswith("p:")]
    difference = (tables[0][columns] - tables[1][columns]).abs().to_numpy().max()
    assert difference < tolerance
