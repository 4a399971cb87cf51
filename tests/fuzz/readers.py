"""Fuzzed readers: samples of their input, and checks of their results.

A check raises AssertionError where the answer is wrong; an input that is refused is a HaloError.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import gemmi
import numpy as np
import safetensors.torch
import torch
import yaml

from fuzz import samples
from fuzz.mutations import (
    GZIP,
    JSON,
    JSON_LINES,
    MSGPACK,
    SAFETENSORS,
    STAGED,
    TAR,
    ZIP,
    Format,
)
from halo.biochemistry import SCALES_FILE
from halo.config import checked_config, key_lines, load_yaml
from halo.embeddings.checkpoint import load_esm2
from halo.embeddings.files import EmbeddingFile, index_of, require_usable
from halo.embeddings.hdf5_names import names_here
from halo.errors import HaloError
from halo.files import sha256_of_file
from halo.predict.accession_list import find_list
from halo.predict.bundle import DESCRIPTION, MANIFEST, SCALES, read_bundle
from halo.predict.explanation import read_explanations
from halo.predict.output import read_chunk
from halo.proteins.ingest import RESIDUES
from halo.segments import DamagedSegment, Segment
from halo.structures.afdb import choose, read_reply
from halo.structures.archive import make_index, open_archive
from halo.structures.atoms import Chain
from halo.structures.confidence import confidence_of
from halo.structures.contacts import Contacts
from halo.structures.layout import LAYOUT, Note
from halo.structures.parse import StructureError, expand, parse_structure
from halo.structures.settings import MAX_LENGTH, SourceSettings
from halo.structures.staging import _unpack
from halo.tables.fasta import UNSEEN, read_fasta
from halo.tables.readers import DESCRIPTION as FASTA_DESCRIPTION
from halo.tables.readers import FASTA, LINE, SEPARATORS, read_records
from halo.tables.workbook import workbook_rows
from halo.text import open_text
from halo.training.checkpoint import load_model
from halo.training.state import load_state
from halo.uniprot.entries import read_entries
from halo.uniprot.records import label_values
from halo.uniprot.settings import UniprotSettings
from halo.uniprot.vocabulary import Vocabulary
from halo.variants.edits import edited, edits_of
from halo.variants.notation import parse
from halo.variants.read import read_variants
from halo.variants.wildtypes import WildTypes

WANTED = frozenset({samples.ACCESSION, "P31946", "Q8N4C6"})
# https://www.uniprot.org/help/accession_numbers, and the number of an isoform
UNIPROT = re.compile(
    r"([OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2})(-[1-9][0-9]{0,3})?",
    re.ASCII,
)


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes
    ----------
    samples : from a folder that may be used to valid inputs
    read : reads a file and checks the answer
    words : tokens of the format
    formats : the packed formats that the input is of
    """

    samples: Callable[[Path], Sequence[bytes]]
    read: Callable[[Path], object]
    words: Sequence[str] = ()
    formats: Sequence[Format] = ()


def text(path: Path) -> None:
    """A text is that of Python's own decoder, where the bytes are of one encoding."""
    with open_text(path) as file:
        found = file.read()
    data = path.read_bytes()
    for magic, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
        if data.startswith(magic):
            data = module.open(io.BytesIO(data)).read()
            break
    if data.startswith(b"PK") or b"\0" in data or data.startswith((b"\xfe\xff", b"\xff\xfe")):
        return
    with_mark = data.startswith(b"\xef\xbb\xbf")
    try:
        expected = data.decode("utf-8-sig" if with_mark else "utf-8")
    except UnicodeDecodeError:
        assert len(found) <= len(data)
        return
    assert found == expected.replace("\r\n", "\n").replace("\r", "\n"), "not the file's text"


def table(path: Path) -> None:
    """A row's cells are those that the csv module finds in its line."""
    found = read_records(path)
    with open_text(path) as file:
        lines = file.read().split("\n")
    assert found[LINE].is_monotonic_increasing, "the lines are not in order"
    assert found[LINE].between(1, len(lines)).all(), "a line that is not there"
    if found.attrs.get(FASTA):
        assert {"id", "sequence", FASTA_DESCRIPTION} <= set(found.columns)
        return
    names = [name for name in found.columns if name != LINE]
    assert len(set(names)) == len(names) > 0, "columns of one name"
    whole = _bare("".join(lines))
    told = [line.strip().strip('"')[4:5] for line in lines if "sep=" in line.lower()]
    for line, *cells in found[[LINE, *names]].itertuples(index=False):
        row = lines[line - 1]
        assert all(isinstance(cell, str) for cell in cells), "a cell that is no text"
        if '"' in row:
            assert all(_bare(cell) in whole for cell in cells), f"line {line}: not of the file"
            continue
        fits = (
            _in_order(cells, [field.strip() for field in next(csv.reader([row], delimiter=each))])
            for each in dict.fromkeys((*SEPARATORS, *told))
            if each and row and each not in "\r\n "
        )
        assert any(fits), f"line {line}: cells that the csv module does not find"


