"""ESM-2, ESM-1b and ESM-1v in Hugging Face's format, and ESM-1b and ESM-1v in fair-esm's.

The weights are random. Those of Hugging Face's format are made of fair-esm's by transformers' own
names, which are written down here a second time.
"""

import argparse
import json
import os
import re
from pathlib import Path

import pytest
import torch
from esm import Alphabet
from esm.model.esm1 import ProteinBertModel
from esm.model.esm2 import ESM2
from safetensors.torch import save_file

from halo.config.files import with_found_files
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.find import find_weights
from halo.embeddings.language_model import load_language_model
from halo.embeddings.packed import PackedEncoder
from halo.embeddings.padded import PaddedEncoder
from halo.errors import HaloError

LAYERS, DIM, HEADS, POSITIONS = 2, 32, 4, 40
ALPHABET = Alphabet.from_architecture("ESM-1b")
SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "MWX", "ACDEFGHIKLMNPQRSTVWYBUZO"]
KINDS = ("esm2", "esm1b", "esm1v")


def random_model(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "esm2":
        model = ESM2(LAYERS, DIM, HEADS, ALPHABET)
    else:
        arguments = argparse.Namespace(
            arch="roberta_large", layers=LAYERS, embed_dim=DIM, ffn_embed_dim=4 * DIM,
            attention_heads=HEADS, max_positions=POSITIONS, token_dropout=True,
            emb_layer_norm_before=kind == "esm1b",
        )  # fmt: skip
        model = ProteinBertModel(arguments, ALPHABET)
    for value in model.parameters():  # norms and biases too, which begin as ones and zeros
        torch.nn.init.normal_(value, std=0.3)
    return model.eval()


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = model.state_dict()
    return {key: value for key, value in state.items() if not key.startswith("contact_head")}


def fair_esm_file(kind: str, path: Path) -> Path:
    """The model as fair-esm publishes it."""
    state = weights_of(random_model(kind))
    prefixed = {
        ("encoder." if key.startswith("lm_head") else "encoder.sentence_encoder.") + key: value
        for key, value in state.items()
    }
    shape = {"encoder_embed_dim": DIM, "encoder_attention_heads": HEADS, "token_dropout": True}
    if kind == "esm2":
        config = argparse.Namespace(**shape, encoder_layers=LAYERS)
        content = {"cfg": {"model": config}, "model": prefixed}
    else:
        arguments = argparse.Namespace(
            **shape, arch="roberta_large", encoder_layers=LAYERS, max_positions=POSITIONS
        )
        content = {"args": arguments, "model": prefixed}
    torch.save(content, path)
    return path


NAMES = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "LayerNorm",
    "self_attn.rot_emb": "attention.self.rotary_embeddings",
}
OTHERS = {
    "embed_tokens.weight": "esm.embeddings.word_embeddings.weight",
    "embed_positions.weight": "esm.embeddings.position_embeddings.weight",
    "emb_layer_norm_before.weight": "esm.embeddings.layer_norm.weight",
    "emb_layer_norm_before.bias": "esm.embeddings.layer_norm.bias",
    "emb_layer_norm_after.weight": "esm.encoder.emb_layer_norm_after.weight",
    "emb_layer_norm_after.bias": "esm.encoder.emb_layer_norm_after.bias",
    "lm_head.weight": "lm_head.decoder.weight",
}


def hugging_face_name(name: str) -> str:
    if name.startswith("layers."):
        _, number, rest = name.split(".", 2)
        module, _, kind = rest.rpartition(".")
        return f"esm.encoder.layer.{number}.{NAMES[module]}.{kind}"
    return OTHERS.get(name, name)


