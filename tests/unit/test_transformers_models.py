"""ProtT5, ProstT5, Ankh, SaProt and ESM C: small random models of the classes of transformers.

The expected states are those of transformers with the texts that the authors of a model give to its
tokenizer, one protein at a time.
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from Bio.PDB.Atom import Atom
from Bio.PDB.Chain import Chain
from Bio.PDB.Residue import Residue
from safetensors.torch import load_file, save_file

from halo.__main__ import parser
from halo.config.check import config_faults, dumped
from halo.config.files import with_found_files
from halo.embeddings import registry
from halo.embeddings.embed import embed, embed_buckets, make_encoder
from halo.embeddings.find import class_of_model, find_weights
from halo.embeddings.language_model import load_language_model
from halo.embeddings.layout import layout_of, read_embedding
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.files import read_json, sha256_of_text, write_json
from halo.predict.build_bundle import copy_language_model
from halo.predict.bundle import DESCRIPTION, FORMAT, MANIFEST, listed, read_bundle
from halo.predict.run import predict
from halo.predict.sources import find_language_model
from halo.proteins.members import Member
from halo.store import Store, bucket_of
from halo.store_upkeep import compact
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.layout import Fragment, Note, pack
from halo.structures.parse import parse_structure
from halo.variants import compute
from halo.variants.run import variants
from halo.variants.settings import VariantSettings
from predict_bundle import DEMO, OFFLINE, queries, write_fasta

transformers = pytest.importorskip("transformers", reason="the extra language-models is missing")
pytest.importorskip("sentencepiece", reason="the extra language-models is missing")
mini3di = pytest.importorskip("mini3di", reason="the extra language-models is missing")
from halo.structures.letters import structure_aware, structure_letters  # noqa: E402

DIM = 96  # of the demo's ESM-2, too
SEQUENCES = ["MKTAYIAKQRQISFVKSHFSRQ", "MWX", "ACDEFGHIKLMNPQRSTVWYBUZOJ", "MKT" * 25]
AMINO_ACIDS = "ALGVSREDTIPKFQNYMHWC"
WORD = "\u2581"


def randomized(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for value in model.parameters():
        torch.nn.init.normal_(value, std=0.3)
    return model.eval()


def write_pieces(path: Path, pieces: list[str]) -> None:
    """A model of SentencePiece, as ProtT5 has it."""
    from transformers.convert_slow_tokenizer import import_protobuf

    proto = import_protobuf().ModelProto()
    for number, piece in enumerate(["<pad>", "</s>", "<unk>", *pieces]):
        proto.pieces.add(piece=piece, score=-number, type=(3, 3, 2)[number] if number < 3 else 1)
    proto.trainer_spec.model_type = 1
    proto.trainer_spec.unk_id, proto.trainer_spec.eos_id, proto.trainer_spec.pad_id = 2, 1, 0
    proto.trainer_spec.bos_id = -1
    proto.normalizer_spec.name = "identity"
    path.write_bytes(proto.SerializeToString())


def t5(folder: Path, vocabulary: int, **change: object) -> None:
    config = transformers.T5Config(
        vocab_size=vocabulary, d_model=DIM, d_kv=8, d_ff=64, num_layers=3, num_heads=4,
        relative_attention_num_buckets=8, relative_attention_max_distance=20, **change,
    )  # fmt: skip
    randomized(transformers.T5EncoderModel(config)).save_pretrained(folder)


def prott5(folder: Path) -> None:
    write_pieces(folder / "spiece.model", [WORD + letter for letter in f"{AMINO_ACIDS}XBOUZ"])
    t5(folder, 128)


def prostt5(folder: Path) -> None:
    letters = f"{AMINO_ACIDS}XBOUZ{AMINO_ACIDS.lower()}"
    write_pieces(folder / "spiece.model", [WORD + letter for letter in letters])
    added = {"<AA2fold>": 149, "<fold2AA>": 148}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    t5(folder, 160)


def ankh(folder: Path) -> None:
    """Its letters are no words; they have their numbers in ``tokenizer.json``."""
    pieces = ["<pad>", "</s>", "<unk>", *f"{AMINO_ACIDS}XBOUZ"]
    content = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "pre_tokenizer": None, "decoder": None, "post_processor": {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "added_tokens": [
            {"id": number, "content": piece, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
            for number, piece in enumerate(pieces[:3])
        ],
        "model": {
            "type": "Unigram", "unk_id": 2, "byte_fallback": False,
            "vocab": [[piece, 0.0 if number < 3 else -2.0] for number, piece in enumerate(pieces)],
        },
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))
    t5(folder, 144, feed_forward_proj="gated-gelu")


def saprot(folder: Path) -> None:
    pairs = [a + b for a in "ACDEFGHIKLMNPQRSTVWY#" for b in "pynwrqhgdlvtmfsaeikc#"]
    special = ["<cls>", "<pad>", "<eos>", "<unk>", "<mask>"]
    (folder / "vocab.txt").write_text("\n".join([*special, *pairs]))
    config = transformers.EsmConfig(
        vocab_size=446, mask_token_id=4, pad_token_id=1, hidden_size=DIM, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=4 * DIM, position_embedding_type="rotary",
        token_dropout=True, max_position_embeddings=1026, emb_layer_norm_before=False,
    )  # fmt: skip
    randomized(transformers.EsmForMaskedLM(config)).save_pretrained(folder)


def esmc(folder: Path) -> None:
    config = transformers.EsmcConfig(
        hidden_size=DIM, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48
    )
    randomized(transformers.EsmcForMaskedLM(config)).save_pretrained(folder)


MODELS = {each.__name__: each for each in (prott5, prostt5, ankh, saprot, esmc)}
CLASSES = {"prott5": "t5", "prostt5": "t5", "ankh": "t5", "saprot": "saprot", "esmc": "esmc"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name, write in MODELS.items():
        (root / name).mkdir()
        write(root / name)
    return {name: root / name for name in MODELS}


def weights_of(folder: Path):
    return find_weights(str(folder), folder.parent, None)


def encoder_of(folder: Path, layer: int = -1, dtype: torch.dtype = torch.float32):
    return make_encoder(weights_of(folder), layer, "cpu", dtype)


# As the authors of a model show, by name: the text for the tokenizer, and the first residue's row.
def letters(sequence: str) -> str:
    return re.sub("[UZOBJ]", "X", sequence)


AS_PUBLISHED = {
    "prott5": ("T5Tokenizer", lambda text: " ".join(letters(text)), 0),
    "prostt5": ("T5Tokenizer", lambda text: "<AA2fold> " + " ".join(letters(text)), 1),
    "ankh": ("PreTrainedTokenizerFast", letters, 0),
    "saprot": ("EsmTokenizer", lambda text: text, 1),
    "esmc": ("EsmcTokenizer", lambda text: text.replace("J", "X"), 1),
}
ENCODERS = {"saprot": "EsmModel", "esmc": "EsmcModel"}


def expected_states(name: str, folder: Path, text: str, layer: int) -> np.ndarray:
    """States of all residues of one text by transformers alone, float32 [length, DIM]."""
    tokenizer_class, prepared, first = AS_PUBLISHED[name]
    model_class = getattr(transformers, ENCODERS.get(name, "T5EncoderModel"))
    model = model_class.from_pretrained(folder).eval()
    tokenizer = getattr(transformers, tokenizer_class)
    tokenizer = tokenizer() if name == "esmc" else tokenizer.from_pretrained(folder)
    tokens = tokenizer(prepared(text), return_tensors="pt")["input_ids"]
    length = len(text) // (2 if name == "saprot" else 1)
    assert tokens.shape[1] == length + first + 1
    with torch.inference_mode():
        states = model(input_ids=tokens, output_hidden_states=True).hidden_states[layer]
    return states[0, first : first + length].numpy()


def text_of(name: str, sequence: str) -> str:
    """What the model reads of a sequence; the structure's letters of SaProt are made up."""
    if name != "saprot":
        return sequence
    own = "".join(letter if letter in AMINO_ACIDS else "#" for letter in sequence)
    return "".join(map("".join, zip(own, "dpv#y" * len(own), strict=False)))


