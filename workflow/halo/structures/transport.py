"""HTTP that gets there: pooled connections, a polite rate, and patience with faults."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from halo.errors import HaloError
from halo.structures.parse import MAX_BYTES, StructureError, TooLargeError, expand
from halo.structures.settings import TransportSettings

if TYPE_CHECKING:
    import httpx  # slow to import, and many calls download nothing

MAX_WAIT = 120.0  # seconds; a server that asks for more is given up on
SMALL = 1 << 16  # bytes of an error's page that are read to keep its connection
BRIEF = 10.0  # seconds that a server has to show that it is there
CONNECT = 5.0  # seconds to connect, in which a lost packet is sent twice more
STALL = 20.0  # seconds without a byte after which a connection is taken to be dead
_PASSING = {408, 425, 429}
_GONE = {404, 410}
_T = TypeVar("_T")


class FetchError(HaloError):
    """A request failed for good; asking again later may help."""


class PassingError(FetchError):
    """A request failed for a reason that may pass."""


class Throttle:
    """Spaces the starts of requests over all threads, and holds all of them on demand."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may start."""
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + self._interval
        pause = start - time.monotonic()
        if pause > 0:
            time.sleep(pause)

    def hold(self, seconds: float) -> None:
        """Let no request start for `seconds`."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


def why_unreachable(settings: TransportSettings) -> str:
    """Why the server gives no answer, not even an error, when asked twice; ``""`` if it does."""
    brief = replace(
        settings,
        retries=1,
        backoff=min(settings.backoff, 0.5),
        timeout=min(settings.timeout, BRIEF),
    )
    with closing(Client(brief)) as client:
        try:
            client.get(settings.base_url, len)
        except FetchError as error:
            return "" if client.answered else str(error)
    return ""


class Client:
    """GET requests with retries; for many threads at once.

    With `unreachable`, the reason why the server is not asked, every request fails with it.

    Attributes
    ----------
    answered
        Whether the server has ever sent a response.
    """

    def __init__(self, settings: TransportSettings, unreachable: str = "") -> None:
        self.settings = settings
        self.unreachable = unreachable
        self.answered = False
        self._throttle = Throttle(settings.requests_per_second)
        self._opening = threading.Lock()
        self._opened: httpx.Client | None = None

    @property
    def _http(self) -> "httpx.Client":
        """The connections, opened by the first request."""
        import httpx

        with self._opening:
            if self._opened is None:
                self._opened = httpx.Client(
                    http2=True,
                    follow_redirects=True,
                    max_redirects=5,
                    timeout=httpx.Timeout(
                        min(self.settings.timeout, STALL),
                        connect=min(self.settings.timeout, CONNECT),
                    ),
                    limits=httpx.Limits(
                        max_connections=self.settings.concurrency,
                        max_keepalive_connections=self.settings.concurrency,
                    ),
                    headers={"User-Agent": "halo-localization", "Accept-Encoding": "gzip"},
                )
            return self._opened

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()

    def get(self, url: str, decode: Callable[[bytes], _T]) -> _T | None:
        """`decode` of the body at `url`, or None where the server has none (404, 410).

        Refused connections, timeouts, resets, 408, 425, 429, 5xx and bodies that are truncated
        or that `decode` refuses with a `StructureError` are tried again, with growing
        pauses and no sooner than Retry-After says. FetchError when that does not help.
        """
        if self.unreachable:
            raise FetchError(self.unreachable)
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
        from tenacity.wait import wait_exponential, wait_random

        backoff = self.settings.backoff
        attempts = Retrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(self.settings.retries + 1),
            wait=wait_exponential(backoff, MAX_WAIT) + wait_random(0, backoff),
            reraise=True,
        )
        return attempts(self._get_once, url, decode)

    def _get_once(self, url: str, decode: Callable[[bytes], _T]) -> _T | None:
        import httpx
        from h2.exceptions import H2Error

        self._throttle.wait()
        try:
            body = self._body(url)
            return None if body is None else decode(body)
        except TooLargeError as error:
            raise FetchError(f"{url}: {error}") from None
        except StructureError as error:
            raise PassingError(f"{url}: {error}") from None
        except httpx.TooManyRedirects:
            raise FetchError(f"{url}: more than {self._http.max_redirects} redirects") from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise FetchError(f"{url}: not a URL that can be asked ({error})") from None
        # Httpx passes on errors of its HTTP/2 library, as of frames for a stream that was reset.
        except (httpx.TransportError, H2Error) as error:
            reason = str(error) or type(error).__name__
            raise PassingError(f"{url}: {reason}") from None

    def _body(self, url: str) -> bytes | None:
        deadline = time.monotonic() + self.settings.timeout
        with self._http.stream("GET", url) as response:
            self.answered = True
            if response.status_code != 200:
                _drain(response)
            if response.status_code in _GONE:
                return None
            self._check_status(response)
            chunks, size = [], 0
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > MAX_BYTES:
                    raise TooLargeError(f"larger than {MAX_BYTES >> 20} MiB")
                if time.monotonic() > deadline:
                    raise PassingError(f"{url}: not complete in {self.settings.timeout:g} s")
                chunks.append(chunk)
            encoding = response.headers.get("content-encoding", "identity")
        body = b"".join(chunks)
        if encoding == "identity":
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise FetchError(f"{url}: content encoding {encoding!r} was not asked for")
        return expand(body, url)

    def _check_status(self, response: "httpx.Response") -> None:
        status = response.status_code
        if status == 200:
            return
        message = f"{response.url}: status {status}"
        if status not in _PASSING and status < 500:
            raise FetchError(message)
        wait = _retry_after(response.headers.get("retry-after", ""))
        if wait > MAX_WAIT:
            raise FetchError(f"{message}, and wants to be left alone for {wait:.0f} s")
        self._throttle.hold(wait)
        raise PassingError(message)


def _drain(response: "httpx.Response") -> None:
    """Read a small body to its end, so that the connection can be used again."""
    if int(response.headers.get("content-length", MAX_BYTES)) < SMALL:
        for _ in response.iter_raw():
            pass


def _retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for: a number or a date; 0 if it tells neither."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError):
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((date - datetime.now(UTC)).total_seconds(), 0.0)
