"""Find the checkpoint of a language model: a local file, or a download of fair-esm's."""

import logging
from pathlib import Path

from halo.download import download
from halo.embeddings.checkpoint_file import AGAIN, checkpoint_fault, require_checkpoint
from halo.embeddings.published import PUBLISHED, URL
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.files import sha256_of_file

log = logging.getLogger(__name__)


def find_weights(model: str, folder: Path, sha256: str | None) -> Weights:
    """The checkpoint `model`: the path of a local file or a published name.

    A published checkpoint is downloaded to `folder` once, and kept only if it has the published
    checksum, or `sha256` if given.

    Raises
    ------
    HaloError
        if the file does not exist, the name is unknown, the file is damaged or not a checkpoint of
        ESM-2 (see `halo.embeddings.checkpoint_file`), or the checksum differs
    """
    path, fix, wanted = Path(model), AGAIN, "embeddings.sha256"
    expected = sha256
    if model in PUBLISHED:
        path = Path(folder) / f"{model}.pt"
        published = PUBLISHED[model]
        expected = sha256 or published.sha256
        wanted = wanted if sha256 else "that of the published file"
        if not path.exists():
            download(URL.format(name=model), path, expected, published.max_bytes, checkpoint_fault)
        fix = f"delete {path}, it is then downloaded again"
    elif not path.exists():
        raise HaloError(
            f"embeddings.model: {model!r} is neither a file nor one of {', '.join(PUBLISHED)}; "
            "on a machine without internet download the checkpoint elsewhere and give its path"
        )
    require_checkpoint(path, fix)
    digest = sha256_of_file(path)
    if expected is not None and digest != expected:
        raise HaloError(
            f"{path}: the sha256 is {digest}, but {wanted} is {expected}; the file is "
            f"truncated or a different one: {fix}, or correct embeddings.sha256"
        )
    known = PUBLISHED.get(path.stem)
    if known is not None and digest != known.sha256:
        log.warning("%s: not the published file of that name, its sha256 is another one", path)
    log.info("language model %s, sha256 %s", path, digest)
    return Weights(path.stem, str(path), digest)
