"""The model bundle: complete, or refused with the file and the fix."""

import hashlib
import json
import lzma
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from halo import biochemistry
from halo.content_versions import CONTENT_VERSIONS
from halo.embeddings.weights import read_weights
from halo.errors import HaloError
from halo.files import read_json, sha256_of_text, write_json
from halo.predict import ensemble
from halo.predict.build_bundle import copy_language_model
from halo.predict.bundle import read_bundle
from halo.predict.ensemble import Ensemble, Model
from halo.predict.model_card import _conformal, _labels, _use
from halo.predict.output import Chunk, write_chunk, write_sections
from halo.predict.page import ExplainedMethod, render, templates
from halo.predict.performance import leaks, of_test, read_performance
from halo.predict.run import _common, predict_sequences
from halo.predict.settings import PredictSettings
from halo.predict.sources import find_language_model
from halo.proteins.table import Proteins
from halo.split.run import split
from halo.split.settings import SplitSettings
from halo.structures.settings import TransportSettings
from halo.training.checkpoint import load_model
from made_proteins import protein_table
from predict_bundle import CHECKPOINT, OFFLINE, queries


@pytest.fixture(scope="module")
def small(small_run):
    return small_run


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    return small.bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture
def copy(made, tmp_path):
    """A copy to damage."""
    return shutil.copytree(made, tmp_path / "copy")


def test_the_content_of_a_bundle(small, made):
    found = read_bundle(made)
    assert found.description.method == "cascade"
    assert found.identity() == {"name": "small", "version": "1", "sha256": found.sha256}
    assert not [name for name in found.files if name.endswith((".pt", ".pkl", ".npz"))]
    assert {"LICENSE", "README.md", "amino_acids.csv", "bundle.json", "metrics.json"} <= set(
        found.files
    )
    text = lzma.decompress(found.training.read_bytes()).decode()
    ids = [line[1:].split("\t")[0] for line in text.splitlines() if line.startswith(">")]
    trained = small.assignments.index[(small.assignments == "train").any(axis=1)]
    assert set(ids) == set(trained)
    # The paths of the run's files are private.
    for path in made.rglob("*.json"):
        assert str(small.folder) not in path.read_text()


