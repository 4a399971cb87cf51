"""Examples in docstrings are correct."""

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workflow/halo"
WITH_EXAMPLES = [
    ".".join(("halo", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if re.search(r"^ +>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    module = import_module(name)
    failed, attempted = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert attempted
    assert not failed


@pytest.mark.parametrize(
    "name",
    [
        "embeddings.windows.windows",
        "embeddings.windows.blend",
        "graphs.geometry.contacts",
        "graphs.build.build_graph",
        "split.alignment.align",
        "split.run.split",
    ],
)
def test_the_core_has_examples(name):
    module, function = name.rsplit(".", 1)
    text = getattr(import_module(f"halo.{module}"), function).__doc__
    assert doctest.DocTestParser().get_examples(text)
