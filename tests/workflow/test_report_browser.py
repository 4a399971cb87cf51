"""The report in a real browser: nothing on the console, every figure drawn, fit for a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_run import make_report, make_run

pytestmark = pytest.mark.browser

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return make_report(make_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator["webdriver.Chrome"]:
    programs = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program = next((path for path in programs if path), None)
    if program is None:
        pytest.skip("there is no Chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver")
    service = webdriver.ChromeService(driver) if driver else None
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def opened(browser, page, request):
    """The browser with the page at a size of window."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", request.param)
    browser.get(page.as_uri())
    return browser


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
    assert len(sizes) == 12
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
    assert window in (PHONE["width"], DESKTOP["width"])


def test_dark_text_on_white(opened):
    colours = opened.execute_script(
        "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    )
    assert colours == ["rgb(28, 28, 28)", "rgb(255, 255, 255)"]
