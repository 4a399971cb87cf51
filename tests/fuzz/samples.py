"""Small valid inputs, made by HALO or by the libraries that write the formats."""

import argparse
import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import fields
from pathlib import Path

import gemmi
import h5py
import msgpack
import numpy as np
import openpyxl
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from safetensors.torch import save

import modelcif
from fuzz.mutations import ZIP
from halo.content_versions import CONTENT_VERSIONS
from halo.embeddings.settings import EmbeddingSettings
from halo.graphs.settings import GraphSettings
from halo.model_description import described, write_description
from halo.model_key import ModelKey
from halo.network.classes import NETWORKS
from halo.network.settings import NetworkSettings
from halo.predict.bundle import FORMAT
from halo.predict.explanation import COORDINATES
from halo.proteins.ingest import Rejected
from halo.segments import Record, segment_content
from halo.structures.layout import LAYOUT, Note
from halo.structures.search import Result
from halo.structures.staging import _pack
from halo.training import checkpoint, state

ACCESSION, SEQUENCE = "P12345", "MKVLAAGIVGLCAKAYEH"
HASHES = ["0" * 63 + "1", "0" * 63 + "2"]
LABELS = ["nucleus", "cytoplasm"]
TABLE = '''id,sequence,label,fold
P12345,MKVLAAGIVG,"nucleus, cytoplasm",1
Q8N4C6-2,MSTAVLENPG,"say ""x""",2
b,MAAAA,,"two
lines"
'''
FASTA = f">sp|P12345|A_B Protein OX=9606 SET=train\n{SEQUENCE[:9]}\n{SEQUENCE[9:]}*\n"
FASTA += f";comment\n\n>b Nucleus-S test\n{SEQUENCE}\n>c TARGET=Nucleus SET=train\nMK VL\n"
LIST = "# mine\nAccession\nP12345\nsp|Q8N4C6|X_Y remark\n1. A0A024R2Q3, P12345.2;P31946-2\n"
LIST += "https://www.uniprot.org/uniprotkb/P31946/entry\nAF-P31946-F1-model_v4\nP53_HUMAN\n"
# Of the wild types in `fuzz.readers.variants`.
VARIANTS = (
    f"# mine\nP1:{SEQUENCE[1]}2*\nP2 p.[{SEQUENCE[-1]}1extMAS;{SEQUENCE[-3]}3del]\n"
    f"P1 {SEQUENCE[3]}4_{SEQUENCE[4]}5insRS\nP1:2_8::MSKGE::P2:1_4\n",
    f"name,hgvs,protein\none,{SEQUENCE[1]}2dup,P1\n",
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    f"1\t2\t.\tC\tT\t.\t.\tHGVSp=P1:p.{SEQUENCE[1]}2fs|P2:p.{SEQUENCE[-2]}2del\n",
    '##fileformat=VCFv4.2\n##INFO=<ID=CSQ,Description="By VEP. Format: Allele|SYMBOL|HGVSp">\n'
    f"1\t2\t.\tC\tT\t.\t.\tCSQ=T|P1|p.{SEQUENCE[1]}2fs,T|X|p.M1A;GENEINFO=P2:7|Y:8\n",
    f">P1_1\n{SEQUENCE[2:]}W\n>x\n{SEQUENCE[::-1][:-3]}\n",
)
YAML = """run: small
dataset:
  proteins: proteins.csv
  labels: &labels {columns: [nucleus, cytoplasm]}
split: {mode: kfold, identity: 0.3, folds: 5}
structures:
  sources: [{kind: afdb}, {kind: folder, path: x, pattern: "{accession}.pdb"}]
training: {epochs: 3, learning_rate: 1.0e-3}
"""
TSV = "Entry\tReviewed\tEntry Name\tSequence\tSubcellular location [CC]\tOrganism (ID)\t"
TSV += "Taxonomic lineage\tAlternative products (isoforms)\t"
TSV += "Gene Ontology (cellular component)\n"
TSV += f"P12345\treviewed\tA_HUMAN\t{SEQUENCE}\tSUBCELLULAR LOCATION: [Isoform 1]: Nucleus"
TSV += " {ECO:0000269|PubMed:1}; Peripheral. Cytoplasm {ECO:0000305}. Note=x.\t9606\t"
TSV += "Eukaryota (kingdom), Metazoa (kingdom)\tALTERNATIVE PRODUCTS: Name=1; Sequence=Displayed;"
TSV += "\tnucleus [GO:0005634]\n"
ENTRY = {
    "entryType": "UniProtKB reviewed (Swiss-Prot)",
    "primaryAccession": "P12345",
    "uniProtkbId": "A_HUMAN",
    "organism": {"scientificName": "H", "taxonId": 9606, "lineage": ["Eukaryota", "Metazoa"]},
    "comments": [
        {
            "commentType": "SUBCELLULAR LOCATION",
            "molecule": "Isoform 1",
            "subcellularLocations": [
                {"location": {"value": "Nucleus", "evidences": [{"evidenceCode": "ECO:0000269"}]}}
            ],
        },
        {
            "commentType": "ALTERNATIVE PRODUCTS",
            "isoforms": [{"name": {"value": "1"}, "isoformSequenceStatus": "Displayed"}],
        },
    ],
    "sequence": {"value": SEQUENCE},
    "uniProtKBCrossReferences": [
        {
            "database": "GO",
            "id": "GO:0005634",
            "properties": [
                {"key": "GoTerm", "value": "C:nucleus"},
                {"key": "GoEvidenceType", "value": "IDA:UniProtKB"},
            ],
        }
    ],
}
AFDB = [
    {
        "modelEntityId": "AF-P12345-F1",
        "uniprotAccession": "P12345",
        "providerId": "GDM",
        "sequenceStart": 1,
        "sequenceEnd": len(SEQUENCE),
        "latestVersion": 6,
        "sequence": SEQUENCE,
        "uniprotSequence": SEQUENCE,
        "cifUrl": "https://x/AF-P12345-F1-model_v6.cif",
        "pdbUrl": "https://x/AF-P12345-F1-model_v6.pdb",
    },
    {"isComplex": True, "uniprotAccession": ["P12345", "P31946"]},
]


