"""An extension of Griffe: formulas of docstrings become MathML, which needs no script."""

import re
import textwrap

import griffe
from latex2mathml.converter import convert

INLINE = re.compile(r":math:`([^`]+)`")
DISPLAYED = re.compile(r"^\.\. math::\n+((?:[ \t]+\S.*\n?)+)", re.MULTILINE)


class Formulas(griffe.Extension):
    """Replaces ``:math:`` and ``.. math::`` in all docstrings."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = with_mathml(obj.docstring.value)


def with_mathml(text: str) -> str:
    """The text with its formulas in MathML.

    >>> with_mathml("where :math:`x` is").startswith("where <math")
    True
    """
    text = DISPLAYED.sub(
        lambda match: convert(" ".join(textwrap.dedent(match[1]).split()), display="block") + "\n",
        text,
    )
    return INLINE.sub(lambda match: convert(" ".join(match[1].split())), text)
