"""The pictures of the documentation in a real browser."""

import pytest

from pictures import FOLDER, PICTURES

pytestmark = pytest.mark.browser

# The text that leaves its picture, or its box where it is in one.
OUTSIDE = """
const all = document.documentElement.getBoundingClientRect();
return [...document.querySelectorAll("text")].filter(text => {
  const box = text.parentNode.querySelector(":scope > rect");
  const around = box && text.parentNode.tagName === "g" ? box.getBoundingClientRect() : all;
  const inner = text.getBoundingClientRect();
  return inner.left < around.left || inner.right > around.right
    || inner.top < around.top || inner.bottom > around.bottom;
}).map(text => text.textContent);
"""
COLOURS = """
const ink = getComputedStyle(document.querySelector("text.title")).fill;
return [getComputedStyle(document.querySelector(".paper")).fill, ink];
"""


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("mode", "dark"), [("light", False), ("dark", True)])
def test_text_fits_its_box_and_contrasts_with_the_background(browser, name, mode, dark):
    wide = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wide)
    media = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get((FOLDER / name).as_uri())
    assert browser.execute_script(OUTSIDE) == []
    paper, ink = (
        sum(map(int, colour.strip("rgb()").split(","))) / 765
        for colour in browser.execute_script(COLOURS)
    )
    assert (paper < 0.2 and ink > 0.8) if dark else (paper > 0.9 and ink < 0.3)
