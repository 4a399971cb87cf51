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
from pathlib import Path

from halo.errors import HaloError
from halo.files import sha256_of_file

CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
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


def weight_files(folder: Path) -> list[Path]:
    """The files of weights; HaloError if one is missing."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        raise HaloError(
            f"{folder}: a folder in Hugging Face's format without {WEIGHTS}; download it again, or "
            "convert its weights to that format with save_pretrained of transformers"
        )
    try:
        listed = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        names = sorted(map(str, listed))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise HaloError(f"{index}: damaged; download it again") from None
    for name in names:
        if Path(name).name != name:
            raise HaloError(f"{index}: refused, {name} is outside of the folder")
    files = [folder / name for name in names]
    for file in files:
        if not file.is_file():
            raise HaloError(f"{file}: missing, though {INDEX} lists it; download it again")
    return files


def digest_of(path: Path) -> str:
    """SHA-256 of a checkpoint, or of a folder: of the names and contents of its files."""
    path = Path(path)
    if not path.is_dir():
        return sha256_of_file(path)
    digest = hashlib.sha256()
    for file in (path / CONFIG, *weight_files(path)):
        digest.update(f"{sha256_of_file(file)}  {file.name}\n".encode())
    return digest.hexdigest()