@pytest.mark.parametrize("layer", [-1, 0, 2])
@pytest.mark.parametrize("name", MODELS)
def test_the_states_of_a_batch_are_those_of_its_own_package(folders, name, layer):
    texts = [text_of(name, sequence) for sequence in SEQUENCES]
    found = encoder_of(folders[name], layer).start(texts)()
    for rows, text, sequence in zip(found, texts, SEQUENCES, strict=True):
        expected = expected_states(name, folders[name], text, layer)
        assert rows.shape == (len(sequence), DIM)
        np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-4, atol=1e-4 * expected.std())


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_near(folders, name):
    texts = [text_of(name, sequence) for sequence in SEQUENCES]
    exact = torch.cat(encoder_of(folders[name]).start(texts)())
    rounded = torch.cat(encoder_of(folders[name], dtype=torch.bfloat16).start(texts)())
    assert rounded.dtype == torch.float32
    difference = (rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 0 < difference < 0.1


def member(sequence: str) -> Member:
    return Member(sha256_of_text(sequence), (), sequence)


@pytest.mark.parametrize("name", ["prott5", "saprot"])
def test_windows_of_a_long_protein_overlap_as_with_esm2(folders, name):
    settings = EmbeddingSettings(window=40, overlap=10)
    one = member("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ")
    text = text_of(name, one.sequence)
    texts = {one.seq_hash: text} if name == "saprot" else None
    [(_, rows)] = embed([one], encoder_of(folders[name]), settings, texts)
    assert rows.shape == (56, DIM)
    width = len(text) // 56
    for start, stop, first, last in [(0, 33, 0, 23), (23, 56, 33, 56)]:  # and of one window alone
        part = text[start * width : stop * width]
        expected = expected_states(name, folders[name], part, -1)[first - start : last - start]
        np.testing.assert_allclose(rows[first:last], expected, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------- finding a model


@pytest.mark.parametrize("name", MODELS)
def test_the_class_is_recognized_by_the_folder(folders, name):
    found = weights_of(folders[name])
    assert found.model_class == class_of_model(str(folders[name])) == CLASSES[name]
    assert found.name == name


def test_the_vocabulary_is_part_of_the_digest(folders, tmp_path):
    copy = shutil.copytree(folders["saprot"], tmp_path / "saprot")
    before = weights_of(copy)
    words = (copy / "vocab.txt").read_text().split()
    words[-1], words[-2] = words[-2], words[-1]
    (copy / "vocab.txt").write_text("\n".join(words))
    assert weights_of(copy).sha256 != before.sha256
    with pytest.raises(HaloError, match="changed since it was found"):
        make_encoder(before, -1, "cpu", torch.float32)


def faults_of(model: Path, **sections: object) -> list:
    """Faults of a configuration with this model."""
    table = str(Path(__file__).parents[2] / "resources/demo/proteins.csv")
    given = {"run": "a", "dataset": {"proteins": table}, "embeddings": {"model": str(model)}}
    _, config = config_faults(given | sections)
    return with_found_files(dumped(config), model)[1]


def without(name: str):
    return lambda folder: (folder / name).unlink()


def lfs_pointer(folder: Path) -> None:
    (folder / "spiece.model").write_text("version https://git-lfs.github.com/spec/v1\n")


def web_page(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("<!DOCTYPE html><title>Sign in</title>")


def truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("spiece.model"), "without tokenizer.json or spiece.model (ProtT5"),
        (lfs_pointer, "spiece.model is a pointer of Git LFS"),
        (web_page, "tokenizer.json is a web page (Sign in), not a vocabulary"),
        (without("model.safetensors"), "without model.safetensors or pytorch_model.bin"),
        (truncated, "model.safetensors is truncated or damaged"),
    ],
    ids=["vocabulary", "pointer", "page", "weights", "truncated"],
)
def test_an_incomplete_folder_is_reported_before_any_job(folders, tmp_path, damage, message):
    copy = shutil.copytree(folders["prott5"], tmp_path / "prott5")
    damage(copy)
    [fault] = faults_of(copy)
    assert fault.path == ("embeddings", "model")
    assert message in fault.text
    with pytest.raises(HaloError, match=re.escape(message)):
        weights_of(copy)


