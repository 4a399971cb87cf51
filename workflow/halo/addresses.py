"""Addresses of downloads in messages and records."""

import re
from urllib.parse import urlsplit

HIDDEN = "***"


def masked(url: str) -> str:
    """The address without what may give access: user, password and the values of its query.

    Examples
    --------
    >>> masked("https://me:word@example.org/a.csv?version=2&token=abc")
    'https://***@example.org/a.csv?version=***&token=***'
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # no address
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    netloc = host if host == parts.netloc else f"{HIDDEN}@{host}"
    # A query without names is a value as a whole.
    query = re.sub(r"=[^&;]*", f"={HIDDEN}", parts.query) if "=" in parts.query else HIDDEN
    return parts._replace(netloc=netloc, query=parts.query and query, fragment="").geturl()