def hugging_face_folder(kind: str, folder: Path, files: int = 1, **change: object) -> Path:
    """The model as transformers' ``save_pretrained`` writes it, in one or several files."""
    folder.mkdir(parents=True)
    state = {hugging_face_name(key): value for key, value in weights_of(random_model(kind)).items()}
    state.pop("lm_head.decoder.weight")  # shared with the embeddings, and saved once
    state["esm.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    state["esm.contact_head.regression.weight"] = torch.zeros(1, LAYERS * HEADS)
    config = {
        "model_type": "esm", "vocab_size": 33, "hidden_size": DIM, "intermediate_size": 4 * DIM,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_act": "gelu",
        "layer_norm_eps": 1e-5, "token_dropout": True, "is_folding_model": False,
        "max_position_embeddings": POSITIONS + 2,
        "position_embedding_type": "rotary" if kind == "esm2" else "absolute",
        "emb_layer_norm_before": kind == "esm1b",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | change))
    if files == 1:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        return folder
    names = sorted(state)
    index = {}
    for number in range(files):
        file = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        part = {name: state[name] for name in names[number::files]}
        save_file(part, folder / file, {"format": "pt"})
        index |= dict.fromkeys(part, file)
    content = {"metadata": {}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    return folder


def states_of(path: Path, layer: int = -1) -> dict[str, list[torch.Tensor]]:
    return {
        "packed": PackedEncoder(*load_esm2(path), layer).start(SEQUENCES)(),
        "padded": PaddedEncoder(*load_esm2(path), layer, "cpu", torch.float32).start(SEQUENCES)(),
    }


def by_fair_esm(kind: str, sequence: str, layer: int) -> torch.Tensor:
    """States of fair-esm's own model, which sets the embedding of <mask> to zero in ESM-1b."""
    _, _, tokens = ALPHABET.get_batch_converter()([("", sequence)])
    with torch.no_grad():
        found = random_model(kind)(tokens, repr_layers=[layer])
    return found["representations"][layer][0, 1:-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["fair-esm", "folder", "sharded"])
def test_the_numbers_are_those_of_fair_esm(kind, form, tmp_path):
    path = (
        fair_esm_file(kind, tmp_path / "model.pt")
        if form == "fair-esm"
        else hugging_face_folder(kind, tmp_path / "model", 1 if form == "folder" else 3)
    )
    for layer in (1, LAYERS) if form == "folder" else (LAYERS,):
        expected = [by_fair_esm(kind, sequence, layer) for sequence in SEQUENCES]
        for states in states_of(path, layer).values():
            for one, other in zip(states, expected, strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_base_model_without_an_output_layer(tmp_path):
    """As ``EsmModel.save_pretrained`` writes it: no prefix, a pooler, no constants."""
    folder = hugging_face_folder("esm2", tmp_path / "model")
    whole = states_of(folder)["packed"]
    state = {}
    for key, value in weights_of(random_model("esm2")).items():
        if not key.startswith("lm_head") and not key.endswith("inv_freq"):
            state[hugging_face_name(key).removeprefix("esm.")] = value
    state["pooler.dense.weight"] = torch.zeros(DIM, DIM)
    save_file(state, folder / "model.safetensors")
    torch.testing.assert_close(states_of(folder)["packed"], whole)


def test_the_names_that_transformers_5_writes(tmp_path):
    """It writes norms of layers by older names, and the constants once for all layers."""
    folder = hugging_face_folder("esm2", tmp_path / "model")
    whole = states_of(folder)["packed"]
    state = {}
    for key, value in weights_of(random_model("esm2")).items():
        name = hugging_face_name(key)
        if name.endswith("inv_freq"):
            name = "esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq"
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        if name != "lm_head.decoder.weight":
            state[name] = value
    assert "esm.encoder.layer.1.attention.LayerNorm.beta" in state
    save_file(state, folder / "model.safetensors")
    torch.testing.assert_close(states_of(folder)["packed"], whole)


def test_rotary_frequencies_are_those_of_the_file(tmp_path):
    """As for fair-esm and transformers: in float16 they are rounded."""
    states = []
    for layer, precision in (("0", torch.float32), ("0", torch.float16), ("*", torch.float16)):
        folder = hugging_face_folder("esm2", tmp_path / f"{layer}{precision}".replace("*", "all"))
        state = {}
        for key, value in weights_of(random_model("esm2")).items():
            name = hugging_face_name(key)
            if name.endswith("inv_freq"):
                name = name if layer != "*" else re.sub(r"layer\.\d+", "layer.*", name)
                value = (1.01 * value).to(precision)
            state[name] = value
        del state["lm_head.decoder.weight"]
        save_file(state, folder / "model.safetensors")
        states.append(torch.cat(states_of(folder)["packed"]))
    assert not torch.equal(states[0], states[1])
    torch.testing.assert_close(states[1], states[2], rtol=0, atol=0)


def test_a_window_beyond_the_learned_positions_is_an_error(tmp_path):
    path = fair_esm_file("esm1b", tmp_path / "model.pt")
    for encoder in (
        PackedEncoder(*load_esm2(path), -1),
        PaddedEncoder(*load_esm2(path), -1, "cpu", torch.float32),
    ):
        encoder.start(["A" * (POSITIONS - 2)])()
        with pytest.raises(HaloError, match=r"embeddings\.window: 39.*positions for 38 residues"):
            encoder.start(["A" * (POSITIONS - 1)])()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Hugging Face's cache with one model, whose files are links."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub/models--facebook--esm2_small"
    blobs = hugging_face_folder("esm2", folder / "blobs")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("c731040")
    for revision in ("c731040", "0000000"):
        (folder / "snapshots" / revision).mkdir(parents=True)
        for file in blobs.iterdir():
            (folder / "snapshots" / revision / file.name).symlink_to(
                os.path.relpath(file, folder / "snapshots" / revision)
            )
    return folder


def test_a_model_is_found_in_the_cache_by_name_and_by_folder(cache, tmp_path):
    found = find_weights("facebook/esm2_small", tmp_path, None)
    assert found.name == "facebook/esm2_small"
    assert Path(found.path) == cache / "snapshots/c731040"
    assert find_weights(str(cache), tmp_path, None) == found
    assert find_weights(str(cache / "snapshots/0000000"), tmp_path, found.sha256).name == found.name
    model, _ = load_language_model(found)
    assert model.num_layers == LAYERS
    with pytest.raises(HaloError, match="sha256 is"):
        find_weights("facebook/esm2_small", tmp_path, "0" * 64)
    file = cache / "blobs/config.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(HaloError, match="changed since"):
        load_language_model(found)


def test_a_model_that_is_not_in_the_cache_is_reported_with_its_path(cache, tmp_path):
    with pytest.raises(HaloError, match=r"and not in Hugging Face's cache, .*hub; on a machine"):
        find_weights("facebook/esm2_other", tmp_path, None)
    (cache / "refs/main").unlink()
    with pytest.raises(HaloError, match="2 revisions and none is main; give the path of one"):
        find_weights("facebook/esm2_small", tmp_path, None)


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")


FAULTS = {
    "truncated": (truncated, {}, "model.safetensors is truncated or damaged, it has"),
    "pickled": (without_weights, {}, "without model.safetensors.*save_pretrained"),
    "pointer": (pointer, {}, "model.safetensors is a pointer of Git LFS"),
    "esmfold": (None, {"is_folding_model": True}, "a folder with ESMFold"),
    "saprot": (None, {"vocab_size": 446}, "SaProt"),
    "bert": (None, {"model_type": "bert"}, r"Hugging Face's format \(bert\)"),
    "t5": (None, {"model_type": "t5"}, r"without tokenizer.json or spiece.model \(ProtT5"),
    "other numbers": (None, {"layer_norm_eps": 1e-12}, "layer_norm_eps is 1e-12, and HALO"),
    "other shape": (None, {"num_hidden_layers": 3}, "do not fit the architecture"),
    "other heads": (None, {"num_attention_heads": 3}, "3 heads for a width of"),
    "other width": (None, {"intermediate_size": 8}, "intermediate_size is not four times"),
    "damaged": (None, {"num_attention_heads": None}, "config.json: damaged, or of no ESM-2"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_other_and_damaged_folders_are_named(name, tmp_path):
    change, config, words = FAULTS[name]
    folder = hugging_face_folder("esm2", tmp_path / "model", **config)
    if change is not None:
        change(folder)
    with pytest.raises(HaloError, match=words):
        load_esm2(folder)


def test_missing_and_foreign_shards_are_refused(tmp_path):
    folder = hugging_face_folder("esm2", tmp_path / "model", 2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    shard = folder / "model-00002-of-00002.safetensors"
    shard.rename(tmp_path / "outside.safetensors")
    with pytest.raises(HaloError, match=r"00002-of-00002.*missing, though"):
        load_esm2(folder)
    (tmp_path / "outside.safetensors").rename(shard)
    content["weight_map"]["x"] = "../outside.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(HaloError, match="outside of the folder"):
        load_esm2(folder)


def test_the_configuration_names_wrong_models_before_the_first_job(cache, tmp_path, root):
    """And reads no weights for it."""
    page, cut = tmp_path / "page.pt", tmp_path / "cut.pt"
    page.write_bytes(b"<html><title>Not found</title>")
    cut.write_bytes((root / "resources/demo/esm2_demo.pt").read_bytes()[:5000])
    for model, words in {
        "facebook/esm2_small": None,
        str(cache): None,
        "resources/demo/esm2_demo.pt": None,
        "facebook/esm2_t6": "in the cache of Hugging Face",
        str(page): r"a web page \(Not found\)",
        str(cut): "truncated",
        str(tmp_path): "a folder, not a checkpoint",
    }.items():
        faults = faults_of(model, root)
        if words is None:
            assert faults == []
        else:
            [fault] = faults
            assert fault.path == ("embeddings", "model")
            assert words.replace("\\", "") in fault.text


def faults_of(model: str, root: Path) -> list:
    from halo.config.check import config_faults, dumped

    _, config = config_faults(
        {
            "run": "a",
            "dataset": {"proteins": str(root / "resources/demo/proteins.csv")},
            "embeddings": {"model": model},
        }
    )
    return with_found_files(dumped(config), root)[1]