def test_only_esm2_is_fine_tuned(folders):
    assert faults_of(folders["esmc"]) == []
    [fault] = faults_of(folders["esmc"], finetune={"model": "finetuned"})
    assert fault.path == ("finetune", "model")
    assert "fine-tunes ESM-2 alone, and embeddings.model is ESM C" in fault.text
    with pytest.raises(HaloError, match="not ESM-2"):
        load_language_model(weights_of(folders["esmc"]))


def changed_weights(folder: Path, change) -> Path:
    file = folder / "model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file, {"format": "pt"})
    return folder


NORM = "encoder.final_layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(NORM), f"do not fit T5EncoderModel, {NORM} is missing"),
        (lambda state: state[NORM].fill_(torch.nan), f"values of {NORM} are no numbers"),
    ],
    ids=["missing", "not a number"],
)
def test_weights_are_never_made_up(folders, tmp_path, change, message):
    folder = changed_weights(shutil.copytree(folders["prott5"], tmp_path / "prott5"), change)
    with pytest.raises(HaloError, match=message):
        encoder_of(folder)


def test_pickled_weights_are_read_without_running_code(folders, tmp_path):
    """As most of these models are published."""
    folder = shutil.copytree(folders["prott5"], tmp_path / "prott5")
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    expected = encoder_of(folders["prott5"]).start(SEQUENCES)()
    found = encoder_of(folder).start(SEQUENCES)()
    torch.testing.assert_close(found, expected)
    torch.save({"a": Path()}, folder / "pytorch_model.bin")
    with pytest.raises(HaloError, match="transformers cannot load it"):
        encoder_of(folder)


