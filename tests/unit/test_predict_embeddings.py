"""Predictions from embeddings of a file, without a language model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from halo.embeddings.layout import LAYOUT, read_embedding
from halo.errors import HaloError
from halo.predict.bundle import DESCRIPTION, MANIFEST, listed, read_bundle
from halo.predict.run import predict
from halo.predict.sources import find_language_model
from halo.shards import open_store
from predict_bundle import OFFLINE, SmallRun

COUNT = 4


@pytest.fixture(scope="module")
def embeddings(small_run: SmallRun, tmp_path_factory) -> Path:
    """The embeddings of the run's language model, by id, but for one of the queries."""
    folder, table = small_run.folder, small_run.proteins.table
    store = open_store([folder / "embeddings.json"], LAYOUT, folder / "store")
    path = tmp_path_factory.mktemp("embeddings") / "some.h5"
    with h5py.File(path, "w") as file:
        for name, digest in zip(table["id"], table["seq_hash"], strict=True):
            file[name] = read_embedding(store, digest)
        del file[table["id"].iat[COUNT - 1]]
    return path


@pytest.fixture(scope="module")
def fasta(small_run: SmallRun, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "in.fasta"
    rows = small_run.proteins.table.head(COUNT)
    path.write_text(
        "".join(f">{n}\n{s}\n" for n, s in zip(rows["id"], rows["sequence"], strict=True))
    )
    return path


def from_file(path: Path):
    return replace(OFFLINE, language_model=None, embeddings=str(path), page=1)


def test_the_predictions_are_those_of_the_language_model(small_bundle, fasta, embeddings, tmp_path):
    expected = pd.read_csv(predict(fasta, small_bundle, tmp_path / "model", OFFLINE))
    found = pd.read_csv(predict(fasta, small_bundle, tmp_path / "file", from_file(embeddings)))
    assert len(found) == COUNT - 1
    pd.testing.assert_frame_equal(found, expected.head(COUNT - 1), atol=1e-5)
    [rejected] = pd.read_csv(tmp_path / "file/rejected.csv").to_dict("records")
    assert rejected["id"] == expected["id"].iat[-1]
    assert rejected["reason"] == "no embedding"
    assert rejected["line"] == 2 * COUNT - 1


def changed(path: Path, target: Path, change) -> Path:
    with h5py.File(path, locking=False) as file, h5py.File(target, "w") as made:
        for name in file:
            made[name] = change(file[name][:])
    return target


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:, ::-1], "not like those of esm2_demo.*correlation"),
        (lambda rows: rows[:, :64], "64 columns, but the bundle.*esm2_demo with 96"),
    ],
)
def test_embeddings_by_another_model_are_refused(
    small_bundle, fasta, embeddings, tmp_path, change, words
):
    other = changed(embeddings, tmp_path / "other.h5", change)
    with pytest.raises(HaloError, match=words):
        predict(fasta, small_bundle, tmp_path / "out", from_file(other))


def test_other_values_are_predicted_again(small_bundle, fasta, embeddings, tmp_path):
    """A finished chunk is of the file that it was made from."""
    before = pd.read_csv(predict(fasta, small_bundle, tmp_path / "out", from_file(embeddings)))
    other = changed(embeddings, tmp_path / "other.h5", lambda rows: 2 * rows)
    after = pd.read_csv(predict(fasta, small_bundle, tmp_path / "out", from_file(other)))
    assert not np.allclose(before["p:Nucleus"], after["p:Nucleus"], atol=1e-4)


def rewritten(bundle: Path, folder: Path, change) -> Path:
    """A copy of the bundle with another description."""
    shutil.copytree(bundle, folder)
    description = json.loads((folder / DESCRIPTION).read_text())
    change(description)
    (folder / DESCRIPTION).write_text(json.dumps(description))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = listed(folder)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_a_bundle_that_was_trained_on_a_file_asks_for_one(
    small_bundle, fasta, embeddings, tmp_path
):
    def change(description):
        description["language_model"] |= {"source": "file", "name": "prot_t5"}

    bundle = rewritten(small_bundle, tmp_path / "bundle", change)
    with pytest.raises(HaloError, match=r"embeddings by prot_t5.*give a file.*--embeddings"):
        predict(fasta, bundle, tmp_path / "out", OFFLINE)
    predict(fasta, bundle, tmp_path / "out", from_file(embeddings))


def test_a_bundle_with_fine_tuned_models_takes_no_file(small_bundle, embeddings, tmp_path):
    def change(description):
        description["models"][0]["adapter"] = adapter = "models/0/finetune/adapter.safetensors"
        file = tmp_path / "bundle" / adapter
        file.parent.mkdir()
        file.touch()  # it is listed, and not read

    bundle = rewritten(small_bundle, tmp_path / "bundle", change)
    found = read_bundle(bundle)
    with pytest.raises(HaloError, match="fine-tuned language models, whose"):
        find_language_model(found, from_file(embeddings))
