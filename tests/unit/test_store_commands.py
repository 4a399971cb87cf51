"""Commands for maintaining the store."""

import logging
import os
import runpy
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from halo.embeddings.layout import LAYOUT
from halo.files import read_json
from halo.proteins.members import Member
from halo.shards import write_shard
from halo.store import Store, bucket_of
from test_store import name_of

NAMES = [name_of(str(number)) for number in range(4)]


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Embeddings below ``store``, which is the working folder's; they have not changed lately."""
    monkeypatch.chdir(tmp_path)
    made = Store.create(Path("store"), "embeddings", {}, LAYOUT)
    for names in (NAMES, NAMES[:1]):
        with made.writer() as writer:
            for name in names:
                writer.add(name, {"residues": np.ones((3, 8), np.float16)})
    return made


@pytest.fixture
def call(root, monkeypatch, caplog):
    """Calls a script: what it logged and its exit status."""

    def run(script: str, *arguments: object) -> tuple[str, int]:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        caplog.clear()
        status = 0
        try:
            runpy.run_path(str(root / "scripts" / script), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
        return caplog.text, status

    monkeypatch.setattr("halo.cli.start_log", lambda *arguments: None)
    caplog.set_level(logging.INFO, "halo")
    return run


def write(shard: Path, store: Store) -> Path:
    members: dict[str, list[Member]] = {}
    for name in sorted(NAMES):
        members.setdefault(bucket_of(name), []).append(Member(name, (), "M"))
    write_shard(shard, store, members)
    return shard


def age(store: Store) -> None:
    then = time.time() - 30 * 86_400
    for path in (store.path, *store.path.iterdir()):
        os.utime(path, (then, then))


def test_garbage_is_removed_only_on_request(store, call):
    age(store)
    said, status = call("store.py", "gc")
    assert status == 0
    assert f"unused: {store.path}" in said
    assert "say --yes" in said
    assert store.path.exists()
    for wrong in ("sotre", "results", "."):
        said, status = call("store.py", "gc", "--store", wrong, "--yes")
        assert status == 1
        assert "no store here" in said
    shard = write(Path("results/run/embeddings/000.json"), store)
    age(store)
    said, status = call("store.py", "gc", "--yes")
    assert store.path.exists()
    assert f"used by {shard.resolve().parent}" in said
    shard.unlink()
    assert "1 registrations removed" in call("store.py", "forget", "--run", "results/run")[0]
    age(store)
    call("store.py", "gc", "--yes")
    assert not store.path.exists()


def test_the_store_is_checked_and_joined(store, call):
    said, status = call("store.py", "check")
    assert (status, "5 proteins are whole, 0 segments are not" in said) == (0, True)
    assert call("store.py", "compact")[1] == 0
    assert "4 proteins are whole" in call("store.py", "check")[0]
    segment = min(store.path.glob("*/*.h5"))
    with h5py.File(segment, "r+") as file:
        file["residues"][0, 0] = 2
    said, status = call("store.py", "check")
    assert status == 1
    assert str(segment) in said
    assert f"rm {segment}" in said
    said, status = call("store.py", "check", "--remove")
    assert (status, f"{segment}: removed" in said) == (0, True)
    assert not segment.exists()
    assert "3 proteins are whole, 0 segments are not" in call("store.py", "check")[0]


def test_embeddings_that_another_run_uses_are_not_dropped(store, call):
    mine = write(Path("results/mine/kfold/0/embeddings/000.json"), store)
    other = write(Path("results/other/kfold/0/embeddings/000.json"), store)
    arguments = ("--embeddings", mine, "--store", "store", "--out", "dropped.json")
    said, status = call("drop_embeddings.py", *arguments)
    assert status == 0
    assert str(other.parent.resolve()) in said
    assert store.path.exists()
    assert read_json(Path("dropped.json"))["used_by"] == [str(other.parent.resolve())]
    call("drop_embeddings.py", "--embeddings", other, *arguments[2:])
    assert not store.path.exists()
    assert read_json(Path("dropped.json"))["bytes"] > 0
