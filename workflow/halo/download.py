"""Download one large file: streamed, verified, and renamed when complete."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from halo.addresses import masked
from halo.cli import Progress
from halo.errors import HaloError
from halo.files import atomic_path

log = logging.getLogger(__name__)

ATTEMPTS = 5
TIMEOUT_S = 60.0
CHUNK = 1 << 20
BEGINNING = 2048  # bytes of a file in which a web page says that it is one
# The file as it lies on the server, whose length is that of the answer.
HEADERS = {"Accept-Encoding": "identity"}


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
            f"{masked(url)}: could not be downloaded ({_reason(error)}); check the connection, or "
            "give the path of a local copy in the configuration"
        ) from None
    log.info("%s: downloaded, sha256 %s", masked(url), digest)
    return digest


def page_fault(file: Path) -> str | None:
    """Why a file is no data, if it is a web page, as of a sign-in, or None."""
    with Path(file).open("rb") as opened:
        start = opened.read(BEGINNING).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<") and (b"<html" in start or b"<!doctype html" in start):
        return "it is a web page"
    return None


def _reason(error: httpx.HTTPError) -> str:
    """What is wrong; httpx names the whole address of a status, also that of a redirection."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server says {error.response.status_code} {error.response.reason_phrase}"
    return str(error) or type(error).__name__


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
    digest, shown, size = hashlib.sha256(), masked(url), 0
    with (
        httpx.stream(
            "GET", url, headers=HEADERS, follow_redirects=True, timeout=TIMEOUT_S
        ) as response,
        atomic_path(path, shared=True) as temporary,
        temporary.open("wb") as file,
    ):
        response.raise_for_status()
        if sha256 is None and not _end_is_known(response):
            log.warning(
                "%s: the server does not say how long the file is, so that one that was cut off "
                "would not be noticed; compare its size, or give its sha256 in the configuration",
                shown,
            )
        progress = Progress(int(response.headers.get("Content-Length", 0)), "bytes")
        for chunk in response.iter_bytes(CHUNK):
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
            # The length is that of the bytes before they are decompressed.
            progress.add(response.num_bytes_downloaded - progress.done)
            if size > max_bytes:
                raise HaloError(f"{shown}: larger than the limit of {max_bytes:,} bytes")
        if not size:
            raise HaloError(
                f"{shown}: the answer is empty (status {response.status_code}); check the address, "
                "or give the path of a local copy in the configuration"
            )
        file.flush()
        fault = fault_of(temporary)
        if fault is not None:
            raise HaloError(
                f"{shown}: the download was rejected ({fault}). Does a proxy or a sign-in page "
                "answer instead? Give the path of a local copy in the configuration"
            )
        if sha256 is not None and digest.hexdigest() != sha256:
            raise HaloError(
                f"{shown}: the sha256 is {digest.hexdigest()}, but {sha256} is expected; the file "
                "at the source has changed: check it, then change the sha256"
            )
    return digest.hexdigest()


def _end_is_known(response: httpx.Response) -> bool:
    """Whether an answer that ends early is an error: it has a length, or parts with an end."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "")
    return chunked or "Content-Length" in response.headers
