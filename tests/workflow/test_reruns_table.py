"""The table of docs/reference/reruns.md equals the result of dry runs.

`make reruns` makes all of it, in some minutes. Here a part is compared, which each change of the
rules draws anew.
"""

import hashlib
import random

from pipeline import ROOT
from reruns import CHANGE_OF, RUNS, rows, written

DRAWN = 12  # keys that are compared of the run in which most of them are, and of another run


def test_the_table_of_reruns_has_every_key_and_its_condition():
    lines = written()
    assert list(lines) == list(CHANGE_OF), "make reruns writes it again"
    beside = {path: line.split(" | ")[1] for path, line in lines.items()}
    assert beside == {path: change.beside for path, change in CHANGE_OF.items()}


def test_the_table_of_reruns_is_what_dry_runs_say():
    files = [ROOT / "Snakefile", ROOT / "workflow/halo/relevance.py", *ROOT.glob("rules/**/*.smk")]
    text = b"".join(file.read_bytes() for file in sorted(files))
    draw = random.Random(hashlib.sha256(text).digest())
    most, *others = RUNS
    keys = []
    for run in (most, draw.choice(others)):
        of_run = [path for path, change in CHANGE_OF.items() if change.run == run]
        keys += draw.sample(of_run, min(DRAWN, len(of_run)))
    found, lines = dict(rows(keys)), written()
    assert set(found) == set(keys)
    assert found == {path: lines[path] for path in found}, "make reruns writes it again"