def _bare(text: str) -> str:
    return "".join(text.split()).replace('"', "")


def _in_order(few: Sequence[str], many: Sequence[str]) -> bool:
    left = iter(many)
    return all(cell in left for cell in few)


def workbook(path: Path) -> None:
    """The rows of a workbook are texts, in order, and of one length."""
    rows = workbook_rows(path)
    assert all(isinstance(cell, str) for _, cells in rows for cell in cells), "a cell of no text"
    assert len({len(cells) for _, cells in rows}) <= 1, "rows of several lengths"
    numbers = [number for number, _ in rows]
    assert numbers == sorted(set(numbers)), "rows that are not in order"


def fasta(path: Path) -> None:
    """Records are what a plain loop over the lines finds."""
    found = list(read_fasta(path))
    with open_text(path) as file:
        lines = [line.strip().strip(UNSEEN).strip() for line in file.read().split("\n")]
    expected: list[list[str]] = []
    for line in lines:
        if line.startswith(">"):
            expected.append([line[1:].strip(), ""])
        elif not line.startswith((";", "#")) and expected:
            expected[-1][1] += "".join(line.split())
    assert [record.sequence for record in found] == [each for _, each in expected], "sequences"
    for record, (header, _) in zip(found, expected, strict=True):
        assert header.startswith(record.id), "an id that is not the header's begin"
        assert not re.search(r"[ \t]", record.id), "a blank in an id"
        assert lines[record.line - 1].startswith(">"), "the line of a record is no header"


def accessions(path: Path) -> None:
    """Entries are words of their line, with accessions of UniProt's form."""
    with open_text(path) as file:
        lines = file.readlines()
    for entry in find_list(path, lines) or ():
        line = lines[entry.line - 1]
        assert entry.text in line, "a text that is not in its line"
        _check_accession(entry.accession)
        assert entry.accession.partition("-")[0] in line.upper(), "an accession out of nothing"


def variants(path: Path) -> None:
    """Every variant is what its edits make of its wild type, and its notation says the same."""
    wildtypes = {"P1": samples.SEQUENCE, "P2": samples.SEQUENCE[::-1]}
    for found in read_variants(path, WildTypes(wildtypes), MAX_LENGTH)[0]:
        own = wildtypes[found.protein]
        made, origin = edited(own, edits_of(parse(found.notation), own, wildtypes))
        assert made == found.sequence, "another sequence"
        assert np.array_equal(origin, found.origin), "another origin"
        assert set(made) <= RESIDUES, "letters that are no residues"


def _check_accession(found: str) -> None:
    assert not found or UNIPROT.fullmatch(found), f"{found!r} is no accession"


def configuration(path: Path) -> None:
    """A file's content is what PyYAML itself reads, and is checked as a configuration."""
    content = load_yaml(path)
    lines = key_lines([path])
    data = path.read_bytes()
    if b"*" not in data and b"\t" not in data:
        expected = yaml.safe_load(data.decode("utf-8-sig"))
        assert repr(content) == repr(expected), "not what PyYAML reads"
    if isinstance(content, dict):
        checked = checked_config(content, lines)
        json.dumps(checked, allow_nan=False)


def pdb(path: Path) -> None:
    """Coordinates are those of the lines of the CA atoms, by the format's columns."""
    data = path.read_bytes()
    chains = _structure(data)
    # BinaryCIF or mmCIF is recognized by its content, and checked by its own function.
    lines = re.split(rb"\r\n|\n|\r", expand(data, ""))
    if not any(line.startswith((b"ATOM  ", b"HETATM")) for line in lines) or b"loop_" in data:
        return
    places = set()
    for line in lines:
        if line[12:16].strip() == b"CA":
            try:
                place = [float(line[start : start + 8]) for start in (30, 38, 46)]
            except ValueError:
                continue
            places.add(tuple(np.array(place, np.float32).tolist()))
    _check_places(chains, places)