def test_the_vocabulary_of_another_model_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["prott5"], tmp_path / "prott5")
    write_pieces(folder / "spiece.model", list("the of and"))
    with pytest.raises(HaloError, match="vocabulary is damaged or that of another model"):
        encoder_of(folder)


def test_missing_packages_are_named(folders, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "mini3di" else name)
    with pytest.raises(HaloError, match=r"SaProt: .*\(mini3di\); .*halo-localization\[language-m"):
        encoder_of(folders["saprot"])
    encoder_of(folders["esmc"])  # needs none


def test_check_model_describes_a_folder(folders, capsys):
    arguments = parser("check-model").parse_args(["check-model", str(folders["ankh"])])
    arguments.job(arguments)
    said = capsys.readouterr().out
    assert "ProtT5, ProstT5, Ankh: 3 layers, 96 channels" in said
    assert weights_of(folders["ankh"]).sha256 in said


# ---------------------------------------------------------------------- structures

AFDB = Path(__file__).parents[2] / "resources/demo/afdb"


def chain_of(number: int):
    file = sorted(AFDB.glob("*.cif.gz"))[number]
    [chain] = parse_structure(file.read_bytes(), file.name)
    return chain


def fragment(chain, start: int = 0, stop: int | None = None) -> Fragment:
    rows = slice(start, stop)
    residue = np.frombuffer(chain.letters.encode(), np.uint8)
    position = np.arange(len(residue), dtype=np.uint16)
    plddt = chain.b_factor.astype(np.float16)
    return Fragment(chain.coordinates[rows], plddt[rows], residue[rows], position[rows])


def letters_of_biopython(chain) -> str:
    """mini3di's letters for a chain of Biopython, without Cβ atoms."""
    own = Chain("A")
    for number, atoms in enumerate(chain.coordinates):
        residue = Residue((" ", number, " "), "ALA", "")
        for name, place in zip(("N", "CA", "C"), atoms, strict=True):
            residue.add(Atom(name, place, 0.0, 1.0, " ", name, number, name[0]))
        own.add(residue)
    encoder = mini3di.Encoder()
    return encoder.build_sequence(encoder.encode_chain(own)).lower()


def test_letters_are_those_of_mini3di_and_leave_out_low_confidence():
    chain = chain_of(0)
    expected = letters_of_biopython(chain)
    arrays = pack([fragment(chain)])
    arrays["plddt"] = np.full(len(chain.letters), 90, np.float16)
    assert structure_letters(len(chain.letters), arrays) == expected
    assert len(set(expected)) > 3
    arrays["plddt"][[2, 5]] = 69.9, 70
    masked = structure_letters(len(chain.letters), arrays)
    assert masked == expected[:2] + "#" + expected[3:]
    arrays["plddt"][:] = np.nan  # of an experiment
    assert structure_letters(len(chain.letters), arrays) == expected


