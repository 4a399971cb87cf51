"""Checkpoints of language models: intact ESM-2 is accepted, other files are refused by type."""

import argparse
import errno
import gzip
import json
import os
import pickle
import re
import runpy
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from safetensors.torch import save_file
from torch.nn.utils import parametrize

from child import User
from halo.embeddings import find, known_states
from halo.embeddings.adapter_file import FORMAT, AdapterDescription
from halo.embeddings.adapters import adapt
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.find import find_weights
from halo.embeddings.language_model import load_language_model
from halo.embeddings.published import PUBLISHED, Published
from halo.embeddings.weights import Weights, read_weights, write_weights
from halo.errors import HaloError
from halo.files import read_json, sha256_of_file, sha256_of_text
from halo.finetuning.settings import FinetuneSettings
from halo.proteins.members import HEADER
from halo.store import bucket_of
from halo.typed_json import write_typed

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in &amp; go on</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 2604537549\n"
ESM1 = {
    "args": argparse.Namespace(arch="protein_bert_base"),
    "model": {
        "decoder.embed_positions._float_tensor": torch.zeros(1),
        "decoder.layers.0.self_attn.q_proj.weight": torch.zeros(4, 4),
    },
}
CONTACTS = {"model": {"contact_head.regression.weight": torch.zeros(1, 660)}}
ESMC = {"transformer.blocks.0.attn.layernorm_qkv.0.weight": torch.zeros(4)}
T5 = {"encoder.block.0.layer.0.SelfAttention.q.weight": torch.zeros(4, 4)}
WORDS = "esm.embeddings.word_embeddings.weight"


class Harmful:
    """Would run a program when it is unpickled."""

    def __reduce__(self):
        return (print, ("harm",))


@pytest.fixture(scope="module")
def whole(root) -> bytes:
    return (root / "resources/demo/esm2_demo.pt").read_bytes()


def saved(content: object) -> Callable[[Path, bytes], None]:
    return lambda path, _: torch.save(content, path)


def written(content: bytes) -> Callable[[Path, bytes], None]:
    return lambda path, _: path.write_bytes(content)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    return lambda path, whole: path.write_bytes(change(whole))


def a_folder(config: dict[str, object] | None) -> Callable[[Path, bytes], None]:
    def make(path: Path, _: bytes) -> None:
        path.mkdir()
        if config is not None:
            (path / "config.json").write_text(json.dumps(config))

    return make


