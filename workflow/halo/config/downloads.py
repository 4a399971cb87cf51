"""Names of downloaded files."""

import re
from urllib.parse import unquote, urlsplit

from halo.files import sha256_of_text

LONGEST = 80  # characters that are kept of a name


def download_name(url: str) -> str:
    """File name of a download: a digest of the whole address, and the name that ends its path.

    Two addresses that end alike are two files; the name keeps its suffix, by which compression
    is known.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", unquote(urlsplit(url).path).rpartition("/")[2])
    return f"{sha256_of_text(url)[:12]}-{name[-LONGEST:] or 'data'}"