def _check_places(chains: Sequence[Chain], places: set[tuple[float, ...]]) -> None:
    for chain in chains:
        found = set(map(tuple, chain.coordinates[:, 1].tolist()))
        assert found <= places, "coordinates that no CA atom has"


def mmcif(path: Path) -> None:
    """Coordinates are those that gemmi finds in the column of the table."""
    data = path.read_bytes()
    chains = _structure(data)
    try:
        document = gemmi.cif.read_string(expand(data, ""))
    except (RuntimeError, ValueError):
        return
    known = set()
    for block in document:
        for axis in "xyz":
            column = block.find_values(f"_atom_site.Cartn_{axis}")
            known |= {np.float32(gemmi.cif.as_number(value)) for value in column}
    if known:
        found = {value for chain in chains for value in chain.coordinates[:, 1].ravel()}
        assert found <= known, "coordinates that the table does not have"


def bcif(path: Path) -> None:
    """What is read has the properties of a chain."""
    _structure(path.read_bytes())


def _structure(data: bytes) -> list[Chain]:
    chains = parse_structure(data, "input")
    assert chains, "no chain and no error"
    for chain in chains:
        count = len(chain.letters)
        assert re.fullmatch("[A-Z]+", chain.letters), f"letters {chain.letters!r}"
        assert chain.coordinates.shape == (count, 3, 3), "coordinates of another length"
        assert chain.coordinates.dtype == np.float32, "coordinates of another kind"
        known = np.isfinite(chain.coordinates)
        assert known[:, 1].all(), "a residue without CA"
        assert (known | np.isnan(chain.coordinates)).all(), "an infinite coordinate"
        assert (np.abs(chain.coordinates[known]) <= 1e5).all(), "coordinates out of bounds"
        assert chain.numbers.shape == chain.b_factor.shape == (count,), "another length"
        assert chain.declared >= 0, "a negative length"
        try:
            plddt = confidence_of(chain, "plddt").plddt
        except StructureError:
            continue
        assert plddt.shape == (count,), "pLDDT of another length"
        assert (np.isnan(plddt) | ((plddt >= 0) & (plddt <= 100))).all(), "pLDDT out of 0 to 100"
    return chains


def archive(path: Path) -> None:
    """Files lie within the tar, and what is found in it is a structure or refused one by one."""
    index = make_index(path)
    size = path.stat().st_size
    assert (index.offset >= 0).all(), "a negative offset"
    assert (index.size >= 0).all(), "a negative size"
    assert (index.offset + index.size <= size).all(), "a file behind the end"
    files = open_archive(SourceSettings("archive", str(path)), WANTED, path.parent / "cache")
    for name in WANTED:
        try:
            model = files.find(name, "")
        except StructureError:
            continue
        assert model is None or model.accession in WANTED, "another protein"


def contact_table(path: Path) -> None:
    """Contacts are pairs i < j of residues of the protein."""
    source = Contacts(SourceSettings("contacts", str(path)), WANTED)
    for name in WANTED:
        model = source.find(name, "")
        if model is None:
            continue
        pairs = model.contacts.astype(int)
        assert 0 <= model.length <= MAX_LENGTH, f"a protein of {model.length} residues"
        assert pairs.ndim == 2, "no pairs"
        assert (pairs[:, 0] < pairs[:, 1]).all(), "pairs that are not in order"
        assert (pairs < model.length).all(), "contacts outside of the protein"


def segment(path: Path) -> None:
    """What a segment gives of a protein is what was written of it."""
    written = {record.sequence_hash: record for record in samples.records()}
    found = Segment(path, LAYOUT)
    try:
        found.provenance()
        for row, name in enumerate(found.hashes()):
            assert isinstance(name, str), "a hash that is no text"
            if name not in written:
                continue
            try:
                arrays = found.read(name, row, LAYOUT.arrays)
                attributes = found.attributes(name, row)
            except DamagedSegment:
                continue
            assert attributes == written[name].attributes, "another attribute"
            for key, values in written[name].arrays.items():
                np.testing.assert_array_equal(arrays[key], values)
    finally:
        found.close()


