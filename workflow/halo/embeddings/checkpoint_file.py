"""Validate checkpoints by their bytes, without PyTorch and without unpickling.

A checkpoint is a zip archive written by PyTorch, whose records have CRC-32 checksums. The names of
its parameters are strings in the record ``data.pkl``.
"""

import html
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from errno import EINVAL
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from halo.embeddings.hub import CONFIG, read_config, weight_files
from halo.embeddings.pickles import (
    IMPORTS_NO_PROGRAM,
    LEGACY,
    ZIP,
    import_fault,
    imports_long_name,
    parameters,
)
from halo.embeddings.published import PUBLISHED, URL
from halo.embeddings.registry import ESM2, LANGUAGE_MODELS, ModelClass, class_of
from halo.errors import HaloError

HEAD = 4096  # first bytes, by which the type of a file is recognized
OTHERS = ", ".join(known.title for name, known in LANGUAGE_MODELS.items() if name != ESM2)
REPLACE = (
    "HALO reads ESM-2, ESM-1b and ESM-1v: set embeddings.model to a published name, "
    f"{min(PUBLISHED, key=lambda name: PUBLISHED[name].layers)} to "
    f"{max(PUBLISHED, key=lambda name: PUBLISHED[name].layers)}, to have it downloaded, or give "
    f"the path of a file in fair-esm's format ({URL.format(name='NAME')}) or of a folder in "
    "Hugging Face's (config.json and model.safetensors). It reads "
    f"{OTHERS} from such folders, too, and embeddings by other models from files "
    "(embeddings.source: file)"
)
AGAIN = "download it again"
# Nothing, a pointer or a web page: `foreign_fault` takes vocabularies such as "<cls>" for a page.
NO_VOCABULARY = re.compile(rb"$|version https://git-lfs|\s*<(!doctype|html)", re.IGNORECASE)
PACKED = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-zip",
}
ESM2_ALONE = ".layers.0.self_attn.rot_emb.inv_freq"  # of fair-esm's models
SAPROT_TOKENS = LANGUAGE_MODELS["saprot"].vocab_size
FOLDER = "which is read from its folder, with config.json and its vocabulary: give the folder"
HUGGING_FACE = "word_embeddings.weight"

# Other models than fair-esm's ESM-2, by a part of a parameter name; the first match is used.
FAMILIES = {
    "SelfAttention.q.weight": f"a T5 such as ProtT5 or ProstT5, {FOLDER}",
    "layernorm_qkv": "ESM C or ESM3",
    "msa_position_embedding": "the MSA Transformer",
    "trunk.structure_module": "ESMFold",
    "gvp": "ESM-IF1",
    "self_attn.q_norm": f"ESM C, {FOLDER}",
    "bert.encoder.layer": "a BERT such as ProtBert",
    HUGGING_FACE: "ESM in Hugging Face's format, which is read with config.json: give the folder",
    "embed_out": "ESM-1",
    "_float_tensor": "ESM-1",
}


def require_checkpoint(path: Path, fix: str = AGAIN) -> None:
    """Require an intact PyTorch file with weights of ESM-2, or a folder of a registered model.

    The whole file is read, once per process. `fix` is the fix for a damaged file.

    Raises
    ------
    HaloError
        if the file is missing, damaged, or something else
    """
    path = Path(path)
    if not path.exists():
        raise HaloError(f"{path}: there is no such checkpoint; correct the path")
    state = path.stat()
    fault = _fault(path, state.st_size, state.st_mtime_ns, fix)
    if fault is not None:
        raise HaloError(f"{path}: {fault}")


def checkpoint_fault(path: Path, fix: str = AGAIN, whole: bool = True) -> str | None:
    """The fault of a file or folder, as the second part of a message after its name, or None.

    Without `whole`, only its beginning and its names are read, which takes no time.
    """
    if path.is_dir():
        return _folder_fault(path, fix)
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(ZIP):
        return _archive_fault(path, fix, whole)
    if head.startswith(LEGACY):  # PyTorch before 1.6: no checksums
        fault = import_fault(path)
        return fault and f"{fault}; {fix}"
    fault = foreign_fault(head, fix)
    if fault is not None:
        return fault
    if head[8:9] == b"{":
        other = _other_model(_safetensors(path)[0])
        return other or f"a safetensors file without config.json; {REPLACE}"
    return f"not a PyTorch checkpoint; {REPLACE}"


def foreign_fault(head: bytes, fix: str, expected: str = "a checkpoint") -> str | None:
    """What a file is by its first bytes, if it holds no data of any program; None otherwise."""
    if not head:
        return f"the file is empty; {fix}"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"
    if head.lstrip().startswith(b"<"):
        return f"a web page{_title(head)}, not {expected}; {fix}, without a sign-in in between"
    if head.lstrip().startswith((b"{", b"[")):
        return f"a message of a server or another text, not {expected}; {fix}"
    for magic, program in PACKED.items():
        if head.startswith(magic):
            return f"packed with {program}; unpack it first"
    return None