def mmcif() -> str:
    """A model as AlphaFold DB lays it out."""
    walk = np.cumsum(np.full((len(SEQUENCE), 1, 3), 2.2), axis=0)
    atoms = walk + np.linspace(-1.2, 1.8, 4)[None, :, None]
    return modelcif.model_text(ACCESSION, SEQUENCE, atoms, np.linspace(35, 97, len(SEQUENCE)))


def pdb() -> str:
    """The same as PDB."""
    structure = gemmi.make_structure_from_block(gemmi.cif.read_string(mmcif()).sole_block())
    return structure.make_pdb_string()


def bcif() -> bytes:
    """The same atoms as BinaryCIF, with most of its encodings."""
    site = gemmi.cif.read_string(mmcif()).sole_block().get_mmcif_category("_atom_site.")

    def array(values, kind: str, number: int, *before: dict) -> dict:
        data = np.asarray(values, kind).tobytes()
        return {"data": data, "encoding": [*before, {"kind": "ByteArray", "type": number}]}

    def texts(values: list[str]) -> dict:
        known = list(dict.fromkeys(values))
        numbers = array([known.index(value) for value in values], "u1", 4)
        offsets = array(np.cumsum([0, *map(len, known)]), "<i4", 3)
        encoding = {"kind": "StringArray", "stringData": "".join(known)}
        encoding |= {"dataEncoding": numbers["encoding"], "offsets": offsets["data"]}
        return {
            "data": numbers["data"],
            "encoding": [encoding | {"offsetEncoding": offsets["encoding"]}],
        }

    def decimals(values: list[str]) -> dict:
        whole = np.round(np.array(values, float) * 1000).astype(int)
        fixed = {"kind": "FixedPoint", "factor": 1000, "srcType": 33}
        delta = {"kind": "Delta", "origin": int(whole[0]), "srcType": 3}
        packed = {"kind": "IntegerPacking", "byteCount": 2, "isUnsigned": False}
        return array(np.diff(whole, prepend=whole[0]), "<i2", 2, fixed, delta, packed)

    runs = [part for number in range(1, len(SEQUENCE) + 1) for part in (number, 4)]
    quanta = {"kind": "IntervalQuantization", "min": 0.0, "max": 655.35, "numSteps": 65536}
    plddt = np.round(np.array(site["B_iso_or_equiv"], float) * 100)
    columns = {
        "label_atom_id": texts(site["label_atom_id"]),
        "label_comp_id": texts(site["label_comp_id"]),
        "auth_asym_id": texts(site["auth_asym_id"]),
        "auth_seq_id": array(runs, "<i4", 3, {"kind": "RunLength", "srcSize": 0}),
        **{f"Cartn_{axis}": decimals(site[f"Cartn_{axis}"]) for axis in "xyz"},
        "B_iso_or_equiv": array(plddt, "<u2", 5, quanta),
    }
    mask = array([0] * len(plddt), "u1", 4)
    table = [{"name": name, "data": data, "mask": None} for name, data in columns.items()]
    table[0]["mask"] = mask
    category = {"name": "_atom_site", "rowCount": len(plddt), "columns": table}
    block = {"header": "X", "categories": [category]}
    return msgpack.packb({"encoder": "test", "version": "0.3.0", "dataBlocks": [block]})