def network_description(path: Path) -> None:
    """The weights of a small network beside any ``model.json``."""
    folder = path.parent / "network"
    if not (folder / "model.safetensors").exists():
        folder.mkdir()
        samples.network(folder)
    (folder / "model.json").write_bytes(path.read_bytes())
    _check_network(folder)


def network_weights(path: Path) -> None:
    """Any weights beside the ``model.json`` of a small network."""
    folder = path.parent / "network"
    if not (folder / "model.json").exists():
        folder.mkdir()
        samples.network(folder)
    (folder / "model.safetensors").write_bytes(path.read_bytes())
    _check_network(folder)


def _check_network(folder: Path) -> None:
    network, description = load_model(folder)
    assert len(description.labels) >= 1, "no label"
    given = safetensors.torch.load((folder / "model.safetensors").read_bytes())
    for name, value in network.state_dict().items():
        assert torch.equal(value.nan_to_num(), given[name].to(value.dtype).nan_to_num()), name


def training_state(path: Path) -> None:
    """The state is what safetensors itself reads."""
    found = load_state(path)
    if found is None:
        raise HaloError("damaged: counts for no state")
    position, tensors = found
    given = safetensors.torch.load(path.read_bytes())
    assert tensors.keys() == given.keys(), "other tensors"
    assert {type(position.epoch), type(position.step)} == {int}, "no position"


def bundle(path: Path) -> None:
    """Any ``bundle.json`` with the manifest that belongs to it."""
    folder = _bundle_folder(path)
    (folder / DESCRIPTION).write_bytes(path.read_bytes())
    _write_manifest(folder)
    _check_bundle(folder)


def manifest(path: Path) -> None:
    """Any ``manifest.json`` of a bundle that is whole."""
    folder = _bundle_folder(path)
    if not (folder / DESCRIPTION).exists():
        (folder / DESCRIPTION).write_text(json.dumps(samples.bundle_description()))
    (folder / MANIFEST).write_bytes(path.read_bytes())
    _check_bundle(folder)


def _check_bundle(folder: Path) -> None:
    found = read_bundle(folder)
    assert found.labels, "no labels"
    assert all(isinstance(label, str) for label in found.labels), "labels of no text"
    assert re.fullmatch("[0-9a-f]{64}", found.sha256), "no digest"
    found.identity()
    for member in (member for model in found.description.models for member in model.members):
        inside = (folder / member.folder).resolve().is_relative_to(folder.resolve())
        assert inside, "a folder outside of the bundle"
        assert all(math.isfinite(member.thresholds[label]) for label in found.labels)


def _bundle_folder(path: Path) -> Path:
    folder = path.parent / "bundle"
    if not folder.exists():
        (folder / "models/0").mkdir(parents=True)
        (folder / "models/0/model.json").write_text("{}")
        (folder / SCALES).write_bytes(SCALES_FILE.read_bytes())
    return folder


def _write_manifest(folder: Path) -> None:
    names = (DESCRIPTION, SCALES, "models/0/model.json")
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of_file(folder / name)}
        for name in names
    }
    (folder / MANIFEST).write_text(json.dumps({"files": files}))


def _manifest_sample(folder: Path) -> list[bytes]:
    path = folder / "x"
    _bundle_folder(path)
    (folder / "bundle" / DESCRIPTION).write_text(json.dumps(samples.bundle_description()))
    _write_manifest(folder / "bundle")
    return [(folder / "bundle" / MANIFEST).read_bytes()]


def afdb(path: Path) -> None:
    """Records name accessions of UniProt's form, and a choice can be made."""
    found = read_reply(path.read_bytes())
    for record in found:
        assert record.accession, "no accession"
        _check_accession(record.accession)
        assert isinstance(record.fragment, int), "a fragment that is no number"
        assert all(isinstance(url, str) for url in record.urls), "an address that is no text"
        assert re.fullmatch(r"[\w.-]+", record.entry, re.ASCII), "a name that is unsafe in a path"
    chosen = choose(found, samples.ACCESSION, samples.SEQUENCE)
    assert all(record in found for record in chosen), "a record out of nothing"


def uniprot(path: Path) -> None:
    """Entries are texts of the file, and labels are 1, 0 or blank."""
    for entry in read_entries(path):
        values = (entry.accession, entry.name, entry.sequence, entry.organism, entry.organism_id)
        assert all(isinstance(value, str) for value in values), "a value that is no text"
        assert all(isinstance(one.term, str) for one in entry.locations), "a location of no text"
        labels = label_values(entry, _vocabulary(), UniprotSettings(go=True))
        assert set(labels.values()) <= {"", "0", "1"}, "labels of other values"


