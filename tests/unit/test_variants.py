"""Variants get the probabilities of their sequences, and are compared as the tables say."""

import csv
import json
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pandas as pd
import pytest
import torch
from jsonschema import Draft202012Validator

from halo.__main__ import main
from halo.errors import HaloError
from halo.graphs.build import build_graph
from halo.graphs.settings import GraphSettings
from halo.network.features import protein_data, with_residues
from halo.predict.bundle import read_bundle
from halo.predict.predictor import Predictor
from halo.predict.run import predict_sequences
from halo.structures.layout import Fragment, pack
from halo.variants import chunks, compute, records
from halo.variants.background import p_values, random_substitutions
from halo.variants.compute import Derived, VariantModel, derived_graph
from halo.variants.edits import edited, edits_of
from halo.variants.effects import interval, touched_regions
from halo.variants.notation import parse
from halo.variants.read import Variant, make_variant
from halo.variants.run import predict_variants, variants
from halo.variants.scan import scanned
from halo.variants.settings import VariantSettings
from halo.variants.structure import mapped_structure
from halo.variants.wildtypes import WildTypes
from predict_bundle import CHECKPOINT, OFFLINE, queries, write_fasta

TOLERANCE = 1e-5
RANDOM = 9
BARE = VariantSettings(random=RANDOM, structure=False, predict=OFFLINE)
WITH_STRUCTURE = VariantSettings(random=0, predict=replace(OFFLINE, page=1))


@pytest.fixture(scope="module")
def wildtypes() -> dict[str, str]:
    return queries(2)


@pytest.fixture(scope="module")
def fasta(wildtypes, tmp_path_factory) -> Path:
    return write_fasta(tmp_path_factory.mktemp("wildtypes") / "wildtypes.fasta", wildtypes)


@pytest.fixture(scope="module")
def texts(wildtypes) -> list[str]:
    """Two changes at one place, a deletion and an extension."""
    (one, first), (two, _) = wildtypes.items()
    return [
        f"{one}:{first[9]}10{'W' if first[9] != 'W' else 'A'}",
        f"{one}:{first[19]}20{'K' if first[19] != 'K' else 'A'}",
        f"{one}:M1_{first[11]}12del",
        f"{two}:M1extMKLLVLLA",
    ]


def listed(folder: Path, texts: list[str]) -> Path:
    file = folder / "variants.txt"
    file.write_text("\n".join(texts) + "\n")
    return file


@pytest.fixture(scope="module")
def alone(small_run, tmp_path_factory) -> Path:
    """A bundle without training sequences, so that `halo predict` uses the models alone, too."""
    return small_run.bundle(tmp_path_factory.mktemp("alone") / "bundle", sequences=False)


@pytest.fixture(scope="module")
def bare(alone, fasta, texts, tmp_path_factory) -> Path:
    """The folder of a call without structures, with two lines that cannot be used."""
    folder = tmp_path_factory.mktemp("bare")
    file = listed(folder, [*texts, "unknown:A1C", texts[0].split(":")[0] + ":K9999A"])
    variants(fasta, file, alone, folder / "out", BARE)
    return folder / "out"


def table(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, keep_default_na=False)


def of(text: str, wildtypes: dict[str, str]) -> str:
    """The sequence of a variant."""
    name, _, notation = text.partition(":")
    return edited(wildtypes[name], edits_of(parse(notation), wildtypes[name]))[0]


@pytest.fixture(scope="module")
def predicted(alone, wildtypes, texts) -> pd.DataFrame:
    """What `halo predict` gives for the variants, the wild types, and random substitutions."""
    sequence = next(iter(wildtypes.values()))
    sequences = wildtypes | {text: of(text, wildtypes) for text in texts}
    for number, text in enumerate(random_substitutions(sequence, 1, RANDOM)):
        sequences[f"random {number}"] = text
    return predict_sequences(sequences, alone, BARE.predict).set_index("id")


