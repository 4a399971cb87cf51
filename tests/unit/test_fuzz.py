"""A short, seeded fuzzing of every reader (longer: `make fuzz`), and its earlier findings."""

import gzip
import io
import json
import time
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import pytest

from fuzz import run, samples
from fuzz.mutations import SAFETENSORS, TAR, ZIP, mutated
from fuzz.readers import READERS, Reader
from halo.config import checked_config, load_yaml
from halo.embeddings.checkpoint import load_esm2
from halo.errors import HaloError
from halo.files import read_json
from halo.predict.accession_list import find_list
from halo.predict.bundle import DESCRIPTION, MANIFEST, read_bundle
from halo.predict.explanation import read_explanations
from halo.predict.output import read_chunk
from halo.structures import pdb
from halo.structures.archive import make_index
from halo.structures.confidence import confidence_of
from halo.structures.contacts import Contacts
from halo.structures.parse import StructureError, parse_structure
from halo.structures.settings import SourceSettings
from halo.structures.staging import _unpack
from halo.tables.readers import MOST_COLUMNS, read_table
from halo.text import open_text
from halo.training.checkpoint import load_model
from halo.training.state import load_state
from halo.uniprot.entries import read_entries

INPUTS = 400  # for each reader; `make fuzz` gives more
DEEP = b"[" * 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_reader_answers_every_input(name: str, tmp_path: Path) -> None:
    counts = run.fuzz(name, 1, tmp_path, inputs=INPUTS)
    notes = [path.read_text() for path in tmp_path.rglob("*.txt")]
    assert not counts.faults, "\n".join(notes)
    assert counts.inputs == INPUTS == counts.accepted + counts.refused
    assert counts.refused, "not one of the inputs is damaged"


def test_inputs_depend_on_the_seed_alone() -> None:
    def inputs(seed: int) -> list[bytes]:
        random, corpus = Random(seed), [samples.TABLE.encode()]
        return [mutated(random, corpus, [b"x"], ()) for _ in range(50)]

    assert inputs(1) == inputs(1) != inputs(2)


@pytest.mark.parametrize("name", sorted({*READERS} - {"language model"}))
def test_samples_are_the_same_each_time(name: str, tmp_path: Path, monkeypatch) -> None:
    made = []
    for year in (2001, 2002):
        folder = tmp_path / str(year)
        folder.mkdir()
        monkeypatch.setattr(time, "time", lambda year=year: (year - 1970) * 31_557_600.0)
        made.append([*READERS[name].samples(folder)])
    assert made[0] == made[1]


def _no_error(path: Path) -> None:
    if b"nucleus" not in path.read_bytes():
        raise ValueError("another exception")


def _wrong(path: Path) -> None:
    assert b"nucleus" in path.read_bytes(), "a wrong answer"


def _endless(path: Path) -> None:
    while b"nucleus" not in path.read_bytes():
        pass


def _hungry(path: Path) -> None:
    if b"nucleus" not in path.read_bytes():
        np.empty(4 * run.MEMORY, np.uint8)


def _elsewhere(path: Path) -> None:
    if b"nucleus" not in path.read_bytes():
        Path("/tmp/written-elsewhere").write_text("x")