@cache
def _vocabulary() -> Vocabulary:
    return Vocabulary(None)


def explanations(path: Path) -> None:
    """The explanations of a chunk are those of its proteins."""
    for found in read_explanations(path):
        assert {type(found.id), type(found.sequence)} == {str}, "no text"
        assert len(found.attribution.values) == len(found.labels), "other labels"


def chunk(path: Path) -> None:
    """A chunk has records, each an object, and the rejected proteins."""
    found = read_chunk(path)
    assert isinstance(found.header, dict), "a header that is no object"
    assert all(isinstance(record, dict) for record in found.records), "a record that is no object"


def staged(path: Path) -> None:
    """What a job that was killed has left is as it was written, or counts for nothing."""
    found = _unpack(path.read_bytes())
    if found is None:
        raise HaloError("damaged: counts for no structure")
    arrays, manifest = found
    Note.from_json(manifest)
    assert arrays.keys() == LAYOUT.arrays.keys(), "other arrays"


def language_model(path: Path) -> None:
    """Every weight of the model is a number, and the model computes with it."""
    model, _ = load_esm2(path)
    for name, value in model.state_dict().items():
        assert value.isfinite().all(), f"{name} has values that are no numbers"
        assert value.dtype == torch.float32, f"{name} is {value.dtype}"
    with torch.no_grad():
        model(torch.tensor([[0, 5, 6, 2]]), repr_layers=[model.num_layers])


def embeddings(path: Path) -> None:
    """Every embedding is of finite numbers, or has a fault.

    Names are listed in this process, because the guard allows no other.
    """
    file = EmbeddingFile(path)
    with closing(file), patch("halo.embeddings.files.names_of", names_here):
        index = index_of(file, file.entries, values=True)
        for one in index:
            assert bool(one.fault) != (one.rows > 0 < one.dim), "neither rows nor a fault"
        require_usable(file, index)


def embedding_in_folder(ending: str) -> Callable[[Path], None]:
    """A reader of a folder with one file."""

    def read(path: Path) -> None:
        folder = path.with_name("embeddings")
        folder.mkdir(exist_ok=True)
        (folder / f"P12345{ending}").write_bytes(path.read_bytes())
        embeddings(folder)

    return read


def _encoded(plain: str) -> Callable[[Path], list[bytes]]:
    def make(_: Path) -> list[bytes]:
        data = plain.encode()
        marked = [plain.encode(name) for name in ("utf-8-sig", "utf-16", "utf-16-be")]
        return [data, data, *marked, gzip.compress(data, 1, mtime=0), samples.zipped(plain)]

    return make


def _texts(*plain: str) -> Callable[[Path], list[bytes]]:
    return lambda _: [each.encode() for each in plain]


def _json(content: object, **more: object) -> bytes:
    return json.dumps(content, **more).encode()


_TABLE_WORDS = ("sep=;\n", '""', '","', "\n\n", ">", "#", "id", "sequence", "Unnamed: 0", "\t\t")
_FASTA_WORDS = (">", ">P1;", "\n>", ";", "#", "|", "*", " OX=1", "sp|P12345|", "-M test", ">sp||")
_VARIANT_WORDS = (">", ";", ":", "::", "p.", "P1:", "del", "ins", "dup", "ext", "fs", "Ter", "*")
_YAML_WORDS = ("&a", "*a", "<<: *a", "- ", ": ", "? ", "!!binary ", "!!python/name:os.system ")
_YAML_WORDS += ("!!timestamp 2", "2001-01-01", "0o17", "1:60", "{", "}", "[", "]", "|\n", ">\n")
_YAML_WORDS += ("%YAML 3.0\n---\n", "---\n", "...\n", "~", "null", ".inf", ".nan", "!!set ", "@")
_YAML_WORDS += ('"\\UFFFFFFFF"', '"\\uD800"')
_YAML_WORDS += ("!!int x", "!!float 1", "!!bool x", "!!timestamp x", "!!omap []", "!!pairs [1]")
_PDB_WORDS = (
    "ATOM  ",
    "HETATM",
    "TER\n",
    "END\n",
    "ENDMDL\n",
    "MODEL        1\n",
    "SEQRES",
    " CA ",
)
_PDB_WORDS += ("EXPDTA    X-RAY DIFFRACTION\n", "A0000", "zzzz", "********", "     nan", "1e99")
_CIF_WORDS = ("loop_\n", "data_x\n", "_atom_site.", "#\n", "save_", "stop_", "global_", "?", ".")
_CIF_WORDS += ("_entity.id 1\n", "_exptl.method X\n", "\n;\n", "'", '"CA"', "HETATM", "MSE", "nan")
_JSON_WORDS = ("null", "[", "]", "{", "}", '"', "NaN", "Infinity", "-", "1e999", "\\ud800", ":")