def test_probabilities_are_those_of_the_predicted_sequences(bare, predicted, texts):
    found = table(bare / "variants.csv").set_index("id")
    assert list(found.index) == texts
    columns = [name for name in predicted if name.startswith("p:")]
    np.testing.assert_allclose(
        found[columns].astype(float), predicted.loc[texts, columns].astype(float), atol=TOLERANCE
    )
    before = predicted.loc[found["protein"], columns].to_numpy(dtype=float)
    labels = [name.removeprefix("p:") for name in columns]
    own = found[[f"wildtype:{label}" for label in labels]].to_numpy(dtype=float)
    np.testing.assert_allclose(own, before, atol=TOLERANCE)
    difference = found[[f"difference:{label}" for label in labels]].to_numpy(dtype=float)
    np.testing.assert_allclose(found[columns].astype(float) - own, difference, atol=2e-6)
    low = found[[f"low:{label}" for label in labels]].to_numpy(dtype=float)
    high = found[[f"high:{label}" for label in labels]].to_numpy(dtype=float)
    assert ((low <= difference) & (difference <= high)).all()
    assert found["labels"].tolist() == predicted.loc[texts, "labels"].tolist()
    old = predicted.loc[found["protein"], "labels"].tolist()
    for before_it, after, gained, lost in zip(
        old, found["labels"], found["gained"], found["lost"], strict=True
    ):
        sets = [set(filter(None, text.split(";"))) for text in (before_it, after, gained, lost)]
        assert sets[2:] == [sets[1] - sets[0], sets[0] - sets[1]]
    assert set(found["structure"]) == {"none"}
    assert found["position"].tolist() == [10, 20, 1, 1]
    assert found["changed"].tolist() == [1, 1, 12, 8]


def test_p_values_count_random_substitutions(bare, predicted, wildtypes, texts):
    found = table(bare / "variants.csv").set_index("id")
    columns = [name for name in predicted if name.startswith("p:")]
    name = next(iter(wildtypes))
    before = predicted.loc[name, columns].astype(float)
    random = predicted.loc[[f"random {i}" for i in range(RANDOM)], columns].astype(float) - before
    for text in texts[:2]:
        change = (predicted.loc[text, columns].astype(float) - before).abs()
        count = int((random.abs().max(axis=1) >= change.max()).sum())
        assert float(found.loc[text, "p_value"]) == pytest.approx((1 + count) / (1 + RANDOM))
        for column in columns:
            count = int((random[column].abs() >= change[column]).sum())
            own = float(found.loc[text, column.replace("p:", "p_value:")])
            assert own == pytest.approx((1 + count) / (1 + RANDOM))


def test_what_cannot_be_used_is_listed_with_its_line(bare, texts):
    rejected = table(bare / "rejected_variants.csv")
    assert rejected["line"].tolist() == [5, 6]
    assert "beyond the end" in rejected["detail"].iat[1]


def test_the_json_fits_its_schema(bare, texts, root):
    content = json.loads((bare / "variants.json").read_text())
    schema = json.loads((root / "workflow/schemas/variants.schema.json").read_text())
    Draft202012Validator(schema).validate(content)
    assert [one["id"] for one in content["variants"]] == texts
    assert content["random"] == RANDOM
    assert len(content["wildtypes"]) == 2


def test_an_interrupted_call_is_resumed_with_the_same_files(
    bare, alone, fasta, texts, tmp_path, monkeypatch
):
    original, calls = VariantModel.predict, []

    def counted(self, items):
        calls.append(len(items))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, items)

    monkeypatch.setattr(VariantModel, "predict", counted)
    file = listed(tmp_path, texts)
    with pytest.raises(KeyboardInterrupt):
        variants(fasta, file, alone, tmp_path / "out", BARE)
    assert not (tmp_path / "out/variants.csv").exists()
    variants(fasta, file, alone, tmp_path / "out", BARE)
    whole = len(list((bare / "chunks").glob("*.variants.npz")))
    assert len(calls) == whole + 1  # the third one twice
    name = "variants.csv"
    assert (tmp_path / "out" / name).read_bytes() == (bare / name).read_bytes()