def _fatal(path: Path) -> None:
    if b"nucleus" not in path.read_bytes():
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (_no_error, "ValueError: another exception"),
        (_wrong, "AssertionError: a wrong answer"),
        (_endless, "TooLong"),
        (_hungry, "Unable to allocate"),
        (_elsewhere, "Elsewhere: open '/tmp/written-elsewhere'"),
        (_fatal, "Segmentation fault"),
    ],
)
def test_faults_are_found_and_their_input_is_kept(read, told, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(
        run.READERS, "x", Reader(lambda _: [samples.TABLE.encode()], read, ["nucleuS"])
    )
    monkeypatch.setattr(run, "SECONDS", 0.2)
    monkeypatch.setattr(run, "RESTARTS", 2)
    counts = run.fuzz("x", 3, tmp_path, inputs=40)
    assert counts.faults
    for note in tmp_path.glob("x/*.txt"):
        assert told in note.read_text()
        assert b"nucleus" not in note.with_suffix(".bin").read_bytes()
    assert list(tmp_path.glob("x/*.bin"))
    assert not Path("/tmp/written-elsewhere").exists()


def _bytes(name: str, content: bytes, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "read",
    [read_json, load_yaml, lambda path: list(read_entries(path))],
    ids=["json", "yaml", "uniprot"],
)
@pytest.mark.parametrize(
    "content", [DEEP, b'{"a":' * 100_000, b"9" * 5000], ids=["list", "object", "number"]
)
def test_json_that_is_nested_too_deeply(read, content: bytes, tmp_path: Path) -> None:
    path = _bytes("x.json", content, tmp_path)
    with pytest.raises(HaloError, match=r"x\.json"):
        read(path)


@pytest.mark.parametrize(
    "text", ["!!bool x", "!!timestamp x", "!!int x", "!!float x", '"\\UFFFFFFFF"']
)
def test_yaml_values_that_are_not_of_their_tag(text: str, tmp_path: Path) -> None:
    with pytest.raises(HaloError, match="not readable as YAML"):
        load_yaml(_bytes("x.yaml", f"a: {text}\n".encode(), tmp_path))


def test_zip_of_a_later_version(tmp_path: Path) -> None:
    data = bytearray(samples.zipped("a,b\n1,2\n"))
    data[data.index(b"PK\1\2") + 6] = 99
    with pytest.raises(HaloError, match="a zip that is empty, damaged"):
        open_text(_bytes("x.zip", bytes(data), tmp_path))


def test_table_of_too_many_columns(tmp_path: Path) -> None:
    names = ",".join(map(str, range(MOST_COLUMNS + 1)))
    with pytest.raises(HaloError, match="16,385 columns"):
        read_table(_bytes("x.csv", names.encode() + b"\n", tmp_path))


def test_words_of_many_addresses_take_no_time() -> None:
    assert find_list("x", ["P12345\n", "https://" * 50_000 + "\n"])[0].accession == "P12345"
    known = find_list("x", ["https://www.uniprot.org/uniprotkb/P12345/entry\n"])
    assert known[0].accession == "P12345"


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("n_res", np.array(["x", "y"])),
        ("dj", np.array([1.5, 2, 3, 4, 5])),
        ("accession", None),
        ("di", b"no array"),
        ("offsets", b"\x93NUMPY\1\0\x20\0{'descr': ("),
    ],
)
def test_contacts_of_other_arrays(name: str, array, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(samples.contacts())) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    if array is None:
        del parts[f"{name}.npy"]
    elif isinstance(array, bytes):
        parts[f"{name}.npy"] = array
    else:
        out = io.BytesIO()
        np.save(out, array)
        parts[f"{name}.npy"] = out.getvalue()
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in parts.items():
            archive.writestr(each, content)
    with pytest.raises(HaloError, match="no table of contacts"):
        Contacts(SourceSettings("contacts", str(path)), frozenset({samples.ACCESSION}))


def test_contacts_of_a_protein_without_residues(tmp_path: Path) -> None:
    with np.load(io.BytesIO(samples.contacts())) as table:
        ends = np.array([0, 0, len(table["di"])])
        arrays = {**table, "offsets": ends, "n_res": np.array([-2_145_517_568, 30])}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(HaloError, match="-2145517568 residues"):
        Contacts(
            SourceSettings("contacts", str(tmp_path / "x.npz")), frozenset({samples.ACCESSION})
        )


@pytest.mark.parametrize(
    "change",
    [
        {"labels": 3},
        {"labels": ["x", None]},
        {"embedding_dim": "4"},
        {"embedding_dim": -8},
        {"embedding_dim": 2**40},
        {"class": ["x"]},
        {"network": "x"},
        {"network": {"unknown": 1}},
        {"network": {"dropout": 255}},
        {"network": {"layers": 2**31}},
    ],
)
def test_network_of_a_damaged_description(change: dict, tmp_path: Path) -> None:
    samples.network(tmp_path)
    description = read_json(tmp_path / "model.json") | change
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(HaloError, match=r"model\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("entry", [{"bytes": "x", "sha256": "y"}, {"bytes": [1], "sha256": 2}, 3])
def test_manifest_of_other_types(entry, tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text(json.dumps(samples.bundle_description()))
    (tmp_path / MANIFEST).write_text(json.dumps({"files": {DESCRIPTION: entry}}))
    with pytest.raises(HaloError, match="no size and sha256"):
        read_bundle(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"primaryAccession": 3},
        {"sequence": {"value": None}},
        {"organism": {"scientificName": ["x"]}},
        {"uniProtKBCrossReferences": [{"database": "GO", "id": ["x"]}]},
    ],
)
def test_entry_of_other_types(change: dict, tmp_path: Path) -> None:
    path = _bytes("x.json", json.dumps(samples.ENTRY | change).encode(), tmp_path)
    with pytest.raises(HaloError, match="entry 1 is none of UniProtKB's JSON"):
        list(read_entries(path))


def test_lines_of_json_that_are_no_objects(tmp_path: Path) -> None:
    path = _bytes("x.jsonl", json.dumps(samples.ENTRY).encode() + b"\n3\n", tmp_path)
    with pytest.raises(HaloError, match="entry 2 is none"):
        list(read_entries(path))


@pytest.mark.parametrize("old", [b"kind", b"dataEncoding", b"data", b"columns", b"encoding"])
def test_bcif_without_a_key(old: bytes) -> None:
    data = samples.bcif().replace(old, b"x" * len(old))
    with pytest.raises(StructureError):
        parse_structure(data, "x")


def test_residue_numbers_beyond_their_range() -> None:
    expected = parse_structure(samples.mmcif().encode(), "x")[0]
    lines = [line.split() for line in samples.mmcif().splitlines()]
    place = [line[0].partition(".")[2] for line in lines if line and "_atom_site." in line[0]]
    for line in lines:
        if line and line[0] == "ATOM":
            line[place.index("auth_seq_id")] += "0" * 20
    text = "\n".join(" ".join(line) for line in lines)
    found = parse_structure(text.encode(), "x")[0]
    assert found.letters == expected.letters
    assert not found.numbers.any()


