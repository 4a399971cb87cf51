"""Download entries from UniProt's REST service page by page, with retries.

https://www.uniprot.org/help/pagination: the header ``Link`` of a page has the URL of the next one;
other headers have the release and the number of results.
"""

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import RetryCallState, retry, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from halo import __version__
from halo.cli import Progress
from halo.errors import HaloError
from halo.files import atomic_path
from halo.uniprot.release import HEADER
from halo.uniprot.settings import UniprotSettings

log = logging.getLogger(__name__)

PAGE = 500  # largest page size of the service
FIELDS = (
    "accession,id,reviewed,organism_name,organism_id,lineage,sequence,"
    "cc_subcellular_location,cc_alternative_products,go_c"
)
ATTEMPTS = 6
TIMEOUT_S = 60.0
MAX_WAIT_S = 120.0
_BACKOFF = wait_exponential_jitter(initial=1, max=60)


class PassingError(Exception):
    """A request failed for a reason that may pass; `wait` is what the server asks for, seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def download_entries(settings: UniprotSettings, file: Path) -> dict[str, Any]:
    """Write the entries of a query to `file` as gzipped JSON lines, and return the header.

    The first line is ``{"uniprot": {release, date, query, entries}}``.

    Raises
    ------
    HaloError
        if the service refuses the query, returns nothing or too few entries, or changes its
        release during the download
    """
    header: dict[str, Any] = {}
    count = 0
    with (
        atomic_path(file, shared=True) as temporary,
        gzip.open(temporary, "wt", encoding="utf-8") as out,
    ):
        for page in _pages(settings):
            said = {
                "release": page.headers.get("X-UniProt-Release"),
                "date": page.headers.get("X-UniProt-Release-Date"),
                "query": settings.search,
                "entries": int(page.headers.get("X-Total-Results", 0)),
            }
            if not header:
                header, progress = said, Progress(said["entries"], "entries")
                out.write(json.dumps({HEADER: header}) + "\n")
            if said["release"] != header["release"]:
                raise HaloError(
                    f"{settings.base_url}: the release changed from {header['release']} to "
                    f"{said['release']} while entries were downloaded; run again"
                )
            for entry in page.json()["results"]:
                out.write(json.dumps(entry) + "\n")
                count += 1
                progress.add()
        if not count:
            raise HaloError(
                f"dataset.uniprot: no entry fits to {settings.search!r}; change query, taxonomy or "
                "reviewed"
            )
        if count != header["entries"]:
            raise HaloError(
                f"{settings.base_url}: gave {count:,} of {header['entries']:,} entries; run again"
            )
    log.info("UniProt release %s: %s entries", header["release"], f"{count:,}")
    return header


def _pages(settings: UniprotSettings) -> Iterator[httpx.Response]:
    """The pages of a query, in the order of their links."""
    url = f"{settings.base_url.rstrip('/')}/uniprotkb/search"
    parameters: dict[str, str] | None = {
        "query": settings.search,
        "fields": FIELDS,
        "format": "json",
        "size": str(PAGE),
    }
    agent = {"User-Agent": f"halo-localization/{__version__}"}
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True, headers=agent) as client:
        seen: set[str] = set()
        while url:
            try:
                page = _page(client, url, parameters)
            except PassingError as error:
                raise HaloError(
                    f"{settings.base_url}: {error}, {ATTEMPTS} times; run again later, or give a "
                    "file downloaded from UniProt in dataset.proteins"
                ) from None
            yield page
            seen.add(url)
            url, parameters = page.links.get("next", {}).get("url", ""), None
            if url in seen or (url and not _same_place(url, settings.base_url)):
                raise HaloError(f"{settings.base_url}: a page names {url!r} as the next one")


def _same_place(url: str, base: str) -> bool:
    return urlsplit(url).netloc == urlsplit(base).netloc


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, PassingError) else 0.0
    return min(max(asked, _BACKOFF(state)), MAX_WAIT_S)


@retry(
    retry=retry_if_exception_type(PassingError),
    stop=stop_after_attempt(ATTEMPTS),
    wait=_wait,
    reraise=True,
)
def _page(client: httpx.Client, url: str, parameters: dict[str, str] | None) -> httpx.Response:
    """Request a page; raises a HaloError, or a PassingError if a retry may help."""
    try:
        page = client.get(url, params=parameters)
        if page.status_code in (408, 425, 429) or page.status_code >= 500:
            asked = page.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdigit() else 0.0
            raise PassingError(f"answers with the status {page.status_code}", wait)
        if page.is_error:
            raise HaloError(
                f"{client.base_url or ''}{page.url.copy_with(query=None)}: refuses the query of "
                f"dataset.uniprot ({_said(page)}); correct it"
            )
        if not isinstance(page.json()["results"], list):
            raise PassingError("gives something else than a page of entries")
        return page
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise PassingError(f"cannot be asked ({error or type(error).__name__})") from None
    except (ValueError, KeyError, TypeError):
        raise PassingError("gives something else than a page of entries") from None


def _said(page: httpx.Response) -> str:
    """The error message of the service about a query."""
    try:
        return "; ".join(page.json()["messages"])
    except (ValueError, KeyError, TypeError):
        return f"status {page.status_code}"