@lru_cache(maxsize=16)
def _fault(path: Path, size: int, modified_ns: int, fix: str) -> str | None:
    return checkpoint_fault(path, fix)


def _archive_fault(path: Path, fix: str, whole: bool) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            records = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not records:
                return f"a zip archive, but not of PyTorch; unpack it, or: {REPLACE}"
            damaged = archive.testzip() if whole else None
            if damaged is not None:
                return f"damaged: {damaged} does not have its checksum (CRC-32); {fix}"
            pickled = archive.read(records[0])
            if imports_long_name(BytesIO(pickled)):
                return f"{IMPORTS_NO_PROGRAM}; {fix}"
            return _other_model(dict(parameters(pickled)))
    except OSError as error:
        if error.errno != EINVAL:  # zipfile's of a truncated archive: a position before its start
            raise
        return f"truncated or damaged, it has {path.stat().st_size:,} bytes; {fix}"
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        return f"truncated or damaged, it has {path.stat().st_size:,} bytes; {fix}"
    except ValueError:
        return f"damaged, its list of weights cannot be read; {fix}"


def _safetensors(path: Path) -> tuple[dict[str, list[int]], int]:
    """Shapes of the tensors by their names, and the size that the file has to have."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, 1 << 26)))
            header.pop("__metadata__", None)
            ends = (int(entry["data_offsets"][1]) for entry in header.values())
            shapes = {name: entry.get("shape", []) for name, entry in header.items()}
            return shapes, 8 + length + max(ends, default=0)
        except (ValueError, AttributeError, RecursionError, KeyError, TypeError, IndexError):
            return {}, 0


def _other_model(shapes: Mapping[str, list[int]]) -> str | None:
    """The model that has parameters of these names and shapes, if it is not fair-esm's ESM-2."""
    if any(name.endswith(ESM2_ALONE) for name in shapes):
        return None
    contacts = [name for name in shapes if "contact_head" in name]
    if contacts and not any(".layers.0." in name for name in shapes):
        return (
            "the contact regression of a model, which HALO does not need, and not the model; "
            f"{REPLACE}"
        )
    for part, family in FAMILIES.items():
        for name, numbers in shapes.items():
            if part in name:
                if part == HUGGING_FACE and SAPROT_TOKENS in numbers:
                    family = f"SaProt, {FOLDER}"
                return f"it holds {family}; {REPLACE}"
    return None


def _folder_fault(path: Path, fix: str) -> str | None:
    if not (path / CONFIG).is_file():
        return f"a folder, not a checkpoint; {REPLACE}"
    try:
        told = read_config(path)
    except HaloError:
        return f"its {CONFIG} is damaged; {fix}"
    model_class = class_of(told)
    if model_class is None:
        return f"a folder in Hugging Face's format ({told.get('model_type')}); {REPLACE}"
    if told.get("is_folding_model"):
        return f"a folder with ESMFold; {REPLACE}"
    try:
        files = weight_files(path, model_class)
    except HaloError as error:
        return str(error).removeprefix(f"{path}: ")
    fault = next(filter(None, (_weights_fault(file, fix) for file in files)), None)
    return fault or _vocabulary_fault(path, LANGUAGE_MODELS[model_class], fix)


def _vocabulary_fault(path: Path, known: ModelClass, fix: str) -> str | None:
    found = [path / name for name in known.vocabulary if (path / name).is_file()]
    if known.vocabulary and not found:
        names = " or ".join(known.vocabulary)
        return (
            f"a folder in Hugging Face's format without {names} ({known.title}); {fix}, with its "
            "vocabulary"
        )
    for file in found:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
        if NO_VOCABULARY.match(head):
            return f"{file.name} is {foreign_fault(head, fix, 'a vocabulary')}"
    return None


def _weights_fault(file: Path, fix: str) -> str | None:
    """The fault of a file of weights in a folder."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    fault = foreign_fault(head, fix)
    if fault is not None:
        return f"{file.name} is {fault}"
    if file.suffix == ".bin":  # of PyTorch
        fault = import_fault(file)
        if fault is not None:
            return f"{file.name} is {fault}; {fix}"
        whole = head.startswith(LEGACY) or zipfile.is_zipfile(file)
    else:
        shapes, size = _safetensors(file)
        whole = bool(shapes) and size == file.stat().st_size
    if not whole:
        return f"{file.name} is truncated or damaged, it has {file.stat().st_size:,} bytes; {fix}"
    return None


def _title(head: bytes) -> str:
    title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
    return f" ({html.unescape(title[1].decode('utf-8', 'replace')).strip()})" if title else ""