def flipped(whole: bytes) -> bytes:
    """One bit of a weight, as a faulty disk or memory leaves it."""
    content = bytearray(whole)
    content[len(content) // 2] ^= 0x40
    return bytes(content)


# How a file is made, and what its message must say.
FAULTS = {
    "missing": (lambda path, _: None, "neither a file nor a folder nor one of"),
    "empty": (written(b""), "the file is empty"),
    "page": (written(PAGE), r"a web page \(Sign in & go on\), not a checkpoint"),
    "answer": (written(b'{"error": "not found"}'), "a message of a server"),
    "pointer": (written(POINTER), "a pointer of Git LFS.*git lfs pull"),
    "packed": (changed(gzip.compress), "packed with gzip; unpack it first"),
    "truncated": (changed(lambda whole: whole[: len(whole) // 2]), r"truncated.* [\d,]+ bytes"),
    "flipped": (changed(flipped), r"damaged: \S+/data/\d+ does not have its checksum"),
    "text": (written(b"P12345\nP67890\n"), "not a PyTorch checkpoint"),
    "folder": (a_folder(None), "a folder, not a checkpoint"),
    "hf folder": (
        a_folder({"model_type": "esm", "num_hidden_layers": 33, "vocab_size": 33}),
        "a folder in Hugging Face's format without model.safetensors",
    ),
    "saprot folder": (a_folder({"model_type": "esm", "vocab_size": 446}), "SaProt"),
    "t5 folder": (a_folder({"model_type": "t5"}), r"or pytorch_model.bin \(ProtT5"),
    "hf file": (saved({WORDS: torch.zeros(33, 8)}), "in Hugging Face's format.*give the folder"),
    "hf safetensors": (
        lambda path, _: save_file({WORDS: torch.zeros(33, 8)}, path),
        "ESM in Hugging Face's format, which is read with config.json: give the folder",
    ),
    "saprot file": (saved({"model": {WORDS: torch.zeros(446, 8)}}), "SaProt"),
    "saprot safetensors": (lambda path, _: save_file({WORDS: torch.zeros(446, 8)}, path), "SaProt"),
    "esm-1": (saved(ESM1), "it holds ESM-1; HALO reads"),
    "esm c": (saved(ESMC), "ESM C or ESM3"),
    "prott5": (saved(T5), "a T5 such as ProtT5"),
    "contacts": (saved(CONTACTS), "the contact regression of a model"),
}


def command(root: Path, monkeypatch, *arguments: str, script: str = "language_model") -> int:
    """The status of a script that a rule calls."""
    path = str(root / f"scripts/{script}.py")
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        return int(end.code)
    return 0


def embed(root: Path, monkeypatch, store: str) -> int:
    """The status of the job that embeds one protein by ``language_model.json`` of this folder."""
    name = sha256_of_text("MKV")
    Path("members").mkdir()
    member = "\t".join(HEADER) + f"\n{name}\t\tMKV\n"
    Path(f"members/{bucket_of(name)}.tsv").write_text(member)
    options = {
        "members": "members", "buckets": bucket_of(name), "language-model": "language_model.json",
        "store": store, "shard": "shard.json",
    }  # fmt: skip
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    return command(root, monkeypatch, *arguments, script="embeddings")


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_checkpoint_has_a_name(name, root, whole, tmp_path, monkeypatch, capsys):
    make, message = FAULTS[name]
    path = tmp_path / "esm2.pt"
    make(path, whole)
    out = tmp_path / "language_model.json"
    arguments = ("--model", str(path), "--store", str(tmp_path), "--out", str(out))
    assert command(root, monkeypatch, *arguments) == 1
    said = capsys.readouterr().err
    assert str(path) in said
    with pytest.raises(HaloError, match=message):
        find_weights(str(path), tmp_path, None)
    assert "Traceback" not in said
    assert "weights_only" not in said
    assert not out.exists()


def test_a_whole_checkpoint_passes(root, whole, tmp_path, monkeypatch):
    path, out = tmp_path / "esm2.pt", tmp_path / "language_model.json"
    path.write_bytes(whole)
    arguments = ("--model", str(path), "--store", str(tmp_path), "--out", str(out))
    assert command(root, monkeypatch, *arguments) == 0
    assert read_json(out)["sha256"] == sha256_of_file(path)


def test_a_store_may_be_moved_with_the_checkpoint_in_it(root, whole, tmp_path, monkeypatch):
    """Snakemake does not find the checkpoint again then: the store's place is no parameter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(known_states, "known_states", dict)  # it is another one of that name
    path = Path("before/language_models/esm2_t6_8M_UR50D.pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(whole)
    arguments = ("--model", path.stem, "--sha256", sha256_of_file(path), "--store", "before")
    assert command(root, monkeypatch, *arguments, "--out", "language_model.json") == 0
    # A fold's own language model names the same checkpoint, and its store has been moved as well.
    found = read_weights(Path("language_model.json"), Path("before"))
    assert found.path == str(path)
    write_weights(Path("own.json"), found, Path("before"))
    Path("before").rename("after")
    moved = read_weights(Path("own.json"), Path("after"))
    assert moved.path == "after/language_models/esm2_t6_8M_UR50D.pt"
    assert embed(root, monkeypatch, "after") == 0


def test_the_configuration_does_not_decide_which_model_it_is(whole, tmp_path):
    """It is kept with the weights, and holds texts of any kind."""
    path = tmp_path / "esm2.pt"
    path.write_bytes(whole)
    content = torch.load(path, weights_only=False)
    content["cfg"]["model"].data = "embed_out/gvp.layernorm_qkv"
    torch.save(content, path)
    assert find_weights(str(path), tmp_path, None).name == "esm2"
    load_esm2(path)


def test_no_warning_about_unsafe_loading(tmp_path):
    """PyTorch's own message tells how to run what the file brings along."""
    path = tmp_path / "harmful.pt"
    torch.save({"cfg": {}, "model": Harmful()}, path)
    with pytest.raises(HaloError, match=r"more than weights.*print is not loaded") as error:
        load_esm2(path)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_found(root, whole, tmp_path, monkeypatch, capsys, value):
    path = tmp_path / "esm2.pt"
    path.write_bytes(whole)
    content = torch.load(path, weights_only=False)
    name = next(name for name in content["model"] if name.endswith("layers.1.fc2.weight"))
    content["model"][name][3, 5] = value
    torch.save(content, path)
    message = r"esm2.pt: 1 of the .* layers.1.fc2.weight are no numbers"
    with pytest.raises(HaloError, match=message):
        load_esm2(path)

    # In the job that embeds, nothing is written.
    write_weights(tmp_path / "language_model.json", find_weights(str(path), tmp_path, None))
    monkeypatch.chdir(tmp_path)
    assert embed(root, monkeypatch, "store") == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.rglob("*.h5"))


def test_a_checkpoint_that_changed_is_not_used(whole, tmp_path):
    path = tmp_path / "esm2.pt"
    path.write_bytes(whole)
    weights = find_weights(str(path), tmp_path, None)
    load_language_model(weights)
    content = torch.load(path, weights_only=False)
    content["model"]["encoder.sentence_encoder.layers.0.fc1.bias"] += 1
    torch.save(content, path)
    with pytest.raises(HaloError, match="changed since it was found"):
        load_language_model(weights)


def test_every_published_checkpoint_has_a_checksum():
    digests = {published.sha256 for published in PUBLISHED.values()}
    assert len(digests) == len(PUBLISHED) == 5
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)


# Downloads


class Answers(BaseHTTPRequestHandler):
    """Gives `body` for every address."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Answers]]:
    """What ``dl.fbaipublicfiles.com`` seems to be behind a proxy."""
    answers = type("Own", (Answers,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setattr(find, "URL", f"http://127.0.0.1:{running.server_port}/{{name}}.pt")
        yield answers
        running.shutdown()


NAME = "esm2_t6_8M_UR50D"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PAGE, r"rejected \(a web page \(Sign in & go on\)"),
        (b"", r"the answer is empty \(status 200\)"),
        ("truncated", r"rejected \(truncated"),
        ("another", r"but 46f002a9\w+ is expected"),
    ],
)
def test_a_download_that_differs_from_the_published_file_is_removed(
    server, whole, tmp_path, body, message
):
    cut = {"truncated": whole[:9000], "another": whole}
    server.body = cut.get(body, body) if isinstance(body, str) else body
    with pytest.raises(HaloError, match=message):
        find_weights(NAME, tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_the_published_file_is_downloaded_once(server, whole, tmp_path, monkeypatch):
    server.body = whole
    (tmp_path / "whole.pt").write_bytes(whole)
    digest = sha256_of_file(tmp_path / "whole.pt")
    monkeypatch.setitem(PUBLISHED, NAME, Published(6, digest, 100_000_000))
    found = find_weights(NAME, tmp_path / "cache", None)
    assert found.sha256 == digest
    server.body = PAGE
    assert find_weights(NAME, tmp_path / "cache", None) == found


@pytest.mark.parametrize("body", [PAGE, b"", "another"])
def test_what_an_earlier_version_has_kept_is_not_used(server, whole, tmp_path, body):
    kept = tmp_path / f"{NAME}.pt"
    kept.write_bytes(whole if body == "another" else body)
    with pytest.raises(HaloError, match=rf"{NAME}.pt: .*delete .*{NAME}.pt, it is then downloaded"):
        find_weights(NAME, tmp_path, None)
    assert kept.exists()


def test_a_local_file_with_a_published_name_is_reported_if_it_differs(whole, tmp_path, caplog):
    path = tmp_path / f"{NAME}.pt"
    path.write_bytes(whole)
    with caplog.at_level("WARNING", "halo"):
        find_weights(str(path), tmp_path, None)
    assert "not the published file of that name" in caplog.text


@pytest.mark.parametrize("name", [b"c" + b"a" * 2000, b"c\xff\xfe\nb\n."])
def test_the_name_of_an_import_that_no_program_has(tmp_path, name):
    """In a file of PyTorch before 1.6: a name that ends with the file, or that is not ASCII."""
    path = tmp_path / "old.pt"
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    path.write_bytes(magic + pickle.dumps(1001, protocol=2) + b"\x80\x02" + name)
    with pytest.raises(HaloError, match="damaged, it imports a name of no program"):
        load_esm2(path)


def test_a_file_that_cannot_be_read_is_not_called_damaged(whole, tmp_path, monkeypatch):
    path = tmp_path / "unreadable.pt"
    path.write_bytes(whole)

    def failed(archive):
        raise OSError(errno.EIO, "Input/output error")

    # No file system fails at will.
    monkeypatch.setattr(zipfile.ZipFile, "testzip", failed)
    with pytest.raises(OSError, match="Input/output error"):
        load_esm2(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_file_without_permission_is_not_called_damaged(whole):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "forbidden.pt")
        path.write_bytes(whole)
        path.chmod(0)
        Path(folder).chmod(0o755)

        def refused() -> None:
            with pytest.raises(PermissionError):
                load_esm2(path)

        assert os.waitpid(User(65534).start(refused), 0)[1] == 0


# Memory

LARGEST = 1.3  # times the size of the file
PROBE = """
import sys
from pathlib import Path
import torch
from halo.embeddings.embed import OneEncoder
from halo.embeddings.weights import read_weights
from halo.malloc import keep_freed_memory

torch.set_num_threads(1)


def memory(field):
    status = Path("/proc/self/status").read_text()
    return int(status.split(field + ":")[1].split()[0]) * 1024


keep_freed_memory()
begun = memory("VmRSS")
encoder_of = OneEncoder()
for file in sys.argv[2:]:
    encoder = encoder_of(read_weights(Path(file)), -1, "cpu", getattr(torch, sys.argv[1]))
    assert encoder.start(["MKV"])()[0].isfinite().all()
    del encoder
# Not `ru_maxrss`: a process begins with that of the one that started it.
print(memory("VmHWM") - begun)
"""


def described(settings: FinetuneSettings, published: Weights) -> AdapterDescription:
    return AdapterDescription(
        format=FORMAT, halo="0", model=published.name, sha256=published.sha256, task="multilabel",
        labels=["A"], proteins={}, examples="", seed=1, layer=-1, window=1022, overlap=256,
        precision="auto", settings=asdict(settings), code="", adapted=settings.adapter(-1), dim=640,
        thresholds={"A": 0.5}, parameters=1, epochs=1, best_epoch=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folds(tmp_path_factory) -> Iterator[list[Path]]:
    """A model of the shape of t30_150M (592 MB in float32), fine-tuned on two folds.

    All its weights are one number, and so are those of the adapters.
    """
    folder = tmp_path_factory.mktemp("large")
    with torch.device("meta"):
        model = ESM2(30, 640, 20, Alphabet.from_architecture("ESM-1b"))
    state = {
        f"encoder.sentence_encoder.{name}": torch.full(value.shape, 1e-3)
        for name, value in model.state_dict().items()
        if not name.startswith("contact_head")
    }
    config = argparse.Namespace(
        encoder_layers=30, encoder_embed_dim=640, encoder_attention_heads=20, token_dropout=True
    )
    path = folder / "esm2_large.pt"
    torch.save({"cfg": {"model": config}, "model": state}, path)
    del state
    published = Weights("esm2_large", str(path), sha256_of_file(path))
    settings = FinetuneSettings()
    files = []
    for fold in range(2):
        adapter = folder / f"{fold}.safetensors"
        shapes = {name: value.shape for name, value in adapt(model, settings.adapter(-1)).items()}
        save_file({name: torch.full(shape, 1e-3) for name, shape in shapes.items()}, adapter)
        write_typed(adapter.with_suffix(".json"), described(settings, published))
        found = replace(published, adapter=str(adapter), adapter_sha256=sha256_of_file(adapter))
        files.append(folder / f"{fold}.model.json")
        write_weights(files[-1], found)
        for module in model.modules():
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
    yield files
    path.unlink()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory is read from /proc")
@pytest.mark.parametrize(("dtype", "count"), [("float32", 2), ("bfloat16", 1)])
def test_the_memory_holds_the_weights_of_one_fold_once(folds, root, dtype, count):
    size = Path(read_json(folds[0])["path"]).stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", PROBE, dtype, *map(str, folds[:count])],
        env={**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0.9 * size < int(done.stdout) < LARGEST * size
