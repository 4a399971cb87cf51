"""Handling of GPUs, tested without a GPU: selection, memory, synchronization."""

import logging
import os
import subprocess
import sys
import tempfile
import weakref
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention

from halo import device, machine
from halo.cli import process_number
from halo.device import (
    choose_device,
    claim_device,
    is_out_of_memory,
    needing_memory,
    within_memory,
)
from halo.embeddings import padded
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.encoder import encode
from halo.embeddings.fused_layers import FusedEncoder, packed_attention
from halo.embeddings.limits import NotFinite, require_finite
from halo.embeddings.padded import (
    PaddedEncoder,
    cast_products,
    packed_half,
    residue_rows,
    unpadded,
)
from halo.embeddings.precision import matrix_dtype
from halo.embeddings.tokens import Tokenizer
from halo.errors import HaloError
from halo.finetuning import processes
from halo.finetuning.processes import Processes
from halo.training.precision import mixed_precision

T4, V100, RTX_20, A100, H100 = (7, 5), (7, 0), (7, 5), (8, 0), (9, 0)
SEQUENCES = ["MKVLAA", "MK", "MSTNPKPQRKTKRNTNRRPQDVKFPGGGQIVGG"]


@pytest.fixture(scope="module")
def checkpoint(root) -> Path:
    return root / "resources/demo/esm2_demo.pt"


# Several GPUs on one machine

ANOTHER_JOB = """
import sys, torch
from types import SimpleNamespace
from halo.device import claim_device
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 2
torch.cuda.get_device_properties = lambda number: SimpleNamespace(uuid=f"GPU-{number}")
torch.cuda.set_device = lambda number: print(number, flush=True)
claim_device()
print("claimed", flush=True)
sys.stdin.read()
"""


def test_jobs_on_one_machine_take_different_gpus(root, tmp_path, monkeypatch, caplog):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root / "workflow")}
    command = [sys.executable, "-c", ANOTHER_JOB]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=f"GPU-{number}")
    )
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "_claims", [])
    with subprocess.Popen(command, env=environment, **pipes) as job:
        assert job.stdout.readline() == "0\n"
        assert job.stdout.readline() == "claimed\n"
        assert claim_device() == "cuda"
        claim_device()  # the same job once more
        assert chosen == [1]
        first = device._claims.pop()
        with caplog.at_level("WARNING", "halo"):
            claim_device()  # a third job
        assert chosen == [1]
        assert "all 2 GPUs are used" in caplog.text
        job.kill()  # the claim of a killed job ends with it
    claim_device()
    assert chosen == [1, 0]
    for file in (first, *device._claims):
        file.close()


def test_a_single_gpu_is_not_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert claim_device() == "cuda"
    assert not list(tmp_path.iterdir())


# Which device, and which numbers


@pytest.mark.parametrize("capability", [T4, V100, RTX_20])
def test_auto_takes_no_bfloat16_that_is_emulated(capability, monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)  # as PyTorch says
    assert matrix_dtype("auto", "cuda") == torch.float16
    monkeypatch.setattr(torch, "autocast", lambda *given, enabled: enabled)
    assert mixed_precision(torch.device("cuda"), "auto") is False
    with caplog.at_level("WARNING", "halo"):
        assert matrix_dtype("bfloat16", "cuda") == torch.bfloat16
    assert "only emulates bfloat16" in caplog.text


