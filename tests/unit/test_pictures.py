"""Pictures of the documentation equal the output of their script."""

import re
from xml.etree import ElementTree

import pytest

from pictures import FOLDER, PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_the_committed_picture_is_what_the_script_draws(name):
    """To correct it: `make pictures`."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PICTURES[name]()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_loads_nothing_and_says_what_it_shows(name):
    text = PICTURES[name]()
    root = ElementTree.fromstring(text)
    assert len(root.find("{*}title").text) > 50
    assert not re.search(r"href|url\((?!#)|@import|https?:(?!//www.w3.org/2000/svg)", text)
    used = {kind for each in root.iter() for kind in each.get("class", "").split()}
    styled = set(re.findall(r"\.([a-z]+)", root.find("{*}style").text))
    assert used - {"middle", "end"} <= styled