def test_the_card_has_the_metrics_of_every_label(small, made):
    card = (made / "README.md").read_text()
    methods = read_json(small.folder / "metrics.json")["methods"]
    for label, found in methods["cascade"]["labels"].items():
        line = next(line for line in card.splitlines() if line.startswith(f"| {label} |"))
        assert f"{found['f1']['value']:.3f}" in line
    others = {name: found for name, found in methods.items() if name != "cascade"}
    assert others
    for name, found in others.items():
        line = next(line for line in card.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {found['class']} | {found['overall']['macro_f1']['value']:.3f}" in line
    assert "simulated data" in card
    assert "Intended use" in card
    assert "MIT License" in card


def test_the_card_compares_each_label_with_homology_transfer(small, made):
    metrics = read_json(small.folder / "metrics.json")
    label, *_ = metrics["labels"]
    method = metrics["methods"]["cascade"]
    assert "homology transfer" not in _labels(method, metrics)
    found = {"f1": {"value": 0.125, "low": None}}
    homology = {"class": "homology", "labels": dict.fromkeys(metrics["labels"], found)}
    metrics["methods"]["by_homology"] = homology
    header, _, first, *_ = _labels(method, metrics).splitlines()
    assert header.endswith("| f1 of homology transfer |")
    assert first.startswith(f"| {label} |")
    assert first.endswith("| 0.125 |")


def test_the_card_without_a_label_in_the_test():
    """As of a group of labels that no test protein has; it ended in a traceback."""
    sets = {"nominal": 0.975, "observed": None, "size": 1.0}
    text = _conformal({"conformal": sets})
    assert "nominal coverage of 97.5%" in text
    assert "not defined" in text
    assert "is 90.0% on the test" in _conformal({"conformal": sets | {"observed": 0.9}})


def test_the_page_says_how_good_the_model_is(small, made):
    found = read_performance(read_bundle(made))
    metrics = read_json(small.folder / "metrics.json")
    own = metrics["methods"]["cascade"]
    assert (found.proteins, found.groups) == (metrics["proteins"], metrics["groups"])
    assert found.folds == ("0", "1")
    assert not found.other_models
    assert found.how == "each by a model without similar training proteins"
    assert found.macro_f1.startswith(f"{own['overall']['macro_f1']['value']:.3f} (")
    assert [label.name for label in found.labels] == list(own["labels"])
    for label in found.labels:
        assert label.support == metrics["support"][label.name]
        assert label.f1.startswith(f"{own['labels'][label.name]['f1']['value']:.3f}")
    assert not found.homology
    assert found.notes == ""
    metrics["methods"]["transfer"] = {"class": "homology", "labels": own["labels"]}
    assert of_test(metrics)["homology"] == {name: of["f1"] for name, of in own["labels"].items()}
    text = render_page(found)
    assert "each by a model without similar training proteins" in text
    assert "homology transfer" not in text
    assert "<pre" not in text
    rows = [replace(label, homology="0.125") for label in found.labels]
    more = replace(found, labels=rows, homology=True, other_models=True, notes="<b>HPA</b>")
    text = render_page(more)
    assert "trained on the test proteins, too: measured were models of fold 0, 1," in text
    assert text.count('<td class="number">0.125</td>') == len(rows)
    assert '<pre class="notes">&lt;b&gt;HPA&lt;/b&gt;</pre>' in text
    assert "How good the model is" not in render_page(None)


def render_page(performance) -> str:
    """The page without proteins."""
    bundle = {"name": "n", "version": "1", "method": "m", "sha256": "0" * 64}
    header = {"labels": ["a"], "thresholds": {}, "task": "multilabel", "set_misses": None}
    header |= {"simulated": False, "bundle": bundle, "region_kinds": []}
    return render(header, Counter(proteins=1), [], ExplainedMethod("m", "network"), performance)


def test_a_label_with_a_vertical_bar_stays_in_its_cell(small):
    metrics = read_json(small.folder / "metrics.json")
    method = metrics["methods"]["cascade"]
    label = metrics["labels"][0]
    for table in (metrics["support"], method["labels"]):
        table["outer|inner"] = table[label]
    lines = _labels(method, metrics | {"labels": ["outer|inner"]}).splitlines()
    assert lines[-1].startswith(r"| outer\|inner | ")


def test_the_card_says_whether_the_probabilities_are_calibrated(small, made):
    metrics = read_json(small.folder / "metrics.json")
    description = read_json(made / "bundle.json")
    assert "Probabilities are calibrated" in _use(description, metrics)
    for member in (member for model in description["models"] for member in model["members"]):
        member |= {"temperature": 1.0, "shifts": dict.fromkeys(member["shifts"], 0.0)}
    text = _use(description, metrics)
    assert "Probabilities are not calibrated" in text
    assert "Probabilities are calibrated" not in text


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (None, "it is not known whether similar proteins were in the training"),
        (0, "each by a model without similar training proteins"),
        (1500, "but the split has similar proteins in different parts (1,500 pairs, "),
    ],
)
def test_the_card_claims_what_the_split_kept_apart(small, made, tmp_path, apart, words):
    bundle = small.bundle(tmp_path / "bundle", similar_apart=apart)
    card = (bundle / "README.md").read_text()
    assert words in card
    assert ("are for proteins without a similar training protein" in card) == (apart == 0)
    assert read_performance(read_bundle(bundle)).how.startswith(words)


def test_all_that_the_audit_finds_apart_counts():
    """Identical sequences and isoforms are no pairs of the audit's search."""
    table = protein_table(["MKTAYIAKQR" * 6] * 2 + ["ACDEFGHIKL" * 6], accession=["", "", "P12345"])
    table["split"] = ["train", "test", "train"]
    more = protein_table(
        ["WYVTSRQPNM" * 6, "LMNPQRSTVW" * 6], ["x", "y"], accession=["", "P12345-2"]
    )
    more["split"] = ["val", "test"]
    table = pd.concat([table, more], ignore_index=True)
    labels = np.ones((len(table), 1), dtype=np.uint8)
    proteins = Proteins(table, ("a",), labels, "multilabel")
    settings = SplitSettings(mode="predefined", folds=1, val=("val",), cal_fraction=0)
    with TemporaryDirectory() as scratch:
        leakage = split(proteins, settings, 1, Path(scratch)).leakage
    assert leakage["pairs_above_threshold"] == 0
    assert leaks(leakage) == 2


def resigned(bundle, content):
    """The bundle with another metrics.json, whose digest its manifest has."""
    write_json(bundle / "metrics.json", content)
    manifest = read_json(bundle / "manifest.json")
    data = (bundle / "metrics.json").read_bytes()
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["files"]["metrics.json"] = manifest["files"]["metrics.json"] | entry
    write_json(bundle / "manifest.json", manifest)
    return read_bundle(bundle)


