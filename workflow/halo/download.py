"""Download one large file: streamed, verified, and renamed when complete."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from halo.cli import Progress
from halo.errors import HaloError
from halo.files import atomic_path

log = logging.getLogger(__name__)

ATTEMPTS = 5
TIMEOUT_S = 60.0
CHUNK = 1 << 20


def download(
    url: str,
    path: Path,
    sha256: str | None,
    max_bytes: int,
    fault_of: Callable[[Path], str | None] = lambda path: None,
) -> str:
    """Download `url` to `path`, a file of a store, and return the sha256 of its bytes.

    Temporary errors (connection, timeout, 429, 5xx, incomplete body) are retried with exponential
    backoff.

    Raises
    ------
    HaloError
        if the file is not available, is larger than `max_bytes`, is refused by `fault_of` (which
        returns the reason), or does not have the expected `sha256`; nothing is kept then
    """
    try:
        digest = _download(url, Path(path), sha256, max_bytes, fault_of)
    except httpx.HTTPError as error:
        raise HaloError(
            f"{url}: could not be downloaded ({error}); check the connection, or give the path of "
            "a local copy in the configuration"
        ) from None
    log.info("%s: downloaded, sha256 %s", url, digest)
    return digest


def _passing(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


@retry(
    retry=retry_if_exception(_passing),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential_jitter(initial=1, max=60),
    reraise=True,
)
def _download(
    url: str,
    path: Path,
    sha256: str | None,
    max_bytes: int,
    fault_of: Callable[[Path], str | None],
) -> str:
    digest = hashlib.sha256()
    with (
        httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_S) as response,
        atomic_path(path, shared=True) as temporary,
        temporary.open("wb") as file,
    ):
        response.raise_for_status()
        progress = Progress(int(response.headers.get("Content-Length", 0)), "bytes")
        for chunk in response.iter_bytes(CHUNK):
            digest.update(chunk)
            file.write(chunk)
            progress.add(len(chunk))
            if progress.done > max_bytes:
                raise HaloError(f"{url}: larger than the limit of {max_bytes:,} bytes")
        file.flush()
        fault = fault_of(temporary)
        if fault is not None:
            raise HaloError(
                f"{url}: the download was rejected ({fault}). Does a proxy or a sign-in page "
                "answer instead? Give the path of a local copy in the configuration"
            )
        if sha256 is not None and digest.hexdigest() != sha256:
            raise HaloError(
                f"{url}: the sha256 is {digest.hexdigest()}, but {sha256} is expected; the file at "
                "the source has changed: check it, then change the sha256"
            )
    return digest.hexdigest()
