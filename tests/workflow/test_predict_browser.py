"""The page of predictions in a real browser: drawing, search, rotation, small screens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from halo.predict.run import predict
from predict_bundle import OFFLINE, queries, write_fasta

pytestmark = pytest.mark.browser

EVIL = "<script>window.evil=1</script>\"'&</script><img/src=x/onerror=window.evil=2>"
LONG = "very_long_" * 500
DRAWN = """
const canvas = document.getElementById('canvas');
viewer.draw();
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colours = new Set();
for (let i = 0; i < data.length; i += 4) {
  if (data[i + 3]) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
}
return colours.size;
"""


@pytest.fixture(scope="module")
def page(small_bundle, tmp_path_factory) -> Path:
    """Proteins with and without a structure, hostile ids, 30 and 35,000 residues."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)

    def random(length: int) -> str:
        return "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), length))

    sequences = queries(8) | {EVIL: random(80), LONG: random(90), "tiny": random(30)}
    fasta = write_fasta(folder / "in.fasta", sequences | {"huge": random(35_000)})
    predict(fasta, small_bundle, folder / "out", replace(OFFLINE, chunk=5))
    return folder / "out/predictions.html"


def proteins(browser) -> list[dict]:
    return browser.execute_script(
        "return DATA.proteins.map(({id, trace, labels}) => ({id, labels, trace: Boolean(trace)}))"
    )


def choose(browser, row: int) -> None:
    browser.execute_script("location.hash = arguments[0]; fromHash()", f"p{row + 1}")


def test_the_page_loads_nothing_and_logs_no_errors(opened):
    for row in range(len(proteins(opened))):
        choose(opened, row)
    assert opened.get_log("browser") == []
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_everything_of_every_protein_is_drawn(opened):
    shown = proteins(opened)
    assert {entry["trace"] for entry in shown} == {True, False}
    for row, entry in enumerate(shown):
        choose(opened, row)
        assert opened.find_element("id", "name").text[:50] == entry["id"][:50]
        bars = opened.execute_script("return document.querySelectorAll('#bars .bar').length")
        assert bars == opened.execute_script("return DATA.labels.length")
        boxes = opened.execute_script(
            "return [...document.querySelectorAll('#tracks path')].map(p => p.getBBox())"
            ".filter(b => b.width > 100).length"
        )
        assert boxes >= 3, entry["id"]  # both directions or one, attention, the axes
        letters = opened.execute_script("return document.querySelectorAll('#letters b').length")
        assert 30 <= letters <= 300
        figure = opened.find_element("id", "figure-structure")
        assert figure.is_displayed() == entry["trace"]
        if entry["trace"]:
            assert opened.execute_script(DRAWN) > 20


def test_predicted_regions_are_drawn_along_the_sequence(opened):
    choose(opened, 0)
    opened.execute_script(
        "current().predicted_regions = [{start: 1, end: 20, kind: DATA.kinds[0], confidence: 0.9}];"
        "choose(0)"
    )
    found = opened.execute_script(
        "const bar = document.querySelector('#tracks rect.predicted');"
        "const svg = bar.closest('svg').viewBox.baseVal;"
        "return [Number(bar.getAttribute('width')) / svg.width, current().length, "
        "bar.querySelector('title').textContent, "
        "Number(bar.getAttribute('y')) + 14 <= svg.height]"
    )
    assert found[0] == pytest.approx(20 / found[1], rel=0.01)
    assert found[2] == "signal peptide, 1–20, 90 %"
    assert found[3]
    facts = opened.find_element("id", "facts").text
    assert "signal peptide 1–20 (90 %)" in facts
    opened.execute_script("current().predicted_regions = []; choose(0)")
    assert "predicted regions: none" in opened.find_element("id", "tracks").text


def test_the_structure_is_turned_and_coloured(opened):
    row = next(i for i, entry in enumerate(proteins(opened)) if entry["trace"])
    choose(opened, row)
    picture = "viewer.draw(); return viewer.canvas.toDataURL()"
    pictures = [opened.execute_script(picture)]
    for step in (
        "viewer.rotateBy(0.5, 0)",
        "viewer.zoomBy(1.5)",
        "$('colour').value = 'plddt'; $('colour').dispatchEvent(new Event('input'))",
        "$('colour').value = 'attention'; $('colour').dispatchEvent(new Event('input'))",
        "for (const [kind, x] of [['pointerdown', 100], ['pointermove', 160], ['pointerup', 160]])"
        " { const box = viewer.canvas.getBoundingClientRect();"
        " viewer.canvas.setPointerCapture = () => {};"
        " viewer.canvas.dispatchEvent(new PointerEvent(kind, {pointerId: 1,"
        " clientX: box.left + x, clientY: box.top + 100})); }",
    ):
        opened.execute_script(step)
        pictures.append(opened.execute_script(picture))
    assert len(set(pictures)) == len(pictures)
    opened.execute_script(
        "viewer.reset(); $('colour').value = 'values';$('colour').dispatchEvent(new Event('input'))"
    )
    assert opened.execute_script(picture) == pictures[0]


def test_the_structure_is_not_mirrored(opened):
    """x to the right, y up, z towards the reader."""
    right, up, near = opened.execute_script(
        "viewer.rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1];"
        "const p = viewer.projected([0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 5]);"
        "return [p[3] - p[0], p[1] - p[7], p[11] - p[2]]"
    )
    assert right > 0
    assert up > 0
    assert near > 0


def test_proteins_are_found(opened):
    def found(**values: str) -> list[int]:
        return opened.execute_script(
            "for (const id of ['search', 'by-label', 'by-kind'])"
            " $(id).value = arguments[0][id] || '';"
            "$('search').dispatchEvent(new Event('input'));"
            "return rows.map((row, i) => row.hidden ? -1 : i).filter(i => i >= 0)",
            {name.replace("_", "-"): value for name, value in values.items()},
        )

    shown = proteins(opened)
    assert found() == list(range(len(shown)))
    assert found(search="TINY") == [len(shown) - 2]
    assert found(search="no such protein") == []
    assert opened.find_element("id", "found").text == f"0 of {len(shown)} proteins"
    label = next(entry["labels"][0] for entry in shown if entry["labels"])
    assert found(by_label=label) == [i for i, e in enumerate(shown) if label in e["labels"]]
    bare = found(by_kind="bare")
    assert set(range(8, len(shown))) <= set(bare)
    assert not any(shown[i]["trace"] for i in bare)
    found()


def test_long_proteins_are_walked_through(opened):
    choose(opened, len(proteins(opened)) - 1)
    opened.execute_script("moveTo(34_990)")
    last = opened.execute_script(
        "const b = [...document.querySelectorAll('#letters b')]; return b[b.length - 1].title"
    )
    assert "35000:" in last
    assert opened.find_element("id", "mover").is_displayed()


def test_hostile_ids_are_texts(opened):
    row = next(i for i, entry in enumerate(proteins(opened)) if entry["id"].startswith("<script>"))
    choose(opened, row)
    assert opened.find_element("id", "name").text == EVIL
    assert opened.execute_script("return window.evil") is None
    assert not opened.find_elements("css selector", "main img, main script")


def test_the_page_is_as_wide_as_the_window(opened):
    for row in range(len(proteins(opened))):
        choose(opened, row)
        wide, window = opened.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= window, row
        assert window in (390, 1280)


def test_letters_of_the_figure_are_readable(opened):
    heights = opened.execute_script(
        "return [...document.querySelectorAll('#tracks text')].map(text => {"
        " const m = text.getScreenCTM();"
        " return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(m.a, m.b); })"
    )
    assert min(heights) >= 10