def test_a_bundle_of_an_earlier_version_says_nothing_of_its_performance(copy):
    content = read_json(copy / "metrics.json")
    del content["test"]
    assert read_performance(resigned(copy, content)) is None


@pytest.mark.parametrize("value", [{"f1": "high"}, {"f1": {"value": "high"}}, {}, 3, None])
def test_damaged_metrics_are_named(copy, value):
    content = read_json(copy / "metrics.json")
    content["labels"]["Nucleus"] = value
    with pytest.raises(HaloError, match=r"metrics.json: damaged, labels\.Nucleus.*make the bundle"):
        read_performance(resigned(copy, content))


def test_a_language_model_that_is_gone(small, tmp_path):
    weights = tmp_path / "language_model.json"
    write_json(weights, read_json(small.folder / "language_model.json") | {"path": "/gone.pt"})
    with pytest.raises(HaloError, match=r"/gone\.pt: missing, so it cannot be in the bundle"):
        copy_language_model(read_weights(weights), tmp_path)


def test_the_same_run_gives_the_same_bundle(small, made, tmp_path):
    again = small.bundle(tmp_path / "again")
    assert read_bundle(again).sha256 == read_bundle(made).sha256
    other = small.bundle(tmp_path / "again", version="2")  # and one there takes no harm
    assert read_bundle(other).sha256 != read_bundle(made).sha256


def test_damage_is_named(copy):
    def refused(words):
        with pytest.raises(HaloError, match=words):
            read_bundle(copy)

    weights = copy / "models/1/1/halo/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused(r"1/1/halo/model.safetensors: damaged or changed.*copy the bundle again")
    weights.write_bytes(content[:-5])
    refused(r"model.safetensors: damaged, it has [\d,]+ bytes and not")
    weights.unlink()
    refused(r"model.safetensors: missing; copy the bundle again")
    (copy / "manifest.json").write_text('{"files": ')
    refused(r"manifest.json: damaged, not a JSON object")
    (copy / "manifest.json").unlink()
    refused(r"manifest.json: missing, so this is no \(whole\) model bundle")
    shutil.rmtree(copy)
    refused(r"copy: there is no such folder")


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("../other", {"bytes": 1, "sha256": "0"}, "refused, ../other is outside of the bundle"),
        ("/etc/hostname", {"bytes": 1, "sha256": "0"}, "refused, /etc/hostname is outside"),
        ("README.md", {"bytes": 1}, "damaged, it has no size and sha256 of README.md"),
        ("README.md", "0", "damaged, it has no size and sha256 of README.md"),
    ],
)
def test_a_manifest_cannot_name_files_outside_of_the_bundle(copy, name, entry, words):
    manifest = read_json(copy / "manifest.json")
    manifest["files"][name] = entry
    write_json(copy / "manifest.json", manifest)
    with pytest.raises(HaloError, match=words):
        read_bundle(copy)


def test_the_scales_are_read_from_a_listed_file(copy):
    manifest = read_json(copy / "manifest.json")
    del manifest["files"]["amino_acids.csv"]
    write_json(copy / "manifest.json", manifest)
    with pytest.raises(
        HaloError, match=r"manifest.json: damaged, it does not list amino_acids.csv"
    ):
        read_bundle(copy)


def test_models_are_read_from_listed_files_alone(copy):
    """What the manifest does not list was not checked."""
    manifest = read_json(copy / "manifest.json")
    del manifest["files"]["models/1/1/halo/model.safetensors"]
    write_json(copy / "manifest.json", manifest)
    with pytest.raises(HaloError, match=r"manifest.json: damaged, it does not list .*safetensors"):
        read_bundle(copy)


def test_models_are_read_from_the_bundle_alone(copy):
    description = read_json(copy / "bundle.json")
    description["models"][0]["members"][0]["folder"] = "../elsewhere"
    content = json.dumps(description).encode()
    (copy / "bundle.json").write_bytes(content)
    manifest = read_json(copy / "manifest.json")
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"]["bundle.json"] = {"bytes": len(content), "sha256": digest}
    write_json(copy / "manifest.json", manifest)
    with pytest.raises(HaloError, match=r"lists no file of \.\./elsewhere"):
        read_bundle(copy)