def test_a_variant_that_fails_does_not_end_the_run(
    small_bundle, fasta, wildtypes, texts, tmp_path, monkeypatch
):
    original, bad = VariantModel._probabilities, of(texts[2], wildtypes)

    def failing(self, items):
        if any(item.sequence == bad for item in items):
            raise ValueError("no good")
        return original(self, items)

    settings = replace(WITH_STRUCTURE, predict=replace(OFFLINE, page=1))
    with monkeypatch.context() as patched:
        patched.setattr(VariantModel, "_probabilities", failing)
        variants(fasta, listed(tmp_path, texts), small_bundle, tmp_path / "out", settings)
    found = table(tmp_path / "out/variants.csv")
    assert found["id"].tolist() == [texts[0], texts[1], texts[3]]
    rejected = table(tmp_path / "out/rejected_variants.csv")
    assert rejected[["id", "reason", "detail"]].to_numpy().tolist() == [
        [texts[2], "failed", "ValueError: no good"]
    ]
    # Regions are known of the first wild type alone; p-values were not asked for.
    records = json.loads((tmp_path / "out/variants.json").read_text())
    assert [one["regions"] is None for one in records["variants"]] == [False, False, True]
    assert set(found["p_value"]) == {""}
    # Homologues are no part of it.
    own = {one["protein"]: one["wildtype"] for one in records["variants"]}
    for one in records["wildtypes"]:
        models = one["probabilities_alone"] or one["probabilities"]
        assert own[one["id"]] == pytest.approx(models, abs=TOLERANCE)
    expected = {"ok": {"kept", "mapped"}, "missing": {"none"}}
    status = {one["id"]: one["structure"]["status"] for one in records["wildtypes"]}
    for one in records["variants"]:
        assert one["structure"] in expected[status[one["protein"]]]
    # The next call tries it again, and what was predicted is kept.
    done = {file: file.stat().st_mtime_ns for file in (tmp_path / "out/chunks").iterdir()}
    variants(fasta, listed(tmp_path, texts), small_bundle, tmp_path / "out", settings)
    assert table(tmp_path / "out/variants.csv")["id"].tolist() == texts
    assert table(tmp_path / "out/rejected_variants.csv").empty
    assert sum(file.stat().st_mtime_ns != time for file, time in done.items()) == 1