@pytest.mark.parametrize("capability", [A100, H100])
def test_auto_takes_bfloat16_where_the_gpu_has_it(capability, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert matrix_dtype("auto", "cuda") == torch.bfloat16
    monkeypatch.setattr(torch, "autocast", lambda *given, enabled: enabled)
    assert mixed_precision(torch.device("cuda"), "auto") is True


def test_on_a_cpu_all_is_float32():
    assert matrix_dtype("auto", "cpu") == torch.float32
    with mixed_precision(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("build", "visible", "fault", "message"),
    [
        (None, None, None, r"PyTorch \S+ is a build for CPUs"),
        ("13.0", "", None, "CUDA_VISIBLE_DEVICES hides every GPU"),
        ("13.0", None, "driver too old\nmore", r"the driver cannot be used \(driver too old\)"),
        ("13.0", None, None, "there is none on this machine"),
    ],
)
def test_a_gpu_that_is_required_and_cannot_be_used(build, visible, fault, message, monkeypatch):
    def init() -> None:
        if fault:
            raise RuntimeError(fault)

    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(HaloError, match=message):
        choose_device("cuda")
    assert choose_device("auto") == choose_device("cpu") == "cpu"


def test_an_unused_gpu_is_reported(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("halo.device.DRIVER", tmp_path)
    with caplog.at_level("WARNING", "halo"):
        assert choose_device("auto") == "cpu"
    assert "this machine has a GPU" in caplog.text


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"


# Several processes


def test_what_another_program_left_in_the_environment_starts_no_group(monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert process_number() == 0
    with processes.processes("cpu") as (group, device):
        assert (group, device) == (Processes(), "cpu")


def test_more_gpus_than_there_are(monkeypatch):
    names = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "RANK": "0"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(HaloError, match=r"finetune.gpus is 4, but this job sees 2: lower"),
        processes.processes(),
    ):
        pass


# Memory

RUN_OUT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
]


@pytest.mark.parametrize("error", RUN_OUT)
def test_what_failed_is_gone_before_the_cache_is_emptied(error, monkeypatch):
    """Else the cache is emptied of nothing, and the next attempt fails as well."""
    held, alive = [], []

    def work() -> None:
        large = torch.ones(10)
        held.append(weakref.ref(large))
        raise error.__class__(*error.args)

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(held[0]() is not None))
    assert is_out_of_memory(error)
    assert within_memory(work) is None
    assert alive == [False]


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx512f", "amx_bf16"}, torch.bfloat16),
        ({"avx512_bf16"}, torch.bfloat16),
        ({"avx512f", "avx2"}, torch.float32),
        (set(), torch.float32),
    ],
)
def test_auto_is_bfloat16_on_a_cpu_that_has_it_and_is_logged(flags, dtype, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    assert matrix_dtype("auto", "cpu") == dtype
    assert ("computed in bfloat16" in caplog.text) == (dtype == torch.bfloat16)
    assert matrix_dtype("float32", "cpu") == torch.float32


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory")])
def test_other_errors_are_not_changed(error):
    def work() -> None:
        raise error

    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        within_memory(work)


@pytest.mark.parametrize("error", RUN_OUT)
def test_a_model_that_does_not_fit_is_reported_with_its_size(error, checkpoint, monkeypatch):
    def refuse(self, device):
        raise error

    model, alphabet = load_esm2(checkpoint)
    monkeypatch.setattr(torch.nn.Module, "to", refuse)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1_000_000_000, 16_000_000_000))
    monkeypatch.setattr(padded, "cast_products", lambda *_: None)
    message = (
        r"the GPU's memory \(16.0 GB, 1.0 GB of it free\) is too small for the language model "
        r"\(0.0 GB\); choose a smaller one"
    )
    with pytest.raises(HaloError, match=message):
        PaddedEncoder(model, alphabet, -1, "cuda", torch.bfloat16)


def test_an_error_of_another_kind_is_raised():
    with pytest.raises(RuntimeError, match="shape"), needing_memory("it", "lower it"):
        raise RuntimeError("shape mismatch")


# What the GPU is asked to do with the states


def test_packed_half_is_the_residues_without_padding(checkpoint):
    model, alphabet = load_esm2(checkpoint)
    tokens, is_residue = Tokenizer(alphabet).padded(SEQUENCES)
    lengths = list(map(len, SEQUENCES))
    with torch.inference_mode():
        hidden = encode(model, tokens)
        rows, in_range = packed_half(hidden, residue_rows(lengths))
    torch.testing.assert_close(rows, hidden[is_residue].half(), rtol=0, atol=0)
    assert rows.dtype == torch.float16
    assert in_range.item()
    assert [len(part) for part in rows.split(lengths)] == lengths


def attention_one_by_one(query, key, value, starts, *_):
    """What a GPU's attention to concatenated sequences computes: here, each by itself."""
    parts = [
        scaled_dot_product_attention(*(part[a:b].transpose(0, 1) for part in (query, key, value)))
        for a, b in pairwise(starts.tolist())
    ]
    return torch.cat([part.transpose(0, 1) for part in parts])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("layer", [-1, 1])
