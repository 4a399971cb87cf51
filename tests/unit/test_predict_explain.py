"""Attributions sum to the change of the logit, find planted signals, and use the right model."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy_with_logits

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.finetuning.head import AttentionHead
from halo.finetuning.settings import FinetuneSettings
from halo.graphs.build import GraphSettings, build_graph
from halo.label_groups import LabelGroup, all_groups
from halo.network.batch import Batch
from halo.network.classes import NETWORKS
from halo.network.features import protein_data
from halo.network.model import NetworkSettings
from halo.predict.attribution import (
    Attribution,
    head_attribution,
    mean_attribution,
    network_attribution,
    steps_of,
)
from halo.predict.bundle import read_bundle
from halo.predict.explanation import (
    LABELS,
    Explanation,
    explained_labels,
    read_explanations,
    write_explanations,
)
from halo.predict.mmcif import b_factors, file_names, write_structure
from halo.predict.output import read_chunk_explanations
from halo.predict.page import laid_flat
from halo.predict.predictor import Predictor
from halo.predict.records import KnownSequences, read_queries
from halo.predict.regions import GAIN, MOST, SHARE, WINDOW, regions, smoothed
from halo.predict.run import predict
from predict_bundle import DEMO, OFFLINE, queries, write_fasta

LETTERS = list("ACDEFGHIKLMNPQRSTVWY")
DIM = 12


def random_protein(rng: np.random.Generator, length: int, embedding: np.ndarray | None = None):
    """A protein with contacts that mean nothing."""
    sequence = "".join(rng.choice(LETTERS, length))
    pairs = np.sort(rng.integers(0, length, (length, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 1] - pairs[:, 0] > 3], axis=0).astype(np.uint16)
    structure = {"coordinates": np.empty((0, 3, 3), np.float32), "contacts": pairs}
    graph = build_graph(sequence, structure, GraphSettings())
    if embedding is None:
        embedding = rng.normal(size=(length, DIM))
    return protein_data(graph, embedding.astype(np.float16))


def multilabel(count: int) -> tuple[LabelGroup, ...]:
    """One group of multi-label labels."""
    return all_groups("ABCD"[:count], "multilabel", ())


# ------------------------------------------------------------------ the parts add up


@pytest.mark.parametrize("task", ["multilabel", "singlelabel"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_parts_sum_to_the_change_of_the_logit(kind, task):
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    network = NETWORKS[kind](DIM, 4, NetworkSettings(hidden=16, layers=2, heads=2)).eval()
    protein = random_protein(rng, 40)
    groups = all_groups("ABCD", task, ())
    found = network_attribution(network, protein, [2, 0], groups, "cpu", steps=64)
    assert found.values.shape == (2, 40)
    np.testing.assert_allclose(found.values.sum(axis=1), found.change, atol=0.02)
    assert found.attention.sum() == pytest.approx(1, abs=1e-5)
    logits = network(Batch.from_data_list([protein])).logits[0].detach()
    if task == "singlelabel":
        logits = logits - logits.mean()
    if kind == "network":  # whose change is measured from a protein that is not this one
        assert np.abs(found.change).max() > 0.05
    # Fewer steps are a little less exact, and not another thing.
    rough = network_attribution(network, protein, [2, 0], groups, "cpu", steps=16)
    np.testing.assert_allclose(rough.change, found.change, atol=1e-6)
    np.testing.assert_allclose(rough.values.sum(axis=1), found.change, atol=0.2)


def test_parts_of_a_head_sum_to_the_change_of_the_logit():
    rng = np.random.default_rng(2)
    torch.manual_seed(2)
    head = AttentionHead(DIM, 3, FinetuneSettings(hidden=8, pooling_heads=2)).eval()
    states = (3 * rng.normal(size=(50, DIM))).astype(np.float16)
    found = head_attribution(head, states, [1], multilabel(3), steps=64)
    np.testing.assert_allclose(found.values.sum(axis=1), found.change, atol=0.01)
    assert abs(found.change[0]) > 0.01
    assert found.attention.sum() == pytest.approx(1, abs=1e-5)


def test_long_proteins_are_worked_on_in_pieces(monkeypatch):
    torch.manual_seed(3)
    network = NETWORKS["network"](DIM, 2, NetworkSettings(hidden=16, layers=1, heads=2)).eval()
    protein = random_protein(np.random.default_rng(3), 60)
    whole = network_attribution(network, protein, [1], multilabel(2), "cpu")
    monkeypatch.setattr("halo.predict.attribution.RESIDUES", 100)
    pieces = network_attribution(network, protein, [1], multilabel(2), "cpu")
    np.testing.assert_allclose(pieces.values, whole.values, atol=1e-5)


def test_the_mean_over_models_and_their_steps():
    one = Attribution(np.ones((1, 3), np.float32), np.array([3.0]), np.array([1, 0, 0]))
    two = Attribution(np.zeros((1, 3), np.float32), np.array([0.0]), np.array([0, 0, 1]))
    found = mean_attribution([one, two])
    assert found.values.tolist() == [[0.5, 0.5, 0.5]]
    assert found.change.tolist() == [1.5]
    assert found.attention.tolist() == [0.5, 0, 0.5]
    assert [steps_of(models) for models in (1, 3, 6, 15)] == [16, 16, 8, 6]


# ------------------------------------------------------------------ what was planted is found


def planted(rng: np.random.Generator, count: int):
    """Proteins with a signal for each of two labels, or without: shifts of the embedding.

    The third signal is a decoy, that is as far from everything and means nothing.
    """
    directions = np.eye(DIM)[:3] * 4
    proteins = []
    for _ in range(count):
        length = int(rng.integers(60, 90))
        embedding = rng.normal(size=(length, DIM))
        labels, places = rng.integers(0, 2, 2), rng.permutation(length // 10)[:3] * 10
        where = np.zeros((3, length), dtype=bool)
        for signal in range(3):
            if signal == 2 or labels[signal]:
                where[signal, places[signal] : places[signal] + 6] = True
                embedding[where[signal]] += directions[signal]
        proteins.append((random_protein(rng, length, embedding), labels, where))
    return proteins


@pytest.fixture(scope="module")
def trained():
    """A network that has learned the signals, and proteins that it has not seen."""
    rng = np.random.default_rng(4)
    torch.manual_seed(4)
    settings = NetworkSettings(hidden=16, layers=1, heads=2, pooling_heads=2, dropout=0.0)
    network = NETWORKS["network"](DIM, 2, settings)
    train = planted(rng, 120)
    batch = Batch.from_data_list([protein for protein, _, _ in train])
    truth = torch.tensor(np.array([labels for _, labels, _ in train]), dtype=torch.float32)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(network(batch).logits, truth)
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return network.eval(), planted(rng, 30)


def test_residues_of_the_signal_rank_on_top(trained):
    network, proteins = trained
    ours, ours_of_two, attention, hits, inside, named = [], [], [], [], 0, 0
    for protein, labels, where in proteins:
        for label in np.flatnonzero(labels):
            found = network_attribution(network, protein, [int(label)], multilabel(2), "cpu")
            ours.append(roc_auc_score(where[label], found.values[0]))
            if labels.all():
                ours_of_two.append(ours[-1])
                attention.append(roc_auc_score(where[label], found.attention))
            top = np.argsort(-found.values[0])[: where[label].sum()]
            hits.append(where[label][top].mean())
            for region in regions("x", found.values[0]):
                named += region.end - region.start + 1
                inside += where[label][region.start - 1 : region.end].sum()
    assert len(ours) > 20
    assert np.mean(ours) > 0.95  # chance: 0.5
    # Attention does not know the labels: it cannot tell two signals in one protein apart.
    assert np.mean(ours_of_two) > np.mean(attention) + 0.02
    assert np.mean(hits) > 0.7  # chance: 0.08
    assert inside / named > 0.6


def test_the_signal_of_another_label_is_no_reason(trained):
    network, proteins = trained
    for protein, labels, where in proteins:
        if labels.all():
            found = network_attribution(network, protein, [0, 1], multilabel(2), "cpu").values
            for label, other in ((0, 1), (1, 0)):
                assert found[label][where[label]].sum() > found[label][where[other]].sum() + 1


# ------------------------------------------------------------------ regions

VALUES = arrays(np.float32, st.integers(1, 60), elements=st.floats(-2, 2, width=32))


@given(VALUES)
def test_smoothed_is_the_mean_of_the_window(values):
    half = WINDOW // 2
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(len(values))]
    np.testing.assert_allclose(smoothed(values), expected, atol=1e-5)


@given(VALUES)
def test_regions_are_apart_in_order_and_matter(values):
    found = regions("x", values)
    assert len(found) <= MOST
    averages = smoothed(values)
    for region in found:
        assert 1 <= region.start <= region.end <= len(values)
        assert region.gain >= GAIN
        assert (averages[region.start - 1 : region.end] >= SHARE * averages.max()).all()
    for one, two in pairwise(found):
        assert one.end + 1 < two.start


def test_a_planted_stretch_is_the_region():
    values = np.full(100, -0.01, dtype=np.float32)
    values[40:50] = 0.5
    (region,) = regions("Nucleus", values)
    assert (region.label, region.start, region.end) == ("Nucleus", 41, 50)
    assert region.gain == pytest.approx(5.0)
    assert regions("Nucleus", np.full(100, -0.1)) == []


def test_labels_that_are_asked_about():
    probabilities = np.array([0.1, 0.9, 0.8, 0.3, 0.7])
    assert explained_labels(probabilities, np.array([1, 0, 1, 0, 0], bool)) == [2, 0]
    assert explained_labels(probabilities, np.zeros(5, bool)) == [1]
    assert explained_labels(probabilities, np.ones(5, bool)) == [1, 2, 4]
    assert LABELS == 3


# ------------------------------------------------------------------ files


def explanation(name: str = "P12345", length: int = 12, with_structure: bool = True) -> Explanation:
    rng = np.random.default_rng(5)
    structure = None
    sequence = "".join(rng.choice(LETTERS, length))
    if with_structure:
        structure = {
            "coordinates": rng.normal(size=(length - 2, 3, 3)).astype(np.float32),
            "plddt": np.full(length - 2, 80, np.float16),
            "residue": np.frombuffer(sequence[2:].encode(), np.uint8),
            "position": np.arange(2, length, dtype=np.uint16),
            "fragment": np.array([[0, length - 2]], np.uint32),
        }
        structure["coordinates"][3, 0] = np.nan  # an atom that is not there
    values = rng.normal(size=(2, length)).astype(np.float32)
    attribution = Attribution(values, values.sum(axis=1, dtype=float), np.full(length, 1 / length))
    return Explanation(name, sequence, ["Nucleus", 'a "label"'], attribution, structure)


def test_explanations_are_read_as_they_were_written(tmp_path):
    given = [explanation('<"id">'), explanation("two", with_structure=False)]
    write_explanations(tmp_path / "chunk.npz", given)
    for one, two in zip(given, read_explanations(tmp_path / "chunk.npz"), strict=True):
        assert (one.id, one.sequence, one.labels) == (two.id, two.sequence, two.labels)
        np.testing.assert_array_equal(one.attribution.values, two.attribution.values)
        assert (one.structure is None) == (two.structure is None)
    content = (tmp_path / "chunk.npz").read_bytes()
    (tmp_path / "chunk.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(HaloError, match=r"chunk.npz: damaged .* delete it and run again"):
        list(read_explanations(tmp_path / "chunk.npz"))


def test_a_structure_has_what_mattered_in_its_b_factor(tmp_path):
    given = explanation()
    write_structure(tmp_path / "a.cif", given, "a")
    model = gemmi.read_structure(str(tmp_path / "a.cif"))[0]
    factors = b_factors(given.attribution.values[0])
    assert 0 <= factors.min() <= factors.max() == pytest.approx(100)
    residues = list(model["A"])
    assert [r.seqid.num for r in residues] == list(range(3, 13))
    sequence = gemmi.one_letter_code([residue.name for residue in residues])
    assert sequence == given.sequence[2:]
    for row, residue in enumerate(residues):
        assert [a.name for a in residue] == (["CA", "C"] if row == 3 else ["N", "CA", "C"])
        place = given.structure["coordinates"][row, 1]
        np.testing.assert_allclose(residue["CA"][0].pos.tolist(), place, atol=1e-3)
        assert residue["CA"][0].b_iso == pytest.approx(factors[row + 2], abs=0.01)


def test_names_of_files_are_never_ids():
    def digest(entry: Explanation) -> str:
        return f"{sha256_of_text(entry.sequence)[:16]}.cif"

    one, two = explanation(length=12), explanation(length=13)
    hostile = ["../../etc/passwd", "a/b", "", "x" * 5000, "P12345\0", "..", "P12345;rm -rf"]
    pairs = [(one, name) for name in hostile]
    assert set(file_names(pairs)) == {digest(one)}
    pairs = [(one, "P12345"), (one, "P12345"), (two, "P12345"), (two, "sp|Q8WZ42-2|TITIN_HUMAN")]
    assert list(file_names(pairs)) == ["P12345.cif", "P12345.cif", digest(two), "Q8WZ42-2.cif"]


def test_another_structure_has_another_file():
    one = explanation()
    moved = one.structure | {"coordinates": one.structure["coordinates"] + 1}
    two = replace(one, structure=moved)
    for accession in ("", "P12345"):
        first, second, *again = file_names([(each, accession) for each in (one, two, one, two)])
        assert first != second
        assert again == [first, second]
    bare = explanation(with_structure=False)
    assert list(file_names([(bare, ""), (one, "")])) == [None, *file_names([(one, "")])]


def test_a_trace_is_turned_and_not_mirrored():
    rng = np.random.default_rng(6)
    turns = np.arange(40) * 100 * np.pi / 180
    helix = np.stack([2.3 * np.cos(turns), 2.3 * np.sin(turns), 1.5 * np.arange(40)], axis=1)
    atoms = helix @ np.linalg.qr(rng.normal(size=(3, 3)))[0].T + 50
    flat = laid_flat(atoms)
    np.testing.assert_allclose(
        np.linalg.norm(flat[:, None] - flat, axis=2), np.linalg.norm(atoms[:, None] - atoms, axis=2)
    )
    assert np.ptp(flat, axis=0).argmax() == 0

    def hand(points: np.ndarray) -> float:
        steps = np.diff(points, axis=0)
        return np.sign(np.linalg.det(np.stack([steps[:-2], steps[1:-1], steps[2:]], axis=1)).mean())

    assert hand(flat) == hand(atoms)


# ------------------------------------------------------------------ in predictions


@pytest.fixture(scope="module")
def small(small_run):
    return small_run


@pytest.fixture(scope="module")
def bundle(small, tmp_path_factory):
    return small.bundle(tmp_path_factory.mktemp("bundle") / "small")


def explained(bundle, folder, settings=OFFLINE, sequences=None) -> dict[str, Explanation]:
    proteins = write_fasta(folder / "q.fasta", sequences or queries(6))
    table = read_queries(proteins, None, KnownSequences(folder / "none")).table
    with Predictor(read_bundle(bundle), settings, folder / "store") as predictor:
        return {e.id: e for e in predictor.predict(table, len(table)).explanations}


def test_neither_order_nor_company_changes_the_parts(bundle, tmp_path):
    together = explained(bundle, tmp_path)
    backwards = tmp_path / "backwards"
    backwards.mkdir()
    names = list(together)[::-1]
    alone = explained(bundle, backwards, sequences={n: queries()[n] for n in names[:2]})
    for name, found in alone.items():
        expected = together[name].attribution
        assert found.labels == together[name].labels
        np.testing.assert_allclose(found.attribution.values, expected.values, atol=1e-4)
        np.testing.assert_allclose(found.attribution.attention, expected.attention, atol=1e-5)


def test_a_cascade_gives_the_reasons_of_its_network(small, bundle, tmp_path):
    folder = tmp_path / "halo"
    folder.mkdir()
    network = explained(small.bundle(tmp_path / "network", "halo"), folder)
    joined = explained(bundle, tmp_path)
    shared = 0
    for name, found in joined.items():
        for row, label in enumerate(found.labels):
            if label in network[name].labels:
                other = network[name].attribution.values[list(network[name].labels).index(label)]
                np.testing.assert_allclose(found.attribution.values[row], other, atol=1e-5)
                shared += 1
        np.testing.assert_allclose(
            found.attribution.attention, network[name].attribution.attention, atol=1e-6
        )
    assert shared > 2


@pytest.mark.slow
def test_the_page_is_bounded_and_the_chunks_of_others_stay(bundle, tmp_path):
    fasta, out = write_fasta(tmp_path / "q.fasta", queries(12)), tmp_path / "out"
    settings = replace(OFFLINE, chunk=4)
    predict(fasta, bundle, out, replace(settings, page=6))
    content = json.loads((out / "predictions.json").read_text())["proteins"]
    known = [entry["regions"] is not None for entry in content]
    assert known == [True] * 6 + [False] * 6
    assert (out / "predictions.html").read_text().count("<tr data-row=") == 6
    with_structure = {e["accession"] for e in content[:6] if e["structure"]["status"] == "ok"}
    assert {path.stem for path in (out / "structures").glob("*.cif")} == with_structure
    index = pd.read_csv(out / "structures/index.csv")
    assert {Path(name).stem for name in index["file"]} == with_structure == set(index["id"])
    assert with_structure
    chunks = {path: path.stat().st_mtime_ns for path in (out / "chunks").glob("*.json")}
    predict(fasta, bundle, out, replace(settings, page=4))  # the first and last stay
    kept = [path for path in chunks if path.stat().st_mtime_ns == chunks[path]]
    assert len(list((out / "chunks").glob("*.json"))) == len(kept) + 1
    fewer = json.loads((out / "predictions.json").read_text())["proteins"]
    assert [entry["regions"] is not None for entry in fewer] == [True] * 4 + [False] * 8
    left = {e["accession"] for e in fewer[:4] if e["structure"]["status"] == "ok"}
    assert {path.stem for path in (out / "structures").glob("*.cif")} == left
    for path in (out / "chunks").glob("*.npz"):  # someone tidies up
        path.unlink()
    predict(fasta, bundle, out, replace(settings, page=4))
    assert (out / "predictions.html").read_text().count("<tr data-row=") == 4
    assert not list(read_chunk_explanations(out / "chunks/none.json"))


def test_structures_of_others_are_not_touched(bundle, tmp_path):
    fasta, out = write_fasta(tmp_path / "q.fasta", queries(2)), tmp_path / "out"
    mine = out / "structures/mine.cif"
    mine.parent.mkdir(parents=True)
    mine.write_text("data_mine")
    with pytest.raises(HaloError, match="structures: exists and was not written by"):
        predict(fasta, bundle, out, OFFLINE)
    mine.rename(tmp_path / "mine.cif")
    predict(fasta, bundle, out, replace(OFFLINE, page=2))
    (tmp_path / "mine.cif").rename(mine)
    with (mine.parent / "index.csv").open("a") as index:
        index.write("mine.cif,a,Nucleus\n../../q.fasta,a,Nucleus\n")
    predict(fasta, bundle, out, replace(OFFLINE, page=0))
    assert {path.name for path in mine.parent.iterdir()} == {"mine.cif", "index.csv"}
    assert mine.read_text() == "data_mine"
    assert fasta.exists()


def test_no_page_no_parts(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("halo.predict.ensemble.network_attribution", None)
    fasta = write_fasta(tmp_path / "q.fasta", queries(3))
    predict(fasta, bundle, tmp_path / "out", replace(OFFLINE, page=0))
    assert "<strong>All are in" in (tmp_path / "out/predictions.html").read_text()


def test_a_structure_that_is_added_is_used(bundle, tmp_path):
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    sequences = queries(8)
    files = {n: list((DEMO / "afdb").glob(f"AF-{n}-F1-*")) for n in sequences}
    one, two = [name for name, found in files.items() if found][:2]
    (models / files[one][0].name).write_bytes(files[one][0].read_bytes())
    fasta = write_fasta(tmp_path / "q.fasta", sequences)
    settings = replace(OFFLINE, structures=models, chunk=1)

    def statuses() -> dict[str, str]:
        predict(fasta, bundle, out, settings)
        content = json.loads((out / "predictions.json").read_text())["proteins"]
        return {entry["id"]: entry["structure"]["status"] for entry in content}

    assert {name for name, status in statuses().items() if status == "ok"} == {one}
    before = set((out / "chunks").glob("*.json"))
    (models / files[two][0].name).write_bytes(files[two][0].read_bytes())
    assert {name for name, status in statuses().items() if status == "ok"} == {one, two}
    assert len(set((out / "chunks").glob("*.json")) - before) == 1  # the others were not repeated


def test_the_reason_for_no_usable_structure_is_reported(bundle, tmp_path, caplog):
    models, out = tmp_path / "models", tmp_path / "out"
    models.mkdir()
    sequences = queries(8)
    files = {n: list((DEMO / "afdb").glob(f"AF-{n}-F1-*")) for n in sequences}
    one, two = [name for name, found in files.items() if found][:2]
    other = next(name for name, found in files.items() if not found)
    (models / files[one][0].name).write_bytes(files[two][0].read_bytes())
    (models / f"{two}.pdb").write_bytes(b"damaged")
    (models / f"{other}.pdb").symlink_to("nowhere")
    fasta = write_fasta(tmp_path / "q.fasta", sequences)
    with caplog.at_level("WARNING"):
        predict(fasta, bundle, out, replace(OFFLINE, structures=models))
    assert "snakemake" not in caplog.text
    content = json.loads((out / "predictions.json").read_text())["proteins"]
    found = pd.read_csv(out / "predictions.csv", keep_default_na=False)
    said = {entry["id"]: entry["structure"]["message"] for entry in content}
    assert dict(zip(found["id"], found["structure_message"], strict=True)) == said
    assert "another sequence" in said[one]
    assert "neither PDB nor mmCIF" in said[two]
    assert "No such file" in said[other]
    assert all(said.values())
    chunks = {path: path.stat().st_mtime_ns for path in (out / "chunks").glob("*.json")}
    predict(fasta, bundle, out, replace(OFFLINE, structures=models))
    assert {path: path.stat().st_mtime_ns for path in (out / "chunks").glob("*.json")} == chunks