def test_letters_of_overlapping_fragments_and_of_missing_residues():
    chain = chain_of(0)
    n, half = len(chain.letters), len(chain.letters) // 2
    first, second = fragment(chain, 1, half + 10), fragment(chain, half - 10)
    letters = structure_letters(n, pack([first, second]))
    alone = [structure_letters(n, pack([part])) for part in (first, second)]
    assert letters == alone[0][:half] + alone[1][half:]
    assert letters[0] == "#"
    assert structure_letters(3, pack()) == structure_letters(3, None) == "###"
    assert structure_letters(4, pack([fragment(chain, 0, 2)])) == "####"
    assert structure_aware("MXU", None) == "M#####"


def write_structure(store: Store, one: Member, chain, sha256: str) -> None:
    note = Note("ok", sha256=sha256) if chain is not None else Note("missing")
    arrays = pack([fragment(chain)] if chain is not None else [])
    with store.writer() as writer:
        writer.add(one.seq_hash, arrays, {"manifest": note.to_json()})


def test_a_changed_structure_is_embedded_again(folders, tmp_path):
    chains = chain_of(0), chain_of(1)
    members = [member(chain.letters) for chain in chains]
    buckets: dict[str, list[Member]] = {}
    for one in members:
        buckets.setdefault(bucket_of(one.seq_hash), []).append(one)
    structures = Store.create(tmp_path, "structures", {"kind": "structures"}, STRUCTURES)
    write_structure(structures, members[0], chains[0], "a")
    write_structure(structures, members[1], None, "")
    settings = EmbeddingSettings(precision="float32")
    arguments = buckets, tmp_path, weights_of(folders["saprot"]), settings, "cpu"
    made = []

    def encoder(*wanted):
        found = make_encoder(*wanted)
        start = found.start
        found.start = lambda texts: (made.append(list(texts)), start(texts))[1]
        return found

    store = embed_buckets(*arguments, encoder, structures=structures)
    texts = [structure_aware(members[0].sequence, pack([fragment(chains[0])]))]
    texts.append(structure_aware(members[1].sequence, None))
    assert sorted(text for batch in made for text in batch) == sorted(texts)
    for one, text in zip(members, texts, strict=True):
        expected = expected_states("saprot", folders["saprot"], text, -1)
        np.testing.assert_allclose(
            read_embedding(store, one.seq_hash), expected, rtol=2e-3, atol=2e-3
        )
    assert read_json(store.path / "fingerprint.json")["structures"] == structures.fingerprint

    made.clear()
    write_structure(structures, members[1], chains[1], "b")
    structures.refresh()
    store = embed_buckets(*arguments, encoder, structures=structures)
    texts = [structure_aware(members[1].sequence, pack([fragment(chains[1])]))]
    assert made == [texts]
    assert compact(store.path, layout_of(read_json(store.path / "fingerprint.json"))) >= 0
    made.clear()
    embed_buckets(*arguments, encoder, structures=structures)
    assert made == []  # a compaction keeps the versions of the structures
    with pytest.raises(ValueError, match="reads structures"):
        embed_buckets(*arguments, encoder)


# ---------------------------------------------------------------------- predictions