def tar() -> bytes:
    """Two models and a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (
            (f"AF-{ACCESSION}-F1-model_v6.cif.gz", gzip.compress(mmcif().encode(), mtime=0)),
            ("AF-P31946-F1-model_v6.pdb", pdb().encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("AF-Q8N4C6-F1-model_v6.pdb")
        link.type, link.linkname = tarfile.SYMTYPE, "AF-P31946-F1-model_v6.pdb"
        archive.addfile(link)
    return out.getvalue()


def contacts() -> bytes:
    """A table of the contacts of two proteins."""
    out = io.BytesIO()
    np.savez(
        out,
        accession=np.array([ACCESSION, "P31946"]),
        n_res=np.array([18, 30], np.int32),
        offsets=np.array([0, 3, 5], np.int64),
        di=np.array([0, 2, 3, 1, 4], np.uint16),
        dj=np.array([4, 5, 6, 7, 9], np.uint16),
    )
    return out.getvalue()


def workbook() -> bytes:
    """A table as xlsx."""
    book = openpyxl.Workbook()
    for row in (["id", "sequence", "count"], ["P12345", SEQUENCE, 1], ["b", "MKV", 2.5]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    parts = ZIP.load(out.getvalue())
    del parts["docProps/core.xml"]  # which holds the time
    return ZIP.dump(parts)


def records() -> list[Record]:
    """Two proteins of the store of structures."""
    found = []
    for number, name in enumerate(HASHES, 3):
        values = np.random.default_rng(number)
        arrays = {
            key: values.integers(1, 50, (number, *kind.row)).astype(kind.dtype)
            for key, kind in LAYOUT.arrays.items()
        }
        found.append(Record(name, arrays, {"manifest": Note("ok", version="6").to_json()}))
    return found


def segments() -> list[bytes]:
    """A segment, and its content in HDF5's older format, which has no checksums of its own."""
    new = bytes(segment_content(LAYOUT, records(), {"device": "cpu"}))
    out = io.BytesIO()
    with h5py.File(io.BytesIO(new)) as source, h5py.File(out, "w", libver="earliest") as file:
        for name, value in source.attrs.items():
            file.attrs.create(name, value, dtype=h5py.string_dtype(length=len(value)))
        for name, data in source.items():
            file.create_dataset(name, data=data[:], dtype=data.dtype)
    return [new, out.getvalue()]


def network(folder: Path) -> tuple[bytes, bytes]:
    """``model.json`` and ``model.safetensors`` of a small network."""
    settings = NetworkSettings(hidden=8, layers=1, heads=2, pooling_heads=1)
    torch.manual_seed(0)
    checkpoint.save_weights(folder, NETWORKS["mean_embedding"](4, 2, settings))
    description = described(
        "mean_embedding", ModelKey("kfold", "0", 1, "mean"), task="multilabel", labels=LABELS,
        thresholds=dict.fromkeys(LABELS, 0.5), proteins={}, network=settings, embedding_dim=4,
    )  # fmt: skip
    write_description(folder, description)
    files = ("model.json", "model.safetensors")
    return tuple((folder / name).read_bytes() for name in files)


def training_state(folder: Path) -> bytes:
    """The state of a training."""
    tensors = {"weight": torch.ones(2, 3), "optimizer.0.step": torch.tensor(1.0)}
    state.save_state(folder / "state.safetensors", state.Position(), tensors)
    return (folder / "state.safetensors").read_bytes()


