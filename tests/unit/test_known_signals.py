"""The benchmark of annotated signals: its measures, and that it runs on any bundle."""

import lzma
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from halo.files import read_json, write_json
from halo.predict.attribution import Attribution
from halo.predict.bundle import read_bundle
from halo.predict.default_bundle import default_bundle
from halo.predict.explanation import Explanation
from halo.regions.table import Region, Regions
from halo.text import open_text
from predict_bundle import DEMO, OFFLINE

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import known_signals
import samples
import sorting_signals
from samples import require_unseen

LENGTH, END = 60, 20
LIMIT = 260  # residues, fewer than the four measured proteins have
KNOWN = [Region(1, END, "signal peptide"), Region(1, LENGTH, "whole"), Region(50, 55, "other")]
LABEL_OF = {"signal peptide": "Extracellular", "whole": "Extracellular", "other": "Nucleus"}


def explanation(attribution: np.ndarray, attention: np.ndarray) -> Explanation:
    """A protein of `LENGTH` residues whose label Extracellular was explained."""
    values = np.stack([np.zeros(LENGTH), attribution]).astype(np.float32)
    parts = Attribution(values, np.ones(2), attention.astype(np.float32))
    return Explanation("p", "A" * LENGTH, ["Cytoplasm", "Extracellular"], parts, None)


def test_rankings_are_compared_with_the_region():
    """Attribution ranks its 20 residues first, attention knows nothing, the head half of them."""
    inside = np.arange(LENGTH) < END
    one = explanation(inside * 1.0, np.full(LENGTH, 1 / LENGTH))
    predicted = [
        {"kind": "signal peptide", "start": 1, "end": 10, "confidence": 0.9},
        {"kind": "other", "start": 30, "end": 40, "confidence": 0.9},
    ]
    [found] = known_signals.compared(one, predicted, KNOWN, LABEL_OF)
    assert (found.id, found.kind) == (
        "p",
        "signal peptide",
    )  # others have no attribution, or no rest
    assert found.chance == pytest.approx(1 / 3)
    assert found.area == pytest.approx(
        {"attribution": 1, "attention": 0.5, "residue head": 0.5 + 0.5 * 10 / 20}
    )
    # Of the 20 highest residues of the head, 10 are right and the others drawn from the other 50.
    assert found.top == pytest.approx(
        {"attribution": 1, "attention": 1 / 3, "residue head": (10 + 10 * 10 / 50) / 20}
    )
    turned = explanation(-1.0 * inside, np.linspace(1, 0, LENGTH))
    [found] = known_signals.compared(turned, None, KNOWN, LABEL_OF)
    assert found.area == pytest.approx({"attribution": 0, "attention": 1})
    assert found.top == pytest.approx({"attribution": 0, "attention": 1})
    assert known_signals.compared(turned, None, KNOWN, {}) == []


def test_a_bundle_is_measured(small_bundle, monkeypatch):
    """The labels that are explained count: one that is given, or else the most probable one."""
    signals = pd.read_csv(DEMO / "signals.csv").query("signal == 'signal peptide'")[:4]
    table = pd.read_csv(DEMO / "proteins.csv").set_index("id")
    sequences = table["sequence"].loc[signals["id"]].to_dict()
    labels = tuple(read_bundle(small_bundle).labels)
    regions = Regions(  # a kind for each label
        labels,
        {
            name: tuple(Region(start, end, label) for label in labels)
            for name, start, end in signals[["id", "start", "end"]].itertuples(index=False)
        },
    )
    assert set(known_signals.sampled(regions, None)) == set(sequences)
    assert len(known_signals.sampled(regions, 2)) == 2
    label_of = dict(zip(labels, labels, strict=True))
    # Three proteins are more than one call explains.
    monkeypatch.setattr("halo.predict.run.PAGE_RESIDUES", LIMIT)
    monkeypatch.setattr(known_signals, "PAGE_RESIDUES", LIMIT)
    assert sum(map(len, sequences.values())) > LIMIT
    found = known_signals.measured(small_bundle, sequences, regions, label_of, OFFLINE)
    assert {each.id for each in found} == set(sequences)
    for each in found:
        assert set(each.area) == set(each.top) == set(known_signals.WAYS)
        assert all(0 <= value <= 1 for value in (*each.area.values(), *each.top.values()))
    content = known_signals.summary(found, regions, list(sequences))
    kind = found[0].kind
    own = [each for each in found if each.kind == kind]
    assert (content[kind]["known"], content[kind]["counted"]) == (4, len(own))
    mean = np.mean([each.area["attention"] for each in own])
    assert content[kind]["area"]["attention"]["value"] == pytest.approx(mean, abs=1e-6)
    text = known_signals.table_of(content)
    assert f"| {mean:.2f} (" in text
    never = next(kind for kind in labels if not content[kind]["counted"])
    assert f"| {never} | 4 | 0 | – |" in text


def test_known_are_those_that_were_measured():
    """With `--most`, others were counted as well, as if they had not got the label."""
    kind = "signal peptide"
    regions = Regions((kind,), {name: (Region(1, END, kind),) for name in "abcd"})
    names = known_signals.sampled(regions, 2)
    parts = {"attention": 0.5}
    found = [known_signals.Found(name, kind, 0.1, parts, parts) for name in names]
    content = known_signals.summary(found, regions, names)[kind]
    assert (content["known"], content["counted"]) == (2, 2)


def test_proteins_of_the_training_are_no_test():
    bundle = default_bundle()
    with open_text(bundle / "training.fasta.xz") as lines:
        trained = [next(lines) for _ in range(4)][3].rstrip("\n")
    require_unseen(bundle, ["MKTAYIAKQR"])
    with pytest.raises(
        SystemExit, match="1 of the 2 proteins are in its training; give the bundle"
    ):
        require_unseen(bundle, ["MKTAYIAKQR", trained])


def test_a_network_that_predicts_no_signal_peptide_has_a_result():
    """Its MCC is not defined; the benchmark ended in a traceback after the training."""
    for value, ok in ((None, False), (0.5, False), (0.9, True)):
        kinds = {"signal peptide": {"mcc": {"value": value, "low": None, "high": None}}}
        assert sorting_signals.result_of(kinds)["ok"] is ok


def test_sequences_of_several_lines_are_met(tmp_path, monkeypatch):
    training = tmp_path / "training.fasta.xz"
    training.write_bytes(lzma.compress(b">one\tNucleus\nMKTAY\nIAKQR\n"))
    monkeypatch.setattr(samples, "read_bundle", lambda _: SimpleNamespace(training=training))
    assert samples.trained_on(tmp_path, ["MKTAYIAKQR", "MKTAY"]) == 1


def test_a_bundle_that_does_not_say_what_it_was_trained_on(tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(default_bundle(), bundle)
    (bundle / "training.fasta.xz").unlink()
    manifest = read_json(bundle / "manifest.json")
    del manifest["files"]["training.fasta.xz"]
    write_json(bundle / "manifest.json", manifest)
    with pytest.raises(SystemExit, match="it is not known which of the 1 proteins"):
        require_unseen(bundle, ["MKTAYIAKQR"])