@pytest.fixture
def cached(folders, tmp_path, monkeypatch):
    """The models in a cache of Hugging Face, by name."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    for name, folder in folders.items():
        shutil.copytree(folder, cache / f"models--small--{name}/snapshots/0")
    return {name: f"small/{name}" for name in folders}


def bundle_with(small_bundle: Path, folder: Path, weights: Weights) -> Path:
    """A copy of a bundle whose networks are given the states of another language model."""
    shutil.copytree(small_bundle, folder)
    description = read_json(folder / DESCRIPTION)
    description["language_model"] |= {
        "name": weights.name, "sha256": weights.sha256, "class": weights.model_class
    }  # fmt: skip
    description["embeddings"]["window"] = 1022
    write_json(folder / DESCRIPTION, description)
    write_json(folder / MANIFEST, {"format": FORMAT, "files": listed(folder)})
    return folder


def structure_files(name: str) -> list[Path]:
    return list((DEMO / "afdb").glob(f"AF-{name}-*"))


@pytest.mark.parametrize("name", ["prott5", "saprot"])
def test_a_bundle_names_its_language_model(small_bundle, cached, folders, tmp_path, name):
    weights = find_weights(cached[name], tmp_path, None)
    bundle = bundle_with(small_bundle, tmp_path / "bundle", weights)
    shortest = dict(sorted(queries().items(), key=lambda each: len(each[1]))[:4])
    settings = replace(OFFLINE, language_model=None, store=tmp_path / "store")
    predict(write_fasta(tmp_path / "q.fasta", shortest), bundle, tmp_path / "out", settings)
    [folder] = (tmp_path / "store/embeddings").iterdir()
    store = Store(folder, layout_of(read_json(folder / "fingerprint.json")))
    structures = None
    if name == "saprot":
        [folder] = (tmp_path / "store/structures").iterdir()
        structures = Store(folder, STRUCTURES)
    known = 0
    for sequence in shortest.values():
        text, own = sequence, sha256_of_text(sequence)
        if structures is not None:
            text = structure_aware(sequence, structures.read(own))
            known += text[1::2] != "#" * len(sequence)
        expected = expected_states(name, folders[name], text, -1)
        np.testing.assert_allclose(read_embedding(store, own), expected, rtol=2e-3, atol=2e-3)
    assert known or name == "prott5"


def test_a_bundle_whose_language_model_is_unknown_is_refused(small_bundle, cached, tmp_path):
    weights = find_weights(cached["esmc"], tmp_path, None)
    other = bundle_with(small_bundle, tmp_path / "other", replace(weights, name="small/gone"))
    with pytest.raises(HaloError, match=r"small/gone .* not in Hugging Face's cache"):
        find_language_model(read_bundle(other), replace(OFFLINE, language_model=None))
    new = bundle_with(small_bundle, tmp_path / "new", replace(weights, model_class="esm9"))
    with pytest.raises(HaloError, match="a language model of the class esm9"):
        read_bundle(new)


def test_variants_have_the_letters_of_their_wild_type(small_bundle, cached, tmp_path, monkeypatch):
    weights = find_weights(cached["saprot"], tmp_path, None)
    bundle = bundle_with(small_bundle, tmp_path / "bundle", weights)
    read: set[str] = set()
    original = compute.embed

    def noted(members, encoder, settings, texts):
        read.update(texts.values())
        return original(members, encoder, settings, texts)

    monkeypatch.setattr(compute, "embed", noted)
    found = {name: text for name, text in queries().items() if structure_files(name)}
    name, sequence = min(found.items(), key=lambda each: len(each[1]))
    other = "W" if sequence[4] != "W" else "A"
    texts = [f"{sequence[4]}5{other}", f"{sequence[9]}10_{sequence[11]}12delinsWW", "M1extMK"]
    (tmp_path / "variants.txt").write_text("\n".join(texts))
    wildtypes = write_fasta(tmp_path / "q.fasta", {name: sequence})
    settings = replace(OFFLINE, language_model=None, store=tmp_path / "store")
    out = tmp_path / "out"
    own = VariantSettings(random=0, predict=settings)
    variants(wildtypes, tmp_path / "variants.txt", bundle, out, own)
    [folder] = (tmp_path / "store/structures").iterdir()
    arrays = Store(folder, STRUCTURES).read(sha256_of_text(sequence))
    letters = structure_letters(len(sequence), arrays)
    assert letters != "#" * len(sequence)
    expected = [
        (sequence, letters),
        (f"{sequence[:4]}{other}{sequence[5:]}", letters),
        (f"{sequence[:9]}WW{sequence[12:]}", f"{letters[:9]}##{letters[12:]}"),
        (f"MK{sequence}", f"##{letters}"),
    ]
    assert read == {"".join(map("".join, zip(*pair, strict=True))) for pair in expected}
    content = read_json(out / "variants.json")
    assert [one["structure"] for one in content["variants"]] == ["kept", "mapped", "mapped"]
    [wildtype] = content["wildtypes"]
    alone = wildtype["probabilities_alone"] or wildtype["probabilities"]
    assert content["variants"][0]["wildtype"] == pytest.approx(alone, abs=1e-5)


def test_a_bundle_can_include_the_language_model(folders, tmp_path):
    (tmp_path / "bundle").mkdir()
    weights = weights_of(folders["saprot"])
    copy_language_model(weights, tmp_path / "bundle")
    assert weights_of(tmp_path / "bundle/language_model").sha256 == weights.sha256