def tensors() -> bytes:
    """A safetensors file of two tensors."""
    return save({"a": torch.ones(2), "b": torch.zeros(1, 3)}, {"position": "{}"})


def embeddings() -> bytes:
    """An HDF5 file of two embeddings."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["P12345"] = np.ones((3, 4), np.float16)
        file.create_dataset("0", data=np.ones((2, 4), np.float32), compression="gzip")
        # Of fixed length: HDF5 does not return from a damaged heap of texts, for which HALO lists
        # the data sets in a process of its own, and that is not done here.
        file["0"].attrs["original_id"] = np.bytes_("Q9Y277")
    return out.getvalue()


def embedding_array() -> bytes:
    """An embedding in numpy's format."""
    out = io.BytesIO()
    np.save(out, np.ones((3, 4), np.float32))
    return out.getvalue()


def embedding_tensor() -> bytes:
    """An embedding in PyTorch's format, as fair-esm's extract.py writes it."""
    out = io.BytesIO()
    torch.save({"label": "P12345", "representations": {6: torch.ones(3, 4)}}, out)
    return out.getvalue()


def language_model() -> list[bytes]:
    """A checkpoint of ESM-2, in PyTorch's format and in the one before 1.6."""
    alphabet = Alphabet.from_architecture("ESM-1b")
    torch.manual_seed(0)
    model = ESM2(1, 8, 2, alphabet, True)
    weights = {f"encoder.sentence_encoder.{k}": v for k, v in model.state_dict().items()}
    shape = {"encoder_layers": 1, "encoder_embed_dim": 8, "encoder_attention_heads": 2}
    config = argparse.Namespace(**shape, token_dropout=True)
    found = []
    for new in (True, False):
        out = io.BytesIO()
        content = {"cfg": {"model": config}, "model": weights}
        torch.save(content, out, _use_new_zipfile_serialization=new)
        found.append(out.getvalue())
    return found


def bundle_description() -> dict:
    """What ``bundle.json`` holds."""
    member = {"method": "m", "class": "mean_embedding", "folder": "models/0"}
    numbers = dict.fromkeys(LABELS, 0.5)
    member |= {"thresholds": numbers, "temperature": 1.0, "shifts": numbers}
    model = {"fold": "0", "seed": 1, "adapter": None, "members": [member], "band": None}
    return {
        "format": FORMAT,
        **{"halo": "1", "name": "small", "version": "1", "method": "m", "class": "mean_embedding"},
        "task": "multilabel",
        "labels": LABELS,
        "simulated": True,
        "language_model": {"name": "x", "sha256": "0" * 64, "source": "model"},
        "embeddings": vars(EmbeddingSettings()),
        "graphs": vars(GraphSettings()),
        "structures": {"min_identity": 0.95, "min_coverage": 0.5, "max_length": 1000},
        "search": {"identity": 0.3, "coverage": 0.8, "evalue": 0.001, "sensitivity": 5.7},
        "content": dict(CONTENT_VERSIONS),
        "models": [{**model, "conformal": {"risk": 0.1, "cut": 0.5}}],
    }


def explanations() -> bytes:
    """The explanation of a protein, as `halo.predict.explanation` writes it."""
    out = io.BytesIO()
    count = len(SEQUENCE)
    about = [{"id": ACCESSION, "sequence": SEQUENCE, "labels": LABELS}]
    arrays = {"values": np.ones((2, count), np.float32), "change": np.ones(2)}
    arrays |= {"attention": np.full(count, 1 / count, np.float32)}
    arrays |= {
        name: np.ones((count, *LAYOUT.arrays[name].row), LAYOUT.arrays[name].dtype)
        for name in COORDINATES
    }
    np.savez(out, about=np.array(json.dumps(about)), **{f"0.{k}": v for k, v in arrays.items()})
    return out.getvalue()


def chunk() -> dict:
    """A chunk of predictions."""
    record = {"id": ACCESSION, "regions": None, "labels": LABELS, "probabilities": [0.1, 0.9]}
    rejected = {field.name: "x" for field in fields(Rejected)}
    return {"header": {"labels": LABELS}, "records": [record], "rejected": [rejected]}


def staged() -> bytes:
    """A structure that waits for its segment."""
    return _pack(Result(records()[0].arrays, Note("ok", version="6")))


def zipped(text: str) -> bytes:
    """A zip of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("x.csv"), text)
    return out.getvalue()
