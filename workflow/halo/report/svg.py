"""Embed SVG files in HTML."""

import html
import re

_PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r'(\bid="|href="#|url\(#)')


def inline_svg(text: str, name: str, title: str) -> str:
    """Prepare an SVG of matplotlib for embedding.

    It is scaled to the width of its container, has `title` as its accessible name, and its ids get
    the prefix `name`, so that ids of several figures do not collide.
    """
    text = _METADATA.sub("", _PROLOG.sub("", text, count=1))
    text = _IDS.sub(rf"\g<1>{name}-", text)
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{html.escape(title)}">{rest}'.strip()
