"""Where the weights of a language model are: a local file, or fair-esm's published one."""

import logging
from pathlib import Path

from halo.download import download
from halo.embeddings.published import PUBLISHED
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.files import sha256_of_file

log = logging.getLogger(__name__)

URL = "https://dl.fbaipublicfiles.com/fair-esm/models/{name}.pt"


def find_weights(model: str, folder: Path, sha256: str | None) -> Weights:
    """The checkpoint that `model` means: the path of a local file or a published name.

    A published one is downloaded to `folder` once. HaloError where there is no such
    file, where the name is not known, or where the bytes are not those of `sha256`.
    """
    path = Path(model)
    if model in PUBLISHED:
        path = Path(folder) / f"{model}.pt"
        if not path.exists():
            download(URL.format(name=model), path, sha256, PUBLISHED[model])
    elif not path.is_file():
        raise HaloError(
            f"embeddings.model: {model!r} is neither a file nor one of {', '.join(PUBLISHED)}; "
            "on a machine without internet download the checkpoint elsewhere and give its path"
        )
    found = sha256_of_file(path)
    if sha256 is not None and found != sha256:
        raise HaloError(
            f"{path}: the sha256 is {found}, but embeddings.sha256 is {sha256}; the file is "
            "truncated or another one: download it again, or mend the sha256"
        )
    log.info("language model %s, sha256 %s", path, found)
    return Weights(path.stem, str(path), found)
