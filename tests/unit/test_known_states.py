"""Published language models are compared with known states."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from esm.model.esm2 import ESM2
from safetensors.numpy import load_file

from halo.__main__ import parser
from halo.embeddings import known_states
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.encoder import encode
from halo.embeddings.find import find_weights
from halo.embeddings.known_states import SEQUENCE, TOLERANCE, channels, compare
from halo.embeddings.language_model import load_language_model
from halo.embeddings.published import PUBLISHED
from halo.embeddings.saving import save_esm2
from halo.embeddings.tokens import Tokenizer
from halo.errors import HaloError

NAME = "esm2_t6_8M_UR50D"
DEMO = "resources/demo/esm2_demo.pt"


@pytest.fixture
def random_model(tmp_path) -> Path:
    """Another model with the name and the shape of a published one."""
    from esm import Alphabet

    torch.manual_seed(0)
    path = tmp_path / f"{NAME}.pt"
    save_esm2(ESM2(6, 320, 20, Alphabet.from_architecture("ESM-1b")), path)
    return path


@pytest.fixture
def as_published(root, tmp_path, monkeypatch) -> Path:
    """The demo's model, whose states are taken for the known ones of a published model."""
    model, alphabet = load_esm2(root / DEMO)
    tokens, _ = Tokenizer(alphabet).padded([SEQUENCE])
    with torch.inference_mode():
        states = encode(model, tokens)[0, 1:-1, channels(model.embed_dim)].numpy()
    monkeypatch.setattr(known_states, "known_states", lambda: {NAME: states})
    path = tmp_path / f"{NAME}.pt"
    path.write_bytes((root / DEMO).read_bytes())
    return path


def test_the_known_states_are_those_of_their_source(shared):
    sizes = ("8m", "35m", "150m", "650m", "3b")
    known = known_states.known_states()
    assert list(known) == list(PUBLISHED)
    for size, (name, states) in zip(sizes, known.items(), strict=True):
        described = json.loads((shared / f"plm_goldens/esm2_{size}.json").read_text())
        assert described["checkpoint"]["repo_id"] == f"facebook/{name}"
        tensors = load_file(shared / f"plm_goldens/esm2_{size}.safetensors")
        row = 2  # the shortest of three sequences
        tokens, residues = tensors["input__input_ids"][row], tensors["residue_mask"][row]
        _, alphabet = load_esm2(Path(__file__).parents[2] / DEMO)
        assert tokens[residues].tolist() == Tokenizer(alphabet).one(SEQUENCE)[1:-1].tolist()
        hidden = tensors["output__last_hidden_state"][row][residues]
        np.testing.assert_allclose(hidden[:, channels(hidden.shape[1])], states, atol=6e-6)


def test_another_model_with_a_published_name_is_refused(random_model, tmp_path):
    weights = find_weights(str(random_model), tmp_path, None)
    words = rf"{NAME}.pt: not the published {NAME}.*by \d\.\d+ of their size, and at most 0.01"
    with pytest.raises(HaloError, match=words):
        load_language_model(weights)
    # With another name it is the user's own model.
    own = random_model.rename(tmp_path / "own.pt")
    load_language_model(find_weights(str(own), tmp_path, None))


def test_a_published_model_passes_and_a_damaged_one_does_not(as_published, tmp_path):
    weights = find_weights(str(as_published), tmp_path, None)
    model, alphabet = load_language_model(weights)
    found = compare(model, alphabet, f"facebook/{NAME}")
    assert found is not None
    assert found.difference < TOLERANCE / 100
    assert compare(model, alphabet, "own") is None
    with torch.no_grad():
        model.layers[1].fc2.weight *= 1.5
    damaged = compare(model, alphabet, NAME)
    assert damaged is not None
    assert not damaged.same


def call(*words: str) -> None:
    arguments = parser("check-model").parse_args(["check-model", *words])
    arguments.job(arguments)


def test_the_command_describes_a_file(as_published, root, capsys):
    call(str(as_published))
    said = capsys.readouterr().out
    assert "ESM-2, 4 layers, 96 channels" in said
    assert f"equal to {NAME}: its states for {SEQUENCE} differ by" in said
    call(str(root / DEMO))
    assert "no known states" in capsys.readouterr().out
    call(str(root / DEMO), "--name", NAME)
    assert "equal to" in capsys.readouterr().out


def test_the_command_refuses_what_has_to_be_another_model(random_model):
    with pytest.raises(HaloError, match=f"not the published {NAME}"):
        call(str(random_model))
    with pytest.raises(HaloError, match="neither a file nor a folder nor one of"):
        call("none.pt")