def rewritten(copy, change):
    """The bundle with another description, listed as it is."""
    description = read_json(copy / "bundle.json")
    change(description)
    content = json.dumps(description).encode()
    (copy / "bundle.json").write_bytes(content)
    manifest = read_json(copy / "manifest.json")
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"]["bundle.json"] = {"bytes": len(content), "sha256": digest}
    write_json(copy / "manifest.json", manifest)


KEYS = (
    "name", "version", "method", "class", "task", "labels", "simulated", "language_model",
    "content",
    "embeddings", "graphs", "structures", "search", "models", "halo", "models.0.fold",
    "models.0.members", "models.0.band", "models.0.conformal", "models.0.adapter",
    "models.1.members.0.thresholds", "models.1.members.0.shifts", "models.1.members.1.temperature",
    "models.1.members.1.class", "models.1.members.1.folder", "language_model.sha256",
    "search.evalue", "structures.max_length", "models.0.members.0.thresholds.Nucleus",
)  # fmt: skip


RULE = {
    "scale": 1.0, "present": 1.0, "present_by_identity": 1.0, "absent": 1.0,
    "absent_by_identity": 1.0, "least": 0.3, "threshold": 0.5, "cut": 0.2, "proteins": 9,
    "groups": 3,
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(copy, key):
    *places, last = (int(word) if word.isdigit() else word for word in key.split("."))

    def remove(description):
        for place in places:
            description = description[place]
        del description[last]

    rewritten(copy, remove)
    with pytest.raises(HaloError, match=rf"bundle.json: damaged, .*{last}.*copy the bundle again"):
        read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["embeddings"].update(window="long"), "embeddings.window: .*integer"),
        (lambda d: d["graphs"].update(shape="round"), "graphs: .*unknown keys: shape"),
        (lambda d: d.update(task="both"), "task: Input should be 'multilabel' or 'singlelabel'"),
        (lambda d: d["models"].clear(), "models: .*at least 1"),
        (lambda d: d["models"][0]["members"][0].update(temperature=0), "temperature: .*greater"),
        (lambda d: d["models"][0]["members"][0]["thresholds"].update(Nucleus=5.0), "Nucleus: .*1"),
        (lambda d: d["models"][0]["members"][0]["thresholds"].update(Nucleus=-3.0), "Nucleus: .*0"),
        (lambda d: d["models"][0]["conformal"].update(cut=7.0), "conformal.cut: .*equal to 1"),
        (lambda d: d["models"][0].update(band={"certainty": 2.0, "weight": 1.0}), "certainty: "),
        (lambda d: d["models"][0]["members"].pop(), "band, which joins two members, and 1"),
        (lambda d: d["models"][0].update(adapter="x.safetensors"), "list the adapter x.safetens"),
        (lambda d: d["search"].update(sensitivity=-5.0), "search.sensitivity: .*equal to 1"),
        (lambda d: d["labels"].__setitem__(1, d["labels"][0]), "is there 2 times"),
        (lambda d: d["labels"].__setitem__(0, "a;b"), "'a;b' is no label"),
        (lambda d: d.update(homologues={**RULE, "present": 1e300}), "homologues.present: .*1000"),
    ],
)
def test_a_wrong_value_is_named(copy, change, words):
    rewritten(copy, change)
    with pytest.raises(HaloError, match=rf"bundle.json: damaged, .*{words}"):
        read_bundle(copy)


def test_the_labels_are_those_of_every_model(copy):
    def swap(description):
        labels = description["labels"]
        labels[0], labels[1] = labels[1], labels[0]

    rewritten(copy, swap)
    with pytest.raises(HaloError, match=r"bundle.json: damaged, its labels, .* copy the bundle"):
        Ensemble(read_bundle(copy), "cpu")


def test_numbers_that_are_not_finite_are_refused(copy):
    file = next(copy.glob("models/**/halo/model.safetensors"))
    tensors = load_file(file)
    name = [name for name, tensor in tensors.items() if tensor.is_floating_point()][-1]
    save_file({**tensors, name: tensors[name] * float("nan")}, file)
    with pytest.raises(HaloError, match=rf"model.safetensors: damaged, {name} has numbers"):
        load_model(file.parent)
    scales = copy / "amino_acids.csv"
    lines = scales.read_text().splitlines()
    residue, _, *others = lines[1].split(",")
    for value in ("nan", "inf", "x"):
        scales.write_text("\n".join([lines[0], ",".join([residue, value, *others]), *lines[2:]]))
        biochemistry.scales.cache_clear()
        with pytest.raises(HaloError, match=r"amino_acids.csv: damaged"):
            biochemistry.scales(scales)


