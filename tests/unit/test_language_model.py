"""The offline language model: its training data, and that it learns."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import training
from batches import ALPHABET, RESIDUES, batches, choose_hidden, corrupt, cut, tokenize
from corpus import TEST, TRAINING, VALIDATION, choose, counts, similar_to
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.encoder import encode
from halo.embeddings.saving import save_esm2
from halo.errors import HaloError
from masked import Quiz, new_model, perplexity
from neighbours import NeighbourModel
from training import Budget, Plan, Training, train

LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def random_protein(rng, length: int) -> str:
    return "".join(rng.choice(LETTERS, length))


def mutated(rng, sequence: str, share: float) -> str:
    changed = rng.random(len(sequence)) < share
    return "".join(np.where(changed, rng.choice(LETTERS, len(sequence)), list(sequence)))


# The corpus


@pytest.fixture
def records() -> pd.DataFrame:
    """Families of a test protein, of one that is to be validated with, and strangers."""
    rng = np.random.default_rng(1)
    tested, labelled = random_protein(rng, 200), random_protein(rng, 150)
    rows = [
        ("tested", True, True, tested),
        ("tested again", True, False, tested),
        ("homolog", False, False, mutated(rng, tested, 0.5)),
        ("fragment", False, False, mutated(rng, tested, 0.3)[20:110]),
        ("a domain of it", False, False, tested[50:100] + random_protein(rng, 200)),
        ("labelled", True, False, labelled),
        ("homolog of the labelled", False, False, mutated(rng, labelled, 0.5)),
        ("odd", False, False, random_protein(rng, 90) + "(end)"),
    ]
    rows += [(f"stranger {i}", False, False, random_protein(rng, 120)) for i in range(20)]
    return pd.DataFrame(rows, columns=["source", "labelled", "test", "sequence"])


@pytest.mark.slow
def test_nothing_that_is_similar_to_a_held_out_protein_is_trained_on(records, tmp_path):
    corpus = choose(records, 1, tmp_path, n_validation=1)
    sources = corpus.groupby("part")["source"].agg(list)
    assert sources[TEST] == ["tested"]
    assert sources[VALIDATION] == ["labelled"]
    strangers = [name for name in records["source"] if name.startswith("stranger")]
    assert sources[TRAINING] == ["a domain of it", *strangers]
    summary = counts(records, corpus)
    assert summary["left_out"].sum() == 4  # two homologs, the fragment, and the odd one
    assert summary["training"].sum() == 21


@pytest.mark.slow
def test_all_similar_proteins_are_found_however_many(tmp_path):
    rng = np.random.default_rng(2)
    parent = random_protein(rng, 120)
    family = [mutated(rng, parent, 0.4) for _ in range(400)]
    assert similar_to([parent], family, 1, tmp_path).mean() > 0.99


# Batches and masks


@given(st.lists(st.integers(1, 900), max_size=20), st.integers(1, 300), st.integers(0, 1))
def test_each_token_is_in_one_piece(lengths, longest, extra):
    pieces = cut(lengths, longest, extra)
    covered = [set() for _ in lengths]
    for piece in pieces:
        assert piece.stop - piece.start <= longest
        covered[piece.protein] |= set(range(piece.start, piece.stop))
    assert sum(piece.stop - piece.start for piece in pieces) == sum(lengths)
    assert [len(found) for found in covered] == lengths


def test_batches_are_full_repeatable_and_hold_all():
    lengths = np.random.default_rng(3).lognormal(6, 0.7, 2000).astype(int).tolist()
    made = list(islice(batches(lengths, 256, 4096, seed=1), 400))
    again = list(islice(batches(lengths, 256, 4096, seed=1), 400))
    other = list(islice(batches(lengths, 256, 4096, seed=2), 400))
    assert made == again != other
    sizes = [[piece.stop - piece.start for piece in batch] for batch in made]
    padded = [len(size) * max(size) for size in sizes]
    assert max(padded) <= 4096
    assert sum(map(sum, sizes)) > 0.95 * sum(padded)
    epoch = set(cut(lengths, 256, extra=0))
    drawn = [piece for batch in made for piece in batch][: len(epoch)]
    assert set(drawn) == epoch


def test_masks_have_the_published_shares_and_follow_the_seed():
    rng = np.random.default_rng(4)
    tokens = torch.from_numpy(
        np.stack([tokenize(random_protein(rng, 998) + "XB") for _ in range(200)])
    ).long()

    def masked(seed):
        generator = torch.Generator().manual_seed(seed)
        hidden = choose_hidden(tokens, generator)
        return hidden, corrupt(tokens, hidden, generator)

    hidden, seen = masked(1)
    assert all(torch.equal(a, b) for a, b in zip(masked(1), (hidden, seen), strict=True))
    assert not torch.equal(masked(2)[0], hidden)
    assert torch.equal(seen[~hidden], tokens[~hidden])
    assert torch.isin(tokens[hidden], RESIDUES).all()
    share = hidden[:, 1:-3].float().mean().item()
    is_mask = seen[hidden] == ALPHABET.mask_idx
    as_it_was = seen[hidden] == tokens[hidden]
    assert share == pytest.approx(0.15, abs=0.005)
    assert is_mask.float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert as_it_was.float().mean().item() == pytest.approx(0.1 + 0.1 / 20, abs=0.01)


# The models that it must beat


def test_frequencies_given_neighbours():
    proteins = [tokenize(text) for text in ("ACACAC" * 200, "AGAGAG" * 200)]
    model = NeighbourModel(proteins)
    a, c, g = (np.array([ALPHABET.get_idx(letter)]) for letter in "ACG")
    mask = np.array([ALPHABET.mask_idx])

    def probability(left, truth, right):
        return np.exp(-model.loss(left, truth, right))[0]

    assert probability(None, a, None) == pytest.approx(0.5)
    assert probability(None, c, None) == pytest.approx(0.25)
    assert probability(c, a, None) == pytest.approx(1, abs=0.02)
    assert probability(a, c, None) == pytest.approx(0.5, abs=0.02)
    assert probability(c, a, g) == pytest.approx(0.5)  # never seen: the overall frequency
    assert probability(mask, a, c) == pytest.approx(probability(None, a, c))
    assert sum(probability(a, truth, c) for truth in (a, c, g)) == pytest.approx(1)


# Training

PLAN = Plan(2, 32, 4, longest=64, tokens=512, rate=5e-3, seed=1, bfloat16=False)


@pytest.fixture(scope="module")
def proteins() -> list[np.ndarray]:
    """Repeats of a few words: a residue follows from its neighbours."""
    rng = np.random.default_rng(5)
    words = ["MKLV", "DEGW", "PSTY"]
    return [tokenize(str(rng.choice(words)) * int(rng.integers(10, 40))) for _ in range(60)]


@pytest.fixture(scope="module")
def quiz(proteins) -> Quiz:
    return Quiz.make(proteins[:10], seed=1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / training.STATE, weights_only=True)["model"]


def test_it_learns(proteins, quiz, tmp_path):
    begun = perplexity(quiz.by_model(new_model(2, 32, 4, seed=1)))
    state = train(proteins, quiz, PLAN, Budget(steps=120), tmp_path)
    model, _ = load_esm2(tmp_path / training.CHECKPOINT)
    ended = perplexity(quiz.by_model(model))
    frequencies = quiz.by_neighbours(NeighbourModel(proteins), left=False, right=False)
    assert state.steps == 120
    assert ended < 0.5 * perplexity(frequencies) < begun
    tokens, hidden = quiz.tokens[0], quiz.hidden[0]
    with torch.inference_mode():
        guessed = model(tokens.masked_fill(hidden, ALPHABET.mask_idx))["logits"].argmax(dim=-1)
    assert (guessed == tokens)[hidden].float().mean() > 0.2  # by chance 1 in 12


def test_interrupted_it_ends_with_the_same_weights(proteins, quiz, tmp_path, monkeypatch):
    undisturbed, interrupted = tmp_path / "undisturbed", tmp_path / "interrupted"
    train(proteins, quiz, PLAN, Budget(steps=12), undisturbed)
    step = Training.step

    def killed(self, rows, used):
        if self.state.steps == 7:
            raise KeyboardInterrupt
        return step(self, rows, used)

    monkeypatch.setattr(Training, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(proteins, quiz, PLAN, Budget(steps=12), interrupted, check_every=0)
    monkeypatch.undo()
    train(proteins, quiz, PLAN, Budget(steps=12), interrupted)
    expected, found = weights(undisturbed), weights(interrupted)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_plan_does_not_go_on_from_this_one(proteins, quiz, tmp_path):
    train(proteins, quiz, PLAN, Budget(steps=1), tmp_path)
    with pytest.raises(HaloError, match="another training"):
        train(proteins, quiz, Plan(1, 32, 4, 64, 512, 5e-3, 1, False), Budget(steps=1), tmp_path)


def test_the_file_gives_what_the_model_gave(tmp_path):
    model = new_model(3, 64, 4, seed=6).eval()
    save_esm2(model, tmp_path / "model.pt")
    loaded, _ = load_esm2(tmp_path / "model.pt")
    tokens = torch.from_numpy(tokenize("MKTAYIAKQRQISFVKSHFSRQ")).long()[None]
    with torch.inference_mode():
        for layer in (0, 1, 3):
            expected, found = encode(model, tokens, layer), encode(loaded, tokens, layer)
            torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-3)
        expected, found = (one(tokens)["logits"] for one in (model, loaded))
        torch.testing.assert_close(found, expected, atol=5e-3, rtol=5e-3)


def test_the_file_in_the_repository(root):
    file = root / "resources/language_model" / training.CHECKPOINT
    if not file.exists():
        pytest.skip("esm2_offline.pt has not been trained")
    assert file.stat().st_size <= 8_000_000
    model, _ = load_esm2(file)
    assert all(value.isfinite().all() for value in model.state_dict().values())
