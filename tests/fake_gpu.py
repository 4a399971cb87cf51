"""Run what a GPU computes with a stand-in for it: tensors without values that know their device.

Within `FakeGpu`, ``cuda`` is a device of PyTorch's fake tensors, also in a build of PyTorch for
CPUs: an operation on tensors of several devices is an error, as it is on a GPU, and so is the use
of a value. What fake tensors do not cover (events, pinned memory, the properties of the GPU) is
replaced. The device belongs to the process, so this is a program: it prints what each path says,
as one JSON object.
"""

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Any

import numpy as np
import pytest
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

from halo.embeddings.padded import PaddedEncoder, PaddedModel
from halo.embeddings.settings import EmbeddingSettings
from halo.finetuning.learner import Learner
from halo.finetuning.settings import FinetuneSettings
from halo.graphs.build import GraphSettings, build_graph
from halo.network.batch import Batch
from halo.network.classes import NETWORKS, prepared
from halo.network.features import protein_data
from halo.network.loss import focal_loss, softmax_focal_loss
from halo.network.model import NetworkSettings

NAME = "fakegpu"  # of the device in PyTorch
H100 = (9, 0)  # compute capability


class Backend(_DummyBackendModule):
    """The module ``torch.fakegpu``."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Dtypes of autocast."""
        return [torch.bfloat16, torch.float16]


_setup_privateuseone_for_python_backend(NAME, Backend())
GPU, CPU = torch.device(NAME, 0), torch.device("cpu")
PLACES = ("cuda", NAME)


class Event:
    """An event that has always happened."""

    def record(self) -> None:
        """Do nothing."""

    def synchronize(self) -> None:
        """Do nothing."""


