"""The page of variants in a real browser: the list, a variant, the heat map, small screens."""

from dataclasses import replace
from pathlib import Path

import pytest

from halo.variants.run import variants
from halo.variants.settings import VariantSettings
from predict_bundle import OFFLINE, queries, write_fasta

pytestmark = pytest.mark.browser

NAME = "<b>x</b>"
EVIL = "<script>window.evil=1</script>\"'&</script><img/src=x/onerror=window.evil=2>"
COLOURS = """
const canvas = document.getElementById('map');
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colours = new Set();
for (let i = 0; i < data.length; i += 4) {
  colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
}
return colours.size;
"""


@pytest.fixture(scope="module")
def page(small_bundle, tmp_path_factory) -> Path:
    """A hostile id and a usual one, with variants of both and a scan."""
    folder = tmp_path_factory.mktemp("variants")
    (name, sequence), (_, other) = queries(2).items()
    fasta = write_fasta(folder / "in.fasta", {EVIL: other[:30], name: sequence[:40]})
    first, second = f"{other[4]}5", f"{sequence[4]}5_{sequence[9]}10"
    table = f"id,protein,variant\n1,@,{first}*\n2,{name},{second}del\n{NAME},{name},{second}dup\n"
    text = table.replace("@", '"' + EVIL.replace('"', '""') + '"')
    (folder / "variants.csv").write_text(text)
    settings = VariantSettings("substitutions", random=5, predict=replace(OFFLINE, page=2))
    variants(fasta, folder / "variants.csv", small_bundle, folder / "out", settings)
    return folder / "out/variants.html"


def test_the_page_loads_nothing_and_logs_no_errors(opened):
    for row in range(2):
        opened.execute_script("chooseProtein(arguments[0])", row)
    assert opened.get_log("browser") == []
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert opened.execute_script("return window.evil") is None


def test_every_variant_is_shown(opened):
    opened.execute_script("chooseProtein(1)")
    rows = opened.find_elements("css selector", "#rows tr")
    assert len(rows) == 2
    for number, row in enumerate(rows):
        opened.execute_script("arguments[0].click()", row)
        bars = opened.find_elements("css selector", "#bars .pair")
        assert len(bars) == opened.execute_script("return DATA.labels.length")
        assert opened.find_element("id", "variant").text == ["2", NAME][number]
    opened.execute_script("$('search').value = 'dup'; filter()")
    assert len(opened.find_elements("css selector", "#rows tr")) == 1


def test_the_heat_map_is_drawn_and_tells_the_value_of_a_cell(opened):
    opened.execute_script("chooseProtein(1)")
    assert opened.execute_script(COLOURS) > 20
    canvas = opened.find_element("id", "map")
    opened.execute_script("chooseCell(current().sequence[4] === 'A' ? 1 : 0, 4)")
    before = opened.find_element("id", "cell").text
    assert "→" in before
    canvas.send_keys("\ue014")  # the right arrow
    assert opened.find_element("id", "cell").text != before


def test_the_page_is_as_wide_as_the_window(opened):
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for row in range(2):
        opened.execute_script("chooseProtein(arguments[0])", row)
        assert opened.execute_script(wide) <= 0