def test_a_scan_by_the_command(small_bundle, wildtypes, tmp_path, monkeypatch):
    sequence = next(iter(wildtypes.values()))[:12]
    fasta = write_fasta(tmp_path / "short.fasta", {"short": sequence})
    words = ["halo", "variants", fasta, "--scan", "--bundle", small_bundle, "-o", tmp_path / "out"]
    words += ["--no-structure", "--language-model", CHECKPOINT, "--random", "3"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    main()
    with (tmp_path / "out/scan.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == list(scanned(sequence, "substitutions"))
    assert len(rows) == 19 * len(sequence)
    assert not (tmp_path / "out/variants.csv").exists()
    page = (tmp_path / "out/variants.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["proteins"][0]["sequence"] == sequence
    label = data["labels"][0]
    scan = data["proteins"][0]["scan"]
    shown = np.frombuffer(b64decode(scan["values"][0]), np.int8)
    shown = shown.reshape(len(scan["rows"]), len(sequence))
    row = next(row for row in rows if row["variant"] == f"{sequence[3]}4{scan['rows'][5]}")
    expected = 127 * float(row[f"difference:{label}"]) / scan["highest"][0]
    assert shown[5, 3] == pytest.approx(expected, abs=1)
    assert (shown == -128).sum() == len(sequence)


def test_scans_are_written_chunk_by_chunk(small_bundle, wildtypes, tmp_path, monkeypatch):
    first, second = wildtypes.values()
    texts = {"one": first[:30], "short": first[:8], "two": second[:26]}
    alive: WeakSet[Variant] = WeakSet()
    most: list[int] = []

    def counted(*arguments):
        variant = make_variant(*arguments)
        alive.add(variant)
        most.append(len(alive))
        return variant

    monkeypatch.setattr(chunks, "make_variant", counted)
    monkeypatch.setattr(chunks, "RESIDUES", 100)
    monkeypatch.setattr(records, "PAGE_CELLS", 30 * len(read_bundle(small_bundle).labels))
    settings = replace(BARE, scan="deletions", random=2)
    fasta = write_fasta(tmp_path / "in.fasta", texts)
    variants(fasta, None, small_bundle, tmp_path / "out", settings)
    found = table(tmp_path / "out/scan.csv")
    expected = [
        f"{name}:{text}" for name in ("one", "two") for text in scanned(texts[name], "deletions")
    ]
    assert (found["protein"] + ":" + found["variant"]).tolist() == expected
    assert len(expected) == 38
    assert max(most) <= 2 * (100 // 16) + 1  # of two chunks, and the next one
    rejected = table(tmp_path / "out/rejected_variants.csv")
    assert rejected[["id", "reason"]].to_numpy().tolist() == [["short", "too short"]]
    page = (tmp_path / "out/variants.html").read_text()
    assert "the heat maps of the first 1 protein of 2" in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert [one["id"] for one in data["proteins"]] == ["one"]


def test_in_python(bare, alone, wildtypes, texts):
    found = predict_variants(wildtypes, texts[:1], alone, BARE)
    expected = table(bare / "variants.csv")[:1]
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["largest_difference"].tolist() == expected["largest_difference"].tolist()
    with pytest.raises(HaloError, match="beyond the end"):
        predict_variants(wildtypes, [*texts[:1], f"{next(iter(wildtypes))}:K9999A"], alone, BARE)


def test_a_wild_type_without_use_is_said_to_have_none(small_bundle, wildtypes, tmp_path, caplog):
    (one, first), (two, second) = ((name, text[:30]) for name, text in wildtypes.items())
    fasta = write_fasta(tmp_path / "in.fasta", {one: first, two: f"{second}-"})
    out, new = tmp_path / "out", "W" if first[9] != "W" else "A"
    file = listed(tmp_path, [f"{one}:{first[9]}10{new}", f"{first[9]}10{new}"])
    variants(fasta, file, small_bundle, out, replace(BARE, random=0, scan="alanine"))
    assert table(out / "variants.csv")["id"].tolist() == [f"{one}:{first[9]}10{new}"]
    rejected = table(out / "rejected_variants.csv")[["id", "line", "reason", "file"]]
    assert rejected.to_numpy().tolist() == [
        [two, 3, "illegal residue letters", "in.fasta"],
        [f"{first[9]}10{new}", 2, "notation", ""],
    ]
    assert set(table(out / "scan.csv")["protein"]) == {one}
    content = json.loads((out / "variants.json").read_text())
    assert [record["id"] for record in content["not_predicted"]] == rejected["id"].tolist()
    assert (
        f"1 wild type could not be used</strong>, and no variants of them: {two} (illegal"
        in (out / "variants.html").read_text()
    )
    assert "1 proteins are not predicted: see rejected_variants.csv" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"two": "MKTAYI1"}, "protein 'two': illegal residue letters"),
        ({"two": "M" * 101}, "protein 'two': too long"),
        ({"my two": "MKTAYI"}, "wild type 'my two': white space in the id"),
        ({"a\nb": "MKTAYI"}, r"'a\\nb': unreadable id"),
        ({"": "MKTAYI"}, "'': no id"),
    ],
)
def test_in_python_every_wild_type_can_be_used(alone, changed, message):
    settings = replace(BARE, predict=replace(OFFLINE, max_length=100))
    with pytest.raises(HaloError, match=message):
        predict_variants({"one": "MKTAYIAKQR", **changed}, ["one:R10C"], alone, settings)