def test_a_protein_without_finite_probabilities_has_failed(made, monkeypatch):
    first, second = list(queries(2).values())
    wrong = {sha256_of_text(second)}

    class Broken(Model):
        def predict(self, dataset, lengths):
            found, *others = super().predict(dataset, lengths)
            return np.where([[name in wrong] for name in dataset.hashes], np.nan, found), *others

    monkeypatch.setattr(ensemble, "Model", Broken)
    assert len(predict_sequences({"one": first}, made, OFFLINE)) == 1
    with pytest.raises(HaloError, match=r"'two' cannot be predicted: .*not finite"):
        predict_sequences({"one": first, "two": second}, made, OFFLINE)


def test_the_address_of_structures_is_part_of_what_is_kept(made):
    bundle = read_bundle(made)
    settings = [
        PredictSettings(transport=TransportSettings(base_url=url))
        for url in ("https://a.org", "https://b.org")
    ]
    first, second = (_common(bundle, each) for each in settings)
    assert first != second
    offline = [_common(bundle, replace(each, download=False)) for each in settings]
    assert offline[0] == offline[1]


def test_nan_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_sections(tmp_path / "a.json", {"cut": float("nan")}, {})
    with pytest.raises(ValueError, match="JSON"):
        write_chunk(tmp_path / "b.json", Chunk({"cut": float("nan")}, [], []))
    template = templates(tmp_path).from_string("{{ data | tojson }}")
    with pytest.raises(ValueError, match="JSON"):
        template.render(data={"cut": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_bundle_takes_the_place_of_a_bundle_alone(small, tmp_path):
    folder = small.bundle(tmp_path / "bundle")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(HaloError, match=r"bundle: notes\.txt: exists and belongs to no bundle"):
        small.bundle(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "other/store").mkdir(parents=True)
    (tmp_path / "other/store/segment.h5").write_text("mine")
    with pytest.raises(HaloError, match=r"other: store/segment\.h5: exists"):
        small.bundle(tmp_path / "other")
    assert (tmp_path / "other/store/segment.h5").read_text() == "mine"


def test_another_format_is_refused(copy):
    description = read_json(copy / "bundle.json")
    write_json(copy / "bundle.json", description | {"format": 99})
    with pytest.raises(HaloError, match=r"a bundle of format 99, and HALO .* reads format 2"):
        read_bundle(copy)


@pytest.mark.parametrize("kind", CONTENT_VERSIONS)
def test_other_numbers_are_refused(made, monkeypatch, kind):
    """Graphs that are computed in another way are other numbers, whatever their shape."""
    monkeypatch.setitem(CONTENT_VERSIONS, kind, CONTENT_VERSIONS[kind] + 1)
    with pytest.raises(HaloError, match=f"whose {kind} are computed in another way"):
        read_bundle(made)


def test_another_version_of_halo_with_the_same_numbers_is_accepted(copy):
    rewritten(copy, lambda description: description.update(halo="0.0.1"))
    assert read_bundle(copy).description.halo == "0.0.1"


def test_the_language_model_can_be_included(small, tmp_path):
    folder = small.bundle(tmp_path / "bundle", language_model=True)
    bundle = read_bundle(folder)
    assert bundle.language_model == folder / "language_model.pt"
    assert bundle.language_model.read_bytes() == CHECKPOINT.read_bytes()
    offline = replace(OFFLINE, language_model=None)
    assert find_language_model(bundle, offline).path == str(folder / "language_model.pt")
    assert "in the bundle." in (folder / "README.md").read_text()
    without = read_bundle(small.bundle(tmp_path / "without"))
    assert without.language_model is None
    assert "not in the bundle." in (tmp_path / "without/README.md").read_text()
    with pytest.raises(HaloError, match="needs the language model esm2_demo"):
        find_language_model(without, offline)


def test_a_bundle_of_other_settings_is_not_made(small, tmp_path):
    with pytest.raises(HaloError, match="trained on other graphs than those of the current"):
        small.bundle(tmp_path / "bundle", "halo", graphs={"radius": 8.0})
    assert not list(tmp_path.iterdir())


def test_every_file_is_listed(copy):
    listed = json.loads((copy / "manifest.json").read_text())["files"]
    there = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert set(listed) == there - {"manifest.json"}