READERS: dict[str, Reader] = {
    "text": Reader(_encoded(samples.TABLE), text, _TABLE_WORDS, (GZIP, ZIP)),
    "table": Reader(_encoded(samples.TABLE), table, _TABLE_WORDS, (GZIP, ZIP)),
    "workbook": Reader(
        lambda _: [samples.workbook()], workbook, ("<c r=", 't="s"', "<f>1</f>", "<v>"), (ZIP,)
    ),
    "fasta": Reader(_encoded(samples.FASTA), fasta, _FASTA_WORDS, (GZIP, ZIP)),
    "variants": Reader(_texts(*samples.VARIANTS), variants, _VARIANT_WORDS),
    "accessions": Reader(_texts(samples.LIST), accessions, (*_FASTA_WORDS, "P12345", "|", "-1")),
    "configuration": Reader(_texts(samples.YAML), configuration, _YAML_WORDS),
    "pdb": Reader(lambda _: [samples.pdb().encode()], pdb, _PDB_WORDS),
    "mmcif": Reader(lambda _: [samples.mmcif().encode()], mmcif, _CIF_WORDS),
    "bcif": Reader(lambda _: [samples.bcif()], bcif, ("ByteArray", "Delta"), (MSGPACK,)),
    "tar": Reader(lambda _: [samples.tar()], archive, (), (TAR,)),
    "contacts": Reader(
        lambda _: [samples.contacts()], contact_table, ("<U6", "<f8", "|O", "<i4", "(2,)"), (ZIP,)
    ),
    "segment": Reader(lambda _: samples.segments(), segment),
    "network description": Reader(
        lambda folder: [samples.network(folder)[0]], network_description, _JSON_WORDS, (JSON,)
    ),
    "network weights": Reader(
        lambda folder: [samples.network(folder)[1]], network_weights, ("F16",), (SAFETENSORS,)
    ),
    "training state": Reader(
        lambda folder: [samples.training_state(folder)], training_state, (), (SAFETENSORS,)
    ),
    "bundle": Reader(lambda _: [_json(samples.bundle_description())], bundle, _JSON_WORDS, (JSON,)),
    "manifest": Reader(_manifest_sample, manifest, _JSON_WORDS, (JSON,)),
    "afdb": Reader(lambda _: [_json(samples.AFDB)], afdb, _JSON_WORDS, (JSON,)),
    "uniprot json": Reader(
        lambda _: [_json({"results": [samples.ENTRY] * 2}), _json([samples.ENTRY], indent=1)],
        uniprot,
        _JSON_WORDS,
        (JSON,),
    ),
    "uniprot json lines": Reader(
        lambda _: [_json(samples.ENTRY) + b"\n" + _json(samples.ENTRY)],
        uniprot,
        _JSON_WORDS,
        (JSON_LINES,),
    ),
    "uniprot tsv": Reader(_texts(samples.TSV), uniprot, ("{ECO:", "[", "]: ", ". ", "Note=")),
    "explanations": Reader(
        lambda _: [samples.explanations()], explanations, ("<f4", "(2,)"), (ZIP,)
    ),
    "chunk": Reader(lambda _: [_json(samples.chunk())], chunk, _JSON_WORDS, (JSON,)),
    "staged": Reader(lambda _: [samples.staged()], staged, _JSON_WORDS, (STAGED,)),
    "embeddings": Reader(lambda _: [samples.embeddings()], embeddings),
    "embedding array": Reader(
        lambda _: [samples.embedding_array()],
        embedding_in_folder(".npy"),
        ("'<f4'", "|O", "(3, 4)", "True", "(2,)"),
    ),
    "embedding tensor": Reader(
        lambda _: [samples.embedding_tensor()], embedding_in_folder(".pt"), (), (ZIP,)
    ),
    "language model": Reader(lambda _: samples.language_model(), language_model, (), (ZIP,)),
}
