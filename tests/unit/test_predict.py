"""Predictions are independent of the batch and of faulty proteins in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn

from halo.errors import HaloError
from halo.files import read_json, write_json
from halo.predict import ensemble, nearest
from halo.predict import predictor as predictor_module
from halo.predict.bundle import listed, read_bundle
from halo.predict.output import table_of
from halo.predict.predictor import Predictor
from halo.predict.records import KnownSequences, read_queries
from halo.predict.run import fetch, predict, predict_sequences
from halo.predict.settings import PredictSettings
from halo.structures.settings import TransportSettings
from halo.training.checkpoint import load_model
from pipeline import forks
from predict_bundle import CHECKPOINT, DEMO, OFFLINE, queries, write_fasta
from serve import AlphaFoldServer

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def small(small_run):
    return small_run


@pytest.fixture(scope="module")
def bundle(small_bundle):
    return small_bundle


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    return write_fasta(tmp_path_factory.mktemp("fasta") / "q.fasta", queries())


@pytest.fixture(scope="module")
def expected(fasta, bundle, tmp_path_factory) -> Path:
    """Folder of the predictions of all queries in one batch."""
    out = tmp_path_factory.mktemp("expected")
    predict(fasta, bundle, out, replace(OFFLINE, chunk=1000))
    return out


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype={"far": str, "similar": str})


def require_same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    """Equal texts, and numbers within `TOLERANCE`."""
    assert list(one.columns) == list(two.columns)
    assert len(one) == len(two)
    numbers = [name for name in one if name.startswith(("p:", "threshold:", "weight_", "unc"))]
    np.testing.assert_allclose(one[numbers], two[numbers], rtol=0, atol=TOLERANCE)
    texts = [name for name in one if name not in numbers]
    assert one[texts].astype(str).to_dict("list") == two[texts].astype(str).to_dict("list")


@pytest.mark.slow
def test_one_by_one_in_chunks_and_without_files(fasta, bundle, expected, tmp_path):
    together = table(expected / "predictions.csv")
    assert len(together) == len(queries())
    assert set(together["structure"]) == {"ok", "missing"}
    predict(fasta, bundle, tmp_path, replace(OFFLINE, chunk=7))
    require_same(table(tmp_path / "predictions.csv"), together)
    require_same(predict_sequences(queries(), bundle, OFFLINE), together)
    proteins = read_queries(fasta, None, KnownSequences(tmp_path / "none")).table
    with Predictor(read_bundle(bundle), OFFLINE, tmp_path / "alone") as predictor:
        for row in range(6):
            chunk = predictor.predict(proteins[row : row + 1])
            alone = table_of(chunk.header, chunk.records)
            require_same(alone, together[row : row + 1].reset_index(drop=True))


@pytest.mark.slow
def test_by_the_command_line(fasta, bundle, expected, root, tmp_path):
    options = ["--structures", DEMO / "afdb", "--no-download", "--language-model", CHECKPOINT]
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"}
    module, script = ("-m", "halo", "predict"), (root / "scripts/predict.py",)
    for command in (module, script):
        out = tmp_path / str(len(command))
        words = [forks().python, *command, fasta, "--bundle", bundle, "-o", out, *options]
        done = subprocess.run(map(str, words), capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        require_same(table(out / "predictions.csv"), table(expected / "predictions.csv"))


@pytest.mark.slow
def test_other_scales_of_halo_change_no_prediction(fasta, bundle, expected, tmp_path, root):
    """A bundle has those that its networks were trained with."""
    package = shutil.copytree(root / "workflow/halo", tmp_path / "workflow/halo")
    scales = package / "data/amino_acids.csv"
    scales.write_text(scales.read_text().replace("A,1.8,", "A,-4.5,", 1))
    assert scales.read_bytes() != (bundle / "amino_acids.csv").read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1"}
    words = ["-m", "halo", "predict", fasta, "--bundle", bundle, "-o", tmp_path / "out"]
    words += ["--structures", DEMO / "afdb", "--no-download", "--language-model", CHECKPOINT]
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    require_same(table(tmp_path / "out/predictions.csv"), table(expected / "predictions.csv"))


def test_a_bundle_of_more_scales_than_the_networks_read_is_refused(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    scales = pd.read_csv(copy / "amino_acids.csv", index_col="residue")
    scales.assign(more=range(len(scales))).to_csv(copy / "amino_acids.csv")
    with pytest.raises(HaloError, match=r"amino_acids.csv: 9 .* needs 8; use HALO"):
        ensemble.Ensemble(replace(read_bundle(bundle), folder=copy), "cpu")


def test_the_json_is_that_of_the_schema_and_of_the_table(expected, root):
    schema = json.loads((root / "workflow/schemas/predictions.schema.json").read_text())
    content = json.loads((expected / "predictions.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert not list(Draft202012Validator(schema).iter_errors(content))
    found = table(expected / "predictions.csv").set_index("id")
    assert [entry["id"] for entry in content["proteins"]] == list(found.index)
    for entry in content["proteins"]:
        row = found.loc[entry["id"]]
        assert row["labels"] == ";".join(entry["labels"])
        given = [
            label
            for label in content["labels"]
            if entry["probabilities"][label] >= content["thresholds"][label]
        ]
        assert entry["labels"] == given
        assert all(row[f"p:{name}"] == value for name, value in entry["probabilities"].items())
        assert sum(entry["modality_weights"].values()) == pytest.approx(1, abs=1e-5)
        assert (entry["modality_weights"]["structure"] > 0) == (row["structure"] == "ok")


def test_predictions_are_those_of_the_run(small, tmp_path):
    """What the pipeline said of its test proteins, a bundle of the same fold says of them too."""
    bundle = small.bundle(tmp_path / "bundle", "average")
    content = json.loads((bundle / "bundle.json").read_text())
    known = pd.read_csv(small.folder / "kfold/0/1/average/predictions.csv")
    other = pd.read_csv(small.folder / "kfold/1/1/average/predictions.csv")
    both = known.merge(other, on="id", suffixes=("_0", "_1"))
    assert len(both) > 5
    sequences = small.proteins.table.set_index("id").loc[both["id"]]
    # Structures are found by accession, which is what the run did too.
    chosen = dict(zip(sequences["accession"], sequences["sequence"], strict=True))
    found = predict_sequences(chosen, bundle, OFFLINE)
    for label in content["labels"]:
        mean = (both[f"p:{label}_0"] + both[f"p:{label}_1"]) / 2
        np.testing.assert_allclose(found[f"p:{label}"], mean, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["halo", "plain", "average"])
def test_other_methods(small, fasta, tmp_path, method):
    bundle = small.bundle(tmp_path / "bundle", method, sequences=False)
    found = table(predict(fasta, bundle, tmp_path / "out", OFFLINE))
    decided = {"average": {"plain;halo"}}.get(method, {method})
    assert set(found["decided_by"]) == decided
    assert (found["set"] != "").any()
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert (content["region_kinds"] is None) == (method == "plain")
    # Without the training sequences nothing is said of them.
    assert set(found["nearest_training"]) == {""}
    assert set(found["far"]) == {""}


def test_regions_are_those_of_the_mean_of_the_models(small, bundle, fasta, expected, tmp_path):
    """Each network predicts the regions of its own held-out proteins in the training."""
    content = json.loads((expected / "predictions.json").read_text())
    assert content["region_kinds"] == ["signal peptide", "presequence"]
    assert all(isinstance(entry["predicted_regions"], list) for entry in content["proteins"])
    trained = small.folder / "kfold/0/1/halo"
    own = pd.read_csv(trained / "regions.csv")
    assert len(own)
    only = small.bundle(tmp_path / "bundle", "halo")
    description = read_json(only / "bundle.json")
    description["models"] = [m for m in description["models"] if m["fold"] == "0"]
    write_json(only / "bundle.json", description)
    write_json(only / "manifest.json", {"format": 2, "files": listed(only)})
    chosen = small.proteins.table.set_index("id").loc[own["id"].unique()]
    queried = write_fasta(
        tmp_path / "own.fasta", dict(zip(chosen["accession"], chosen["sequence"], strict=True))
    )
    predict(queried, only, tmp_path / "out", OFFLINE)
    found = {
        entry["id"]: entry["predicted_regions"]
        for entry in json.loads((tmp_path / "out/predictions.json").read_text())["proteins"]
    }
    for name, rows in own.groupby("id"):
        got = pd.DataFrame(found[chosen.loc[name, "accession"]])
        assert got[["start", "end", "kind"]].values.tolist() == (
            rows[["start", "end", "kind"]].values.tolist()
        )
        np.testing.assert_allclose(got["confidence"], rows["confidence"], atol=1e-3)


def test_the_nearest_training_protein(small, bundle, expected, monkeypatch):
    trained = small.assignments[(small.assignments == "train").any(axis=1)].index
    found = table(expected / "predictions.csv").set_index("id")
    proteins = small.proteins.table.set_index("accession")
    seen = [name for name in found.index if name in proteins.index and
            proteins.loc[name, "id"] in set(trained)]  # fmt: skip
    assert len(seen) > 2
    assert set(found.loc[seen, "nearest_identity"].astype(float)) == {1.0}
    rng = np.random.default_rng(3)
    text = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 120))
    first = proteins.loc[seen[0]]
    half = first["sequence"][: len(first["sequence"]) * 3 // 4] + "GG"
    answer = predict_sequences({"random": text, "part": half}, bundle, OFFLINE).set_index("id")
    monkeypatch.setattr(nearest, "EXHAUSTIVE", 0)  # as for a large training set
    again = predict_sequences({"random": text, "part": half}, bundle, OFFLINE).set_index("id")
    assert again["nearest_training"].equals(answer["nearest_training"])
    assert answer.loc["random", "far"] == "true"
    assert answer.loc["random", "nearest_training"] == ""
    assert answer.loc["part", "far"] == "false"
    assert float(answer.loc["part", "nearest_identity"]) > 0.9


def test_bad_proteins_are_reported_and_the_others_predicted(bundle, tmp_path):
    names = list(queries(3).items())
    text = f">{names[0][0]}\n{names[0][1]}\n>bad\nMKV1*Z?\n>{names[0][0]}\nMKV\n>\nMKVL\n>nothing\n"
    text += f">{names[1][0]}\n{names[1][1]}\n"
    (tmp_path / "in.fasta").write_text(text)
    found = table(predict(tmp_path / "in.fasta", bundle, tmp_path / "out", OFFLINE))
    assert list(found["id"]) == [names[0][0], names[1][0]]
    rejected = table(tmp_path / "out/rejected.csv")
    assert rejected[["line", "reason"]].to_numpy().tolist() == [
        [3, "illegal residue letters"],
        [5, "duplicated id"],
        [7, "no id"],
        [9, "empty sequence"],
    ]
    assert "first at residue 4" in rejected["detail"].iat[0]
    assert "line 1" in rejected["detail"].iat[1]
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [entry["line"] for entry in content["not_predicted"]] == [3, 5, 7, 9]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "in.fasta: empty"),
        (
            ">a\nMK1\n",
            r"in.fasta: none of 1 proteins.*line 1, 'a': illegal residue.*Correct",
        ),
        ("name,sequence\na,MKV\n", r"in.fasta: no column 'id', it has name, sequence; rename"),
        (">\n", "none of 1"),
    ],
)
def test_files_that_cannot_be_used(bundle, tmp_path, content, words):
    (tmp_path / "in.fasta").write_text(content)
    with pytest.raises(HaloError, match=words):
        predict(tmp_path / "in.fasta", bundle, tmp_path / "out", OFFLINE)
    with pytest.raises(HaloError, match=r"gone.fasta: there is no such file"):
        predict(tmp_path / "gone.fasta", bundle, tmp_path / "out", OFFLINE)


@pytest.mark.slow
def test_a_protein_that_fails_does_not_affect_others(
    bundle, fasta, expected, tmp_path, monkeypatch
):
    victim = list(queries())[4]
    chosen = {text: name for name, text in queries().items()}
    real = predictor_module.build_graphs

    def failing(members, *others):
        names = {chosen[m.sequence] for found in members.values() for m in found}
        if victim in names:
            raise ValueError("a fault of this protein alone")
        return real(members, *others)

    monkeypatch.setattr(predictor_module, "build_graphs", failing)
    found = table(predict(fasta, bundle, tmp_path, OFFLINE))
    together = table(expected / "predictions.csv")
    require_same(found, together[together["id"] != victim].reset_index(drop=True))
    rejected = table(tmp_path / "rejected.csv")
    assert rejected["id"].tolist() == [victim]
    assert "a fault of this protein alone" in rejected["detail"].iat[0]


def test_a_protein_whose_prediction_failed_is_tried_again(bundle, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "halo")
    given = queries(3)
    fasta = write_fasta(tmp_path / "three.fasta", given)
    victim, real = list(given)[1], predictor_module.build_graphs

    def failing(members, *others):
        if any(m.sequence == given[victim] for found in members.values() for m in found):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(members, *others)

    settings = replace(OFFLINE, chunk=1, page=0)
    with monkeypatch.context() as patched:
        patched.setattr(predictor_module, "build_graphs", failing)
        predict(fasta, bundle, tmp_path / "out", settings)
    assert table(tmp_path / "out/rejected.csv")["id"].tolist() == [victim]
    found = table(predict(fasta, bundle, tmp_path / "out", settings))
    assert "1 of 3 chunks to do" in caplog.text
    assert found["id"].tolist() == list(given)
    assert table(tmp_path / "out/rejected.csv").empty
    monkeypatch.setattr("halo.predict.run.Predictor", None)
    predict(fasta, bundle, tmp_path / "out", settings)  # nothing is left to do


def test_where_every_protein_fails_it_is_no_protein_s_fault(bundle, fasta, tmp_path, monkeypatch):
    def failing(*_):
        raise ValueError("broken")

    monkeypatch.setattr(predictor_module, "build_graphs", failing)
    with pytest.raises(HaloError, match=r"none of 20 proteins can be predicted.*broken"):
        predict(fasta, bundle, tmp_path, replace(OFFLINE, chunk=100))
    assert not list(tmp_path.glob("chunks/*"))


@pytest.mark.slow
def test_killed_and_called_again(fasta, bundle, root, tmp_path):
    """The files are the same to the last byte, and finished chunks are not computed again."""
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"}

    def start(out: Path) -> subprocess.Popen:
        words = [forks().python, root / "scripts/predict.py", fasta, "--bundle", bundle, "-o", out]
        words += ["--structures", DEMO / "afdb", "--no-download", "--chunk", "4"]
        words += ["--language-model", CHECKPOINT]
        return subprocess.Popen(
            list(map(str, words)), env=environment, stderr=subprocess.PIPE, text=True
        )

    whole = start(tmp_path / "whole")
    _, messages = whole.communicate()
    assert whole.returncode == 0, messages
    broken = start(tmp_path / "broken")
    chunks = tmp_path / "broken/chunks"
    while broken.poll() is None and not list(chunks.glob("*.json")):
        time.sleep(0.02)
    broken.send_signal(signal.SIGKILL)
    broken.communicate()
    done = {path: path.stat().st_mtime_ns for path in chunks.glob("*.json")}
    assert 1 <= len(done) < 5
    assert not (tmp_path / "broken/predictions.csv").exists()
    again = start(tmp_path / "broken")
    _, messages = again.communicate()
    assert again.returncode == 0, messages
    assert f"{5 - len(done)} of 5 chunks to do" in messages
    assert {path: path.stat().st_mtime_ns for path in done} == done
    for name in ("predictions.csv", "predictions.json", "rejected.csv", "predictions.html"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    assert not (tmp_path / "broken/store/embeddings").exists()


def test_a_finished_run_is_not_computed_again(fasta, bundle, expected, monkeypatch):
    before = (expected / "predictions.json").read_bytes()
    monkeypatch.setattr("halo.predict.run.Predictor", None)
    predict(fasta, bundle, expected, replace(OFFLINE, chunk=1000))
    assert (expected / "predictions.json").read_bytes() == before


def test_accessions_and_structures_from_a_server(bundle, expected, tmp_path):
    """Fetched in one call, predicted in another without the server; some are not to be had."""
    known = [path.name.split("-")[1] for path in sorted((DEMO / "afdb").glob("AF-*"))]
    accessions = [name for name in queries() if name in known]
    lines = [*accessions[:4], "P99999", "nonsense"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    out, store = tmp_path / "out", tmp_path / "store"
    with AlphaFoldServer(DEMO / "afdb") as server:
        settings = PredictSettings(
            language_model=CHECKPOINT,
            store=store,
            stage="fetch",
            transport=TransportSettings(base_url=server.url, retries=0),
        )
        told = json.loads(fetch(tmp_path / "list.txt", bundle, out, settings).read_text())
        assert told["structures"] == {"ok": 4}
        asked = len(server.requests)
    settings = replace(settings, stage="predict")
    found = table(predict(tmp_path / "list.txt", bundle, out, settings))
    assert asked == len(server.requests)
    together = table(expected / "predictions.csv").set_index("id").loc[accessions[:4]]
    require_same(found, together.reset_index())
    rejected = table(out / "rejected.csv")
    assert rejected[["line", "reason"]].to_numpy().tolist() == [
        [5, "no sequence"],
        [6, "no UniProt accession"],
    ]
    assert list(store.glob("embeddings/*"))  # a store that was asked for is kept


def test_without_internet_sequences_are_predicted_without_structures(
    bundle, expected, tmp_path, monkeypatch, caplog
):
    """A later call that reaches a server asks it for what failed.

    A protein without an accession has no structure, also beside one with the same sequence.
    """
    known = [path.name.split("-")[1] for path in sorted((DEMO / "afdb").glob("AF-*"))]
    sequences = queries()
    with_models = [name for name in sequences if name in known][:3]
    chosen = {name: sequences[name] for name in with_models} | {"mine": sequences[with_models[0]]}
    chosen["other"] = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
    fasta, out = write_fasta(tmp_path / "in.fasta", chosen), tmp_path / "out"
    settings = PredictSettings(language_model=CHECKPOINT, page=0)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    found = table(predict(fasta, bundle, out, settings)).set_index("id")
    assert "AlphaFold DB cannot be reached" in caplog.text
    without = dict.fromkeys(("mine", "other"), "missing")
    assert found["structure"].to_dict() == dict.fromkeys(chosen, "error") | without
    assert found.loc[with_models, "structure_message"].str.contains("alphafold").all()
    alone = predict_sequences(chosen, bundle, replace(settings, download=False)).set_index("id")
    numbers = list(found.filter(like="p:"))
    np.testing.assert_allclose(found[numbers], alone[numbers].astype(float), atol=1e-5)
    with monkeypatch.context() as again:  # the same call has nothing to compute
        again.setattr("halo.predict.run.Predictor", None)
        predict(fasta, bundle, out, settings)
    with AlphaFoldServer(DEMO / "afdb") as server:
        online = replace(settings, transport=TransportSettings(base_url=server.url, retries=0))
        found = table(predict(fasta, bundle, out, online)).set_index("id")
    assert found["structure"].to_dict() == dict.fromkeys(chosen, "ok") | without
    together = table(expected / "predictions.csv").set_index("id").loc[with_models]
    require_same(found.loc[with_models].reset_index(), together.reset_index())


def test_without_internet_structures_of_the_store_are_used(bundle, tmp_path, monkeypatch):
    """And a file that cannot be read is no reason not to ask the server later."""
    known = [path.name.split("-")[1] for path in sorted((DEMO / "afdb").glob("AF-*"))]
    sequences = queries()
    first, second, third = [name for name in sequences if name in known][:3]
    store, models = tmp_path / "store", tmp_path / "models"
    models.mkdir()
    (models / f"{second}.pdb").write_text("no structure\n")
    settings = PredictSettings(language_model=CHECKPOINT, page=0, store=store, structures=models)

    def found(names, out, settings):
        fasta = write_fasta(tmp_path / "in.fasta", {name: sequences[name] for name in names})
        path = predict(fasta, bundle, tmp_path / out, settings)
        return table(path).set_index("id")["structure"].to_dict()

    with AlphaFoldServer(DEMO / "afdb") as server:
        online = replace(settings, transport=TransportSettings(base_url=server.url, retries=0))
        assert found([first], "one", online) == {first: "ok"}
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        names = [first, second, third]
        assert found(names, "two", settings) == {first: "ok", second: "error", third: "error"}
        assert found(names, "two", online) == dict.fromkeys(names, "ok")


def test_a_server_that_was_named_must_answer(bundle, tmp_path):
    fasta = write_fasta(tmp_path / "in.fasta", {"P12345": "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"})
    settings = PredictSettings(
        language_model=CHECKPOINT,
        transport=TransportSettings(base_url="http://127.0.0.1:9", retries=0, timeout=2),
    )
    with pytest.raises(HaloError, match="cannot be reached"):
        predict(fasta, bundle, tmp_path / "out", settings)


def test_a_list_of_accessions_needs_the_internet(bundle, tmp_path):
    (tmp_path / "list.txt").write_text("P12345\n")
    with pytest.raises(HaloError, match=r"list of accessions.*--no-download"):
        predict(tmp_path / "list.txt", bundle, tmp_path / "out", OFFLINE)
    settings = PredictSettings(
        language_model=CHECKPOINT,
        transport=TransportSettings(base_url="http://127.0.0.1:9", retries=0, timeout=2),
    )
    with pytest.raises(HaloError, match="accessions cannot be downloaded"):
        predict(tmp_path / "list.txt", bundle, tmp_path / "out", settings)


def test_a_folder_without_structures_is_refused(bundle, fasta, tmp_path):
    for folder, words in ((tmp_path / "gone", "there is no folder"), (tmp_path, "has no file")):
        with pytest.raises(HaloError, match=words):
            predict(fasta, bundle, tmp_path / "out", replace(OFFLINE, structures=folder))


def test_structures_named_by_id(bundle, expected, tmp_path):
    """A folder of files called <id>.cif.gz, of proteins whose ids are no accessions."""
    sequences = queries()
    folder = tmp_path / "models"
    folder.mkdir()
    renamed = {}
    for number, (name, text) in enumerate(sequences.items()):
        renamed[f"mine_{number}"] = text
        for path in (DEMO / "afdb").glob(f"AF-{name}-F1-*"):
            shutil.copy(path, folder / f"mine_{number}.cif.gz")
    found = predict_sequences(renamed, bundle, replace(OFFLINE, structures=folder))
    together = table(expected / "predictions.csv")
    columns = [name for name in together if name.startswith("p:")]
    np.testing.assert_allclose(found[columns], together[columns], rtol=0, atol=TOLERANCE)


def test_a_structure_file_is_of_the_same_protein_in_every_chunk(bundle, tmp_path):
    name, sequence = next(item for item in queries().items() if list(models_of(item[0])))
    (tmp_path / "models").mkdir()
    shutil.copy(next(models_of(name)), tmp_path / "models/mut_a.cif.gz")
    changed = sequence[:-1] + ("A" if sequence[-1] != "A" else "G")
    fasta = write_fasta(tmp_path / "in.fasta", {"Mut_A": changed, "mut_a": sequence})
    for chunk in (1, 2):
        settings = replace(OFFLINE, structures=tmp_path / "models", chunk=chunk, page=0)
        found = table(predict(fasta, bundle, tmp_path / f"out{chunk}", settings))
        assert found["structure"].tolist() == ["missing", "ok"]


def models_of(name):
    return (DEMO / "afdb").glob(f"AF-{name}-F1-*")


class Small(nn.Module):
    """A network on a GPU whose memory holds no more than so many proteins."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most, self.asked = network, most, 0

    def forward(self, batch):
        self.asked += 1
        if batch.num_graphs > self.most:
            raise torch.OutOfMemoryError("no memory")
        return self.network(batch)


def test_less_at_a_time_where_the_memory_runs_out(bundle, expected, monkeypatch):
    real, wrapped = ensemble.load_model, []

    def load_model(folder):
        network, description = real(folder)
        wrapped.append(Small(network, 2))
        return wrapped[-1], description

    monkeypatch.setattr(ensemble, "load_model", load_model)
    require_same(predict_sequences(queries(), bundle, OFFLINE), table(expected / "predictions.csv"))
    assert all(network.asked > 10 for network in wrapped)


def test_another_language_model_is_refused(bundle, fasta, tmp_path):
    other = tmp_path / "other.pt"
    other.write_bytes(CHECKPOINT.read_bytes() + b"x")
    with pytest.raises(HaloError, match=r"other.pt: its sha256 is \w+, but the bundle"):
        predict(fasta, bundle, tmp_path / "out", replace(OFFLINE, language_model=other))
    with pytest.raises(HaloError, match=r"needs the language model esm2_demo.*--language-model"):
        predict(fasta, bundle, tmp_path / "out", replace(OFFLINE, language_model=None))


def test_a_bundle_holds_what_was_trained(small, bundle):
    network, description = load_model(bundle / "models/0/1/halo")
    assert not network.training
    assert description.labels == list(small.proteins.label_names)