def test_concatenated_and_padded_sequences_have_the_same_states(
    checkpoint, dtype, tolerance, layer
):
    model, alphabet = load_esm2(checkpoint)
    lengths = list(map(len, SEQUENCES))
    tokens, is_residue = Tokenizer(alphabet).padded(SEQUENCES)
    with torch.inference_mode():
        expected = encode(model, tokens, layer)[is_residue]
        encoder = PaddedEncoder(model, alphabet, layer, "cpu", dtype)
        for encoder.attention in (None, attention_one_by_one):
            tokens, numbers = encoder.tokens(SEQUENCES)
            assert numbers == lengths
            places = residue_rows(lengths, packed=encoder.attention is not None)
            rows = unpadded(encoder.states(tokens, lengths), places)
            assert (rows - expected).abs().max() < tolerance


@pytest.mark.parametrize(
    ("heads", "capability", "fails", "packs"),
    [
        (4, A100, False, True),
        (4, V100, False, False),
        (16, A100, False, False),
        (4, A100, True, False),
    ],
    ids=["A100", "V100", "narrow heads", "not supported"],
)
def test_where_sequences_are_concatenated(monkeypatch, caplog, heads, capability, fails, packs):
    """On the device "meta", which computes nothing."""

    def attention(*_):
        if fails:
            raise RuntimeError("this build has no kernels\nfor this GPU")

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", attention)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    model = ESM2(1, 64, heads, Alphabet.from_architecture("ESM-1b"))
    with caplog.at_level(logging.INFO, "halo"):
        found = packed_attention(model, "meta", torch.bfloat16)
    assert (found is attention) == packs
    assert ("padded: this build has no kernels" in caplog.text) == fails
    assert packed_attention(model, "meta", torch.float32) is None
    assert packed_attention(model, "cpu", torch.bfloat16) is None


@pytest.mark.parametrize(("value", "finite"), [(1e5, True), (torch.inf, False), (torch.nan, False)])
def test_values_beyond_float16_are_counted_on_the_device(value, finite):
    lengths = [3, 1, 4]
    hidden = torch.ones(3, 6, 2)
    hidden[0, 5] = torch.nan  # padding, of which nothing is asked
    rows = residue_rows(lengths)
    assert packed_half(hidden, rows)[1].item()
    hidden[2, 4, 1] = value
    assert not packed_half(hidden, rows)[1].item()
    parts = unpadded(hidden, rows).split(lengths)
    if finite:
        require_finite(parts)
    else:
        with pytest.raises(NotFinite) as error:
            require_finite(parts)
        assert error.value.number == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_that_are_cast_once_give_what_autocast_gives(checkpoint, dtype):
    model, alphabet = load_esm2(checkpoint)
    tokens, _ = Tokenizer(alphabet).padded(SEQUENCES)
    with torch.inference_mode(), torch.autocast("cpu", dtype):
        every_time = encode(model, tokens)
        cast_products(model, dtype)
        once = encode(model, tokens)
    assert torch.equal(every_time, once)
    kinds = {value.dtype for value in model.layers.parameters()}
    assert kinds == {dtype, torch.float32}  # norms stay as they are


def without_values(tensor: torch.Tensor) -> torch.Tensor:
    """One like it, within a `FakeTensorMode`."""
    return torch.empty(tensor.shape, dtype=tensor.dtype)


def test_on_the_gpu_nothing_has_to_be_waited_for():
    """Fake tensors have no values: what reads one, or takes a shape from one, is an error."""
    alphabet = Alphabet.from_architecture("ESM-1b")
    tokens, _ = Tokenizer(alphabet).padded(SEQUENCES)
    rows = residue_rows(list(map(len, SEQUENCES)))
    with FakeTensorMode(), torch.no_grad():
        encoder = FusedEncoder(ESM2(2, 32, 4, alphabet), -1, torch.bfloat16)
        hidden = encoder.padded(without_values(tokens), has_padding=True)
        packed, _ = packed_half(hidden, without_values(rows))
    assert packed.shape == (sum(map(len, SEQUENCES)), 32)
