"""Language models in the format and in the cache of Hugging Face, found without reading weights.

A folder has ``config.json`` and ``model.safetensors``, or several files of weights that
``model.safetensors.index.json`` lists. The cache holds such folders as
``models--<organization>--<name>/snapshots/<revision>``, see
huggingface.co/docs/huggingface_hub/guides/manage-cache.
"""

import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from halo.embeddings.registry import ESM2, LANGUAGE_MODELS, class_of
from halo.errors import HaloError
from halo.files import listing_digest, sha256_of_file

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLED = "pytorch_model.bin"  # the format before safetensors, which the package transformers reads
# Files with the vocabulary and the special tokens of a model.
VOCABULARY = (
    "added_tokens.json", "special_tokens_map.json", "spiece.model", "tokenizer.json",
    "tokenizer_config.json", "vocab.txt",
)  # fmt: skip
NAME = re.compile(r"[\w.-]+/[\w.-]+")
PREFIX = "models--"


def cache_folder() -> Path:
    """The cache of this user, by the variables that Hugging Face's programs read."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    home = os.environ.get("HF_HOME")
    if home is None:
        home = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"))
    return Path(home).expanduser() / "hub"


def cached(name: str) -> Path | None:
    """The folder of ``organization/name`` in the cache; None if it has none."""
    if not NAME.fullmatch(name):
        return None
    folder = cache_folder() / (PREFIX + name.replace("/", "--"))
    return snapshot(folder) if folder.is_dir() else None


def snapshot(folder: Path) -> Path:
    """The model's folder in a folder of the cache: the revision ``main``, or the only one.

    Raises
    ------
    HaloError
        if there are several and none is ``main``
    """
    revisions = sorted(path for path in (folder / "snapshots").glob("*") if path.is_dir())
    main = folder / "refs/main"
    if main.is_file():
        wanted = folder / "snapshots" / main.read_text(encoding="utf-8").strip()
        if wanted in revisions:
            return wanted
    if len(revisions) != 1:
        found = "no revision" if not revisions else f"{len(revisions)} revisions and none is main"
        raise HaloError(
            f"{folder}: this folder of Hugging Face's cache has {found}; give the path of one, "
            "snapshots/<revision>"
        )
    return revisions[0]


def model_folder(path: Path) -> Path:
    """The folder with ``config.json``: `path` itself, or the snapshot in a folder of the cache."""
    path = Path(path)
    return snapshot(path) if (path / "snapshots").is_dir() else path


def model_name(path: Path) -> str:
    """Name of a model: that of the file, or of the folder, or ``organization/name`` in a cache."""
    path = Path(path)
    for part in reversed(path.parts):
        if part.startswith(PREFIX):
            return part.removeprefix(PREFIX).replace("--", "/")
    return path.name if path.is_dir() else path.stem


def read_config(folder: Path) -> dict[str, Any]:
    """Content of ``config.json``; HaloError if it is damaged."""
    file = Path(folder) / CONFIG
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise HaloError(f"{file}: damaged; download it again") from None


def model_class_of(path: Path) -> str | None:
    """The class of the language model in a file or folder; None for a folder of another one."""
    return class_of(read_config(path)) if Path(path).is_dir() else ESM2


def weight_files(folder: Path, model_class: str = ESM2) -> list[Path]:
    """The files of weights; HaloError if one is missing."""
    names = (WEIGHTS,) if model_class == ESM2 else (WEIGHTS, PICKLED)
    for name in names:
        if (folder / name).is_file():
            return [folder / name]
        if _index(folder, name).is_file():
            return _listed(_index(folder, name))
    raise HaloError(
        f"{folder}: a folder in Hugging Face's format without {' or '.join(names)} "
        f"({LANGUAGE_MODELS[model_class].title}); download it again, or convert its weights to "
        "that format with save_pretrained of transformers"
    )


def _index(folder: Path, name: str) -> Path:
    return folder / f"{name}.index.json"


def _listed(index: Path) -> list[Path]:
    """The files of weights in an index."""
    try:
        listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        names = sorted(map(str, listed))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise HaloError(f"{index}: damaged; download it again") from None
    for name in names:
        if Path(name).name != name:
            raise HaloError(f"{index}: refused, {name} is outside of the folder")
    files = [index.with_name(name) for name in names]
    for file in files:
        if not file.is_file():
            raise HaloError(f"{file}: missing, though {index.name} lists it; download it again")
    return files


def model_files(folder: Path) -> list[Path]:
    """The files of a model that its states depend on: configuration, weights and vocabulary.

    HALO's own ESM-2 reads no file of a vocabulary.
    """
    folder = Path(folder)
    model_class = model_class_of(folder) or ESM2
    files = [folder / CONFIG, *weight_files(folder, model_class)]
    if model_class != ESM2:
        files += [folder / name for name in VOCABULARY if (folder / name).is_file()]
    return files


def index_files(folder: Path) -> list[Path]:
    """The files that list several files of weights."""
    return [path for name in (WEIGHTS, PICKLED) if (path := _index(Path(folder), name)).is_file()]


def digest_of(path: Path) -> str:
    """SHA-256 of a checkpoint, or of a folder: of the names and contents of its files."""
    path = Path(path)
    if not path.is_dir():
        return sha256_of_file(path)
    digest = hashlib.sha256()
    for file in model_files(path):
        digest.update(f"{sha256_of_file(file)}  {file.name}\n".encode())
    return digest.hexdigest()


def require_same(path: str, sha256: str | None, since: str, fix: str) -> None:
    """Raise a HaloError if a file or folder is missing or its digest is another one."""
    if not Path(path).exists():
        raise HaloError(f"{path}: there is no such file any more; put it back, or {fix}")
    if _sha256(path, listing_digest([Path(path)])) != sha256:
        raise HaloError(f"{path}: changed since {since}; put the old file back, or {fix}")


@lru_cache(maxsize=64)
def _sha256(path: str, listing: str) -> str:
    return digest_of(Path(path))