def test_variants_of_the_gene_in_a_header(small_bundle, wildtypes, tmp_path):
    sequence = next(iter(wildtypes.values()))[:30]
    fasta, file = tmp_path / "wildtype.fasta", tmp_path / "variants.csv"
    fasta.write_text(f">mine Tumor antigen OS=Homo sapiens GN=TP53 PE=1\n{sequence}\n")
    new = "W" if sequence[9] != "W" else "A"
    file.write_text(f"gene,mutation\nTP53,{sequence[9]}10{new}\nBRCA1,{sequence[8]}9{new}\n")
    variants(fasta, file, small_bundle, tmp_path / "out", replace(BARE, random=0))
    assert table(tmp_path / "out/variants.csv")["protein"].tolist() == ["mine"]
    rejected = table(tmp_path / "out/rejected_variants.csv")
    assert rejected[["line", "reason"]].to_numpy().tolist() == [[3, "no wild type"]]
    assert "names BRCA1, which is no wild type (mine)" in rejected["detail"][0]


def test_a_call_without_variants(small_bundle, fasta, tmp_path):
    with pytest.raises(HaloError, match="give a file of variants, or --scan"):
        variants(fasta, None, small_bundle, tmp_path / "out")
    settings = replace(BARE, scan="deletions", window=500)
    with pytest.raises(HaloError, match="--window: 500"):
        variants(fasta, None, small_bundle, tmp_path / "out", settings)


# ------------------------------------------------------------------ parts


def test_other_scans():
    assert list(scanned("MAKL", "alanine")) == ["M1A", "A2G", "K3A", "L4A"]
    assert list(scanned("MAKL", "deletions", 3)) == ["M1_K3del", "A2_L4del"]


def test_the_interval_is_student_s():
    differences = np.array([[0.1, -0.3], [0.2, -0.3]])
    low, high = interval(differences)
    half = 12.7062 * np.std([0.1, 0.2], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(low, [0.15 - half, -0.3], atol=1e-4)
    np.testing.assert_allclose(high, [0.15 + half, -0.3], atol=1e-4)
    assert interval(differences[:1]) is None


def test_random_substitutions_have_a_fixed_seed_and_other_residues():
    sequence = "MKTAYIAKQRXU"
    made = random_substitutions(sequence, 4, 20)
    assert made == random_substitutions(sequence, 4, 20)
    assert made != random_substitutions(sequence, 4, 20, seed=2)
    assert made[:5] == random_substitutions(sequence, 4, 5)
    differing = [sum(a != b for a, b in zip(sequence, text, strict=True)) for text in made]
    assert differing == [4] * 20
    assert all(len(text) == 12 for text in random_substitutions(sequence, 99, 2))


def test_an_empirical_p_value_is_never_0():
    random = np.array([[0.1], [0.2], [0.3]])
    assert p_values(np.array([0.25]), random).tolist() == [0.5]
    assert p_values(np.array([0.9]), random).tolist() == [0.25]
    assert p_values(np.array([0.0]), random).tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("T3C", False), ("Y5C", True), ("M1_A4del", False), ("M1_Y5del", True), ("Q9*", False),
        ("A4_Y5insG", True), ("T3_A4insG", False), ("K8_Q9insG", True), ("M1extG", False),
    ],
)  # fmt: skip
def test_a_region_is_touched_where_its_residues_change(text, touched):
    region = {"label": "Nucleus", "start": 5, "end": 8}
    edits = edits_of(parse(text), "MKTAYIAKQR")
    assert touched_regions(edits, [region]) == ([region] if touched else [])


def structure_of(length: int) -> dict[str, np.ndarray]:
    """A helix in two overlapping fragments, the third residue of which is missing."""
    rng = np.random.default_rng(0)
    angle = np.radians(100) * np.arange(length)[:, None] + np.array([-0.4, 0, 0.4])
    rise = 1.5 * np.arange(length)[:, None] + np.array([-0.5, 0, 0.5])
    atoms = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), rise], axis=2)
    fragments = []
    for start, stop in ((0, 14), (10, length)):
        position = np.array([i for i in range(start, stop) if i != 2], dtype=np.uint16)
        plddt = rng.uniform(50, 90, len(position)).astype(np.float16)
        residue = np.full(len(position), ord("A"), np.uint8)
        coordinates = atoms[position].astype(np.float32)
        fragments.append(Fragment(coordinates, plddt, residue, position))
    return dict(pack(fragments, np.array([[0, 5], [3, 20]], np.uint16)))


