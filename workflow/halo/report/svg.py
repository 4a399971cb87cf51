"""SVG files as parts of a page of HTML."""

import html
import re

_PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r'(\bid="|href="#|url\(#)')


def inline_svg(text: str, name: str, title: str) -> str:
    """An SVG of matplotlib to be put into a page beside others.

    It takes the width of what it stands in, is announced by `title`, and its ids start
    with `name`, so that those of several figures differ.
    """
    text = _METADATA.sub("", _PROLOG.sub("", text, count=1))
    text = _IDS.sub(rf"\g<1>{name}-", text)
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{html.escape(title)}">{rest}'.strip()
