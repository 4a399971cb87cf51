"""Fixtures for tests of pages: a real browser, and its windows."""

import shutil
from collections.abc import Iterator

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WINDOWS = {
    "desktop": {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator["webdriver.Chrome"]:  # noqa: F821
    """Chromium, driven by Selenium; the test is skipped where one of them is absent."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
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


@pytest.fixture(params=WINDOWS.values(), ids=WINDOWS.keys())
def opened(browser, page, request):
    """The browser with the module's `page` in a window of each size."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", request.param)
    browser.get("about:blank")  # else a page that differs in its fragment alone is not loaded again
    browser.get(page.as_uri())
    return browser