WILDTYPE = "MKTAYIAKQRGSVLEDWHCFNPQRSTVWMK"


def test_substitutions_keep_the_structure():
    structure = structure_of(len(WILDTYPE))
    mapped = mapped_structure(structure, np.arange(len(WILDTYPE)), len(WILDTYPE))
    for name, array in structure.items():
        np.testing.assert_array_equal(mapped[name], array)
    variant = make_variant("K2C", "P", WildTypes({"P": WILDTYPE}))
    graph = derived_graph(
        Derived(variant.sequence, variant.origin), structure, len(WILDTYPE), GraphSettings()
    )
    expected = build_graph(variant.sequence, structure, GraphSettings())
    np.testing.assert_array_equal(graph["edges"], expected["edges"])
    np.testing.assert_array_equal(graph["residue"], expected["residue"])
    before, after = np.random.default_rng(0).normal(size=(2, len(WILDTYPE), 4)).astype(np.float16)
    wildtype = protein_data(build_graph(WILDTYPE, structure, GraphSettings()), before)
    inputs = dict(with_residues(wildtype, expected["residue"], after))
    for name, value in protein_data(expected, after):
        torch.testing.assert_close(inputs.pop(name), value, atol=0, rtol=0, msg=name)
    assert not inputs


def test_other_variants_have_the_structure_of_shared_residues():
    structure = structure_of(len(WILDTYPE))
    variant = make_variant("K2_A4del;R10_G11insWWW;W17*", "P", WildTypes({"P": WILDTYPE}))
    length = len(WILDTYPE)
    mapped = mapped_structure(structure, variant.origin, length)
    place = {int(old): new for new, old in enumerate(variant.origin) if old >= 0}
    for number, (start, stop) in enumerate(structure["fragment"]):
        old = structure["position"][start:stop]
        kept = np.array([position in place for position in old])
        own_start, own_stop = mapped["fragment"][number]
        new = [place[position] for position in old[kept]]
        assert mapped["position"][own_start:own_stop].tolist() == new
        for name in ("coordinates", "plddt"):
            np.testing.assert_array_equal(
                mapped[name][own_start:own_stop], structure[name][start:stop][kept]
            )
    assert mapped["contacts"].tolist() == [[0, place[5]]]
    graph = derived_graph(
        Derived(variant.sequence, variant.origin), structure, length, GraphSettings()
    )
    unknown = [i for i, old in enumerate(variant.origin) if old < 0]
    assert set(graph["known"][unknown]) == {0}


def test_a_fragment_without_residues_is_left_out():
    variant = make_variant("Q9*", "P", WildTypes({"P": WILDTYPE}))
    mapped = mapped_structure(structure_of(len(WILDTYPE)), variant.origin, len(WILDTYPE))
    assert mapped["fragment"].tolist() == [[0, 7]]


def test_a_long_variant_computes_only_the_windows_that_differ(
    alone, wildtypes, tmp_path, monkeypatch
):
    sequence = "".join(wildtypes.values())
    computed: list[int] = []
    embed = compute.embed

    def counted(members, encoder, settings, texts):
        computed.extend(len(member.sequence) for member in members)
        return embed(members, encoder, settings, texts)

    monkeypatch.setattr(compute, "embed", counted)
    with Predictor(read_bundle(alone), BARE.predict, tmp_path / "store") as predictor:
        model = VariantModel(predictor, sequence, None)
        origin = np.arange(len(sequence))
        mutant = "W" + sequence[1:]
        found, failed = model.predict([Derived(mutant, origin)])
    settings = predictor.embedding_settings
    windows = compute.parts_of(sequence, settings)
    assert len(windows) > 2
    assert len(computed) == len(windows) + 1
    assert not failed
    predicted = predict_sequences({"x": mutant}, alone, BARE.predict)
    columns = [name for name in predicted if name.startswith("p:")]
    np.testing.assert_allclose(
        found[0].mean(axis=0), predicted[columns].to_numpy(dtype=float)[0], atol=TOLERANCE
    )
