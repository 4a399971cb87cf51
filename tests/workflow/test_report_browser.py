"""The report in a real browser: no console messages, all figures drawn, small screens."""

from pathlib import Path

import pytest

from simulated_run import make_report, make_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return make_report(make_run(tmp_path_factory.mktemp("run")))


def test_nothing_is_on_the_console(opened):
    assert opened.get_log("browser") == []


def test_nothing_is_loaded(opened):
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_every_figure_is_drawn(opened):
    sizes = opened.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(svg => {"
        " const box = svg.getBoundingClientRect(), drawn = svg.getBBox();"
        " return [svg.closest('figure').id, box.width, box.height, drawn.width, drawn.height]; })"
    )
    assert len(sizes) == 13
    for name, *lengths in sizes:
        assert min(lengths) > 50, name


def test_letters_of_figures_are_readable(opened):
    """No text of a figure is smaller than 8 pixels, not even on a phone."""
    heights = opened.execute_script(
        "return [...document.querySelectorAll('figure svg text')].map(text => {"
        " const m = text.getScreenCTM();"
        " return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(m.a, m.b); })"
    )
    assert min(heights) >= 8


def test_the_page_is_as_wide_as_the_window(opened):
    wide, window = opened.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert wide <= window
    assert window in (390, 1280)


def test_dark_text_on_white(opened):
    colours = opened.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert colours == ["rgb(28, 28, 28)", "rgb(255, 255, 255)"]