class FakeGpu(TorchFunctionMode):
    """A context in which ``cuda`` can be used without one."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = FakeTensorMode()
        self.patch = pytest.MonkeyPatch()

    def __enter__(self) -> "FakeGpu":
        self.patch.setattr(torch.cuda, "get_device_capability", lambda *_: H100)
        self.patch.setattr(torch.cuda, "Event", Event)
        move = self._module  # a function: a method would be bound to this object
        self.patch.setattr(nn.Module, "to", lambda module, *args: move(module, *args))
        self.mode.__enter__()
        super().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self.mode.__exit__(kind, error, trace)
        self.patch.undo()

    def _module(self, module: nn.Module, *args: Any) -> nn.Module:
        """``module.to(...)`` in place, which PyTorch itself cannot do with fake tensors."""
        for each in module.modules():
            for name, value in each._parameters.items():
                if value is not None:
                    moved = nn.Parameter(value.detach().to(*args), value.requires_grad)
                    each._parameters[name] = moved
            for name, buffer in each._buffers.items():
                if buffer is not None:
                    each._buffers[name] = buffer.to(*args)
        return module

    def placed(self, tensor: Tensor, device: torch.device) -> Tensor:
        """The fake tensor of that shape and dtype on a device."""
        with no_dispatch():
            empty = torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device="meta")
        return FakeTensor(self.mode, empty, device)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function is Tensor.pin_memory:
            return args[0]
        if function in (Tensor.to, Tensor.cpu):
            return self._moved(function, *args, **kwargs)
        kwargs.pop("pin_memory", None)
        device = kwargs.get("device")
        if device is None or torch.device(device).type not in PLACES:
            return function(*args, **kwargs)
        return self.placed(function(*args, **{**kwargs, "device": "cpu"}), GPU)

    def _moved(self, function: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kwargs.pop("non_blocking", None)
        device = kwargs.pop("device", CPU if function is Tensor.cpu else None)
        for value in args:
            if isinstance(value, str | torch.device):
                device = value
            elif isinstance(value, torch.dtype):
                kwargs["dtype"] = value
        if "dtype" in kwargs:
            tensor = Tensor.to(tensor, kwargs["dtype"])
        if device is None:
            return tensor
        place = GPU if torch.device(device).type in PLACES else CPU
        return tensor if tensor.device == place else self.placed(tensor, place)


SEQUENCES = ["MKVLAA", "MK", "MSTNPKPQRKTKRNT"]
ALPHABET = Alphabet.from_architecture("ESM-1b")
DIM, LABELS = 8, 3
SMALL = NetworkSettings(hidden=16, layers=1, heads=2, pooling_heads=2)


def require_on_gpu(*tensors: Tensor | None) -> None:
    """Raise an AssertionError if a tensor is elsewhere."""
    for tensor in tensors:
        assert tensor is not None
        assert tensor.device == GPU, tensor.device


def embed(dtype: torch.dtype) -> None:
    """Start a batch of embeddings, and fetch it."""
    encoder = PaddedEncoder(ESM2(2, 32, 4, ALPHABET), ALPHABET, -1, "cuda", dtype)
    require_on_gpu(*encoder.model.parameters())
    encoder.start(SEQUENCES)


def embed_by_transformers(architecture: str, dtype: torch.dtype) -> None:
    """Start a batch of embeddings by a random model of transformers."""
    import transformers

    from halo.embeddings.transformers_model import Tokens, TransformersModel

    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = {
        "T5EncoderModel": lambda: transformers.T5Config(d_model=32, d_kv=8, num_layers=2),
        "EsmModel": lambda: transformers.EsmConfig(
            **shape, intermediate_size=64, vocab_size=33, pad_token_id=1, mask_token_id=32,
            position_embedding_type="rotary", token_dropout=True,
        ),
        "EsmcModel": lambda: transformers.EsmcConfig(**shape, intermediate_size=64),
    }[architecture]()  # fmt: skip
    encoder = type("Random", (TransformersModel,), {"token_numbers": None})
    made = encoder.__new__(encoder)
    made.vocabulary = Tokens({}, unknown=5, padding=config.pad_token_id, start=(0,), end=(2,))
    made.layer, made.is_last = 0, True
    model = getattr(transformers, architecture)(config).eval()
    PaddedModel.__init__(made, model, "cuda", dtype)
    require_on_gpu(*made.model.parameters())
    made.start(SEQUENCES)


def train(network: nn.Module, batch: Batch, loss_of: Callable[..., Tensor]) -> None:
    """Compute a loss and its gradients."""
    network = network.to("cuda").train()
    batch = batch.to("cuda")
    logits = network(batch).logits
    loss = loss_of(logits.float(), batch.y, 2.0, torch.ones(LABELS, device="cuda"))
    loss.backward()
    learned = [value for value in network.parameters() if value.requires_grad]
    require_on_gpu(loss, *(value.grad for value in learned if value.grad is not None))
    assert any(value.grad is not None for value in learned)


def finetune(method: str) -> None:
    """Compute a loss of the fine-tuning and its gradients, and score."""
    settings = FinetuneSettings(method=method, last_layers=1)
    embedding = EmbeddingSettings(window=64, overlap=16)
    learner = Learner(ESM2(2, 32, 4, ALPHABET), ALPHABET, LABELS, embedding, settings, 1)
    learner = learner.to("cuda")
    logits = learner(SEQUENCES)
    logits.sum().backward()
    require_on_gpu(logits, *(v.grad for v in learner.parameters() if v.grad is not None))


def mix() -> None:
    """Add tensors of two devices, which has to fail."""
    torch.ones(3, device="cuda") + torch.ones(3)


def paths() -> dict[str, Callable[[], None]]:
    """What is run on the GPU, by name; inputs are made on the CPU."""
    proteins = []
    for sequence in SEQUENCES:
        graph = build_graph(sequence, None, GraphSettings())
        data = protein_data(graph, np.zeros((len(sequence), DIM), np.float16))
        data.y = torch.ones(1, LABELS)
        proteins.append(data)
    found: dict[str, Callable[[], None]] = {"mix": mix}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        found[f"embed {dtype}"] = lambda dtype=dtype: embed(dtype)
        if find_spec("transformers"):
            for name in ("T5EncoderModel", "EsmModel", "EsmcModel"):
                found[f"embed {name} {dtype}"] = lambda dtype=dtype, name=name: (
                    embed_by_transformers(name, dtype)
                )
    for name in NETWORKS:
        network: nn.Module = NETWORKS[name](DIM, LABELS, SMALL)
        batch = prepared(network, Batch.from_data_list(proteins))
        for loss in (focal_loss, softmax_focal_loss):
            found[f"train {name} {loss.__name__}"] = lambda name=name, batch=batch, loss=loss: (
                train(NETWORKS[name](DIM, LABELS, SMALL), batch, loss)
            )
    for method in ("lora", "last_layers"):
        found[f"finetune {method}"] = lambda method=method: finetune(method)
    return found


def said(path: Callable[[], None]) -> str:
    """What running a path ends with."""
    try:
        with FakeGpu():
            path()
    except Exception as error:  # of any kind: the test shows it
        return f"{type(error).__name__}: {error}"
    return "ok"


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # autocast says that there is no CUDA
    print(json.dumps({name: said(path) for name, path in paths().items()}))
