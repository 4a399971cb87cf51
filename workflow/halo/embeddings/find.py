"""Find a language model: a file or folder, Hugging Face's cache, or fair-esm's download."""

import logging
from pathlib import Path

from halo.embeddings.checkpoint_file import AGAIN, checkpoint_fault, require_checkpoint
from halo.embeddings.hub import (
    NAME,
    cache_folder,
    cached,
    digest_of,
    model_class_of,
    model_folder,
    model_name,
)
from halo.embeddings.published import PUBLISHED, URL
from halo.embeddings.registry import ESM2
from halo.embeddings.weights import Weights
from halo.errors import HaloError

log = logging.getLogger(__name__)


def find_weights(model: str, folder: Path, sha256: str | None) -> Weights:
    """The checkpoint `model`: the path of a file or folder, or a name.

    ``organization/name`` is looked up in the cache of Hugging Face. A published checkpoint is
    downloaded to `folder` once, and kept only if it has the published checksum, or `sha256` if
    given.

    Raises
    ------
    HaloError
        if the file does not exist, the name is unknown, the file is damaged or none of a language
        model that HALO reads (see `halo.embeddings.checkpoint_file`), or the checksum differs
    """
    path, fix, wanted = Path(model), AGAIN, "embeddings.sha256"
    expected = sha256
    if model in PUBLISHED:
        path = Path(folder) / f"{model}.pt"
        published = PUBLISHED[model]
        expected = sha256 or published.sha256
        wanted = wanted if sha256 else "that of the published file"
        if not path.exists():
            from halo.download import download  # slow to import

            download(URL.format(name=model), path, expected, published.max_bytes, checkpoint_fault)
        fix = f"delete {path}, it is then downloaded again"
    elif not path.exists():
        path = found_in_cache(model)
    path = model_folder(path) if path.is_dir() else path
    require_checkpoint(path, fix)
    digest = digest_of(path)
    if expected is not None and digest != expected:
        raise HaloError(
            f"{path}: the sha256 is {digest}, but {wanted} is {expected}; the file is "
            f"truncated or a different one: {fix}, or correct embeddings.sha256"
        )
    name = model_name(path)
    known = PUBLISHED.get(name)
    if known is not None and digest != known.sha256:
        log.warning("%s: not the published file of that name, its sha256 is another one", path)
    log.info("language model %s, sha256 %s", path, digest)
    return Weights(name, str(path), digest, model_class=model_class_of(path) or ESM2)


def class_of_model(model: str) -> str:
    """The class of the language model `model`, see `find_weights`; nothing is downloaded.

    For what cannot be found or read, it is that of ESM-2.
    """
    try:
        path = Path(model) if model in PUBLISHED or Path(model).exists() else cached(model)
        if path is None or not path.exists():
            return ESM2
        return model_class_of(model_folder(path) if path.is_dir() else path) or ESM2
    except (HaloError, OSError):
        return ESM2


def found_in_cache(model: str) -> Path:
    """The folder of ``organization/name`` in the cache of Hugging Face; HaloError without one."""
    folder = cached(model)
    if folder is not None:
        return folder
    where = f", and not in Hugging Face's cache, {cache_folder()}" if NAME.fullmatch(model) else ""
    raise HaloError(
        f"embeddings.model: {model!r} is neither a file nor a folder nor one of "
        f"{', '.join(PUBLISHED)}{where}; on a machine without internet download the checkpoint "
        "elsewhere and give its path"
    )