def test_infinite_confidence_is_unknown() -> None:
    lines = samples.pdb().splitlines()
    row = next(row for row, line in enumerate(lines) if line[12:16] == " CA ")
    lines[row] = f"{lines[row][:60]}   inf{lines[row][66:]}"
    chain = parse_structure("\n".join(lines).encode() + b"\n", "x")[0]
    plddt = confidence_of(chain, "plddt").plddt
    assert np.isnan(plddt).tolist() == [True] + [False] * (len(samples.SEQUENCE) - 1)


def test_models_without_atoms_are_passed_over(monkeypatch) -> None:
    asked = []
    read = pdb._atoms
    monkeypatch.setattr(pdb, "_atoms", lambda *given: asked.append(given) or read(*given))
    data = b"MODEL        1\nENDMDL\n" * 5000 + samples.pdb().encode()
    assert parse_structure(data, "x")[0].letters == samples.SEQUENCE
    assert len(asked) == 1


def test_tar_with_a_size_beyond_any_file(tmp_path: Path) -> None:
    tree = TAR.load(samples.tar())
    tree[1][0]["size"] = 2**70
    path = _bytes("x.tar", TAR.dump(tree), tmp_path)
    with pytest.raises(HaloError, match="not readable as a tar"):
        make_index(path)


def test_folds_without_number() -> None:
    config = {"run": "x", "dataset": {"proteins": "x"}, "split": {"folds": 1001}}
    with pytest.raises(HaloError, match=r"split\.folds: 1001 is not at most 1000"):
        checked_config(config)


@pytest.mark.parametrize("change", [{"epoch": "1"}, {"step": None}, {"history": 3}, {"loss": []}])
def test_training_state_with_another_position(change: dict, tmp_path: Path) -> None:
    head, body = SAFETENSORS.load(samples.training_state(tmp_path))
    position = json.loads(head["__metadata__"]["position"])
    path = _bytes("x.safetensors", SAFETENSORS.dump([head, body]), tmp_path)
    assert load_state(path) is not None
    head["__metadata__"]["position"] = json.dumps(position | change)
    assert load_state(_bytes("x.safetensors", SAFETENSORS.dump([head, body]), tmp_path)) is None


@pytest.mark.parametrize("old", [b"encoder_embed_dim", b"_rebuild_tensor_v2", b"storage"])
@pytest.mark.parametrize("number", [0, 1])
def test_checkpoint_with_a_damaged_pickle(old: bytes, number: int, tmp_path: Path) -> None:
    data = samples.language_model()[number]
    at = data.index(old) if old in data else len(data) // 2
    with pytest.raises(HaloError, match=r"x\.pt"):
        load_esm2(_bytes("x.pt", data[:at] + b"\0" + data[at + 1 :], tmp_path))


@pytest.mark.parametrize("number", [0, 1])
def test_checkpoint_that_imports_a_long_name(number: int, tmp_path: Path) -> None:
    data = samples.language_model()[number]
    old, new = b"collections\nOrderedDict", b"collections\nOrderedDict" + b"0x10" * 25_000
    if number == 0:
        tree = ZIP.load(data)
        data = ZIP.dump({name: part.replace(old, new) for name, part in tree.items()})
    else:
        data = data.replace(old, new)
    with pytest.raises(HaloError, match="imports a name of no program"):
        load_esm2(_bytes("x.pt", data, tmp_path))


def test_explanations_of_other_lengths(tmp_path: Path) -> None:
    arrays = dict(np.load(io.BytesIO(samples.explanations())))
    arrays["0.values"] = arrays["0.values"][:, 1:]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(HaloError, match="not a value for each label and residue"):
        list(read_explanations(tmp_path / "x.npz"))


@pytest.mark.parametrize("change", [{"header": 3}, {"records": [3]}, {"records": 3}])
def test_chunk_of_other_types(change: dict, tmp_path: Path) -> None:
    path = _bytes("x.json", json.dumps(samples.chunk() | change).encode(), tmp_path)
    with pytest.raises(HaloError, match="damaged; delete it"):
        read_chunk(path)


def test_staged_structure_with_a_damaged_head() -> None:
    head, _, body = samples.staged().partition(b"\n")
    assert _unpack(head + b"\n" + body) is not None
    for change in ({"rows": {}}, {"rows": {"coordinates": 2**70}}, {"manifest": "["}):
        damaged = json.dumps(json.loads(head) | change).encode() + b"\n" + body
        assert _unpack(damaged) is None


def test_download_that_is_damaged(tmp_path: Path) -> None:
    from halo.uniprot.release import release_of

    data = bytearray(gzip.compress(b'{"uniprot": {}}\n' * 50))
    data[14] ^= 0xFF
    assert release_of(_bytes("uniprot-x.jsonl.gz", bytes(data), tmp_path)) is None
