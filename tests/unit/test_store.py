"""The store returns what was written, for any number of segments, and survives a kill."""

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo.segments import DamagedSegment
from halo.store import Array, Layout, MissingProtein, Store, bucket_of, fingerprint_of
from halo.store_upkeep import compact

LAYOUT = Layout({"rows": Array("float16", (3,)), "marks": Array("uint8")}, ("note",))


def name_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(length: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "rows": rng.normal(size=(length, 3)).astype("float16"),
        "marks": rng.integers(0, 255, length // 2, dtype=np.uint8),
    }


def put(store: Store, names: list[str], lengths: list[int], flush_bytes: int = 1 << 28) -> None:
    with store.writer(flush_bytes=flush_bytes) as writer:
        for name, length in zip(names, lengths, strict=True):
            writer.add(name, record(length, length), {"note": f"n{length} é"})


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True),
    flush_bytes=st.sampled_from([1, 200, 1 << 20]),
)
def test_a_record_is_read_as_it_was_written(tmp_path, lengths, flush_bytes):
    store = Store.create(tmp_path, "test", {"lengths": lengths, "f": flush_bytes}, LAYOUT)
    names = [name_of(str(length)) for length in lengths]
    put(store, names, lengths, flush_bytes)
    reader = Store(store.path, LAYOUT)
    assert reader.missing([*names, name_of("x")]) == [name_of("x")]
    for name, length in zip(names, lengths, strict=True):
        for key, value in record(length, length).items():
            np.testing.assert_array_equal(reader.read(name)[key], value)
        assert reader.attributes(name) == {"note": f"n{length} é"}


def test_newest_segment_counts(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    name = name_of("a")
    for length in (3, 5):
        with store.writer() as writer:
            writer.add(name, record(length, length), {"note": ""})
    assert len(Store(store.path, LAYOUT).read(name, "rows")["rows"]) == 5


def test_an_index_that_does_not_fit_is_repeated(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    put(store, [name_of("a")], [4])
    index = store.path / bucket_of(name_of("a")) / "index.json"
    assert name_of("a") in Store(store.path, LAYOUT)
    index.write_text('{"gone.h5": ["0"]}')
    assert name_of("a") in Store(store.path, LAYOUT)


def test_finished_proteins_survive_an_exception(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    name = name_of("a")
    with pytest.raises(RuntimeError), store.writer() as writer:  # noqa: PT012
        writer.add(name, record(4, 4), {"note": ""})
        raise RuntimeError
    assert name in Store(store.path, LAYOUT)


def test_other_descriptions_are_other_stores(tmp_path):
    one = Store.create(tmp_path, "test", {"a": 1, "b": 2}, LAYOUT)
    assert Store.create(tmp_path, "test", {"b": 2, "a": 1}, LAYOUT).path == one.path
    assert Store.create(tmp_path, "test", {"a": 1, "b": 3}, LAYOUT).path != one.path
    assert len(fingerprint_of({})) == 16


def test_wrong_rows_are_refused(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    name = name_of("a")
    with store.writer() as writer:
        wrong = record(4, 4) | {"rows": np.zeros((4, 2))}
        with pytest.raises(ValueError, match="rows"):
            writer.add(name, wrong)


def test_damaged_segment_is_named(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    put(store, [name_of("a")], [4])
    (segment,) = store.path.glob("*/*.h5")
    segment.write_bytes(segment.read_bytes()[:100])
    with pytest.raises(DamagedSegment, match=f"remove the file.*: rm {segment}"):
        Store(store.path, LAYOUT).read(name_of("a"))
    segment.unlink()
    assert Store(store.path, LAYOUT).missing([name_of("a")])


def test_unknown_protein_is_a_key_error(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    with pytest.raises(MissingProtein, match="is not in"):
        store.read(name_of("a"))


def test_pickled_and_forked_stores_open_files_for_themselves(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    put(store, [name_of("a")], [4])
    store.read(name_of("a"))
    assert len(pickle.loads(pickle.dumps(store)).read(name_of("a"))["rows"]) == 4
    child = os.fork()
    if not child:
        os._exit(0 if len(store.read(name_of("a"))["rows"]) == 4 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(store.read(name_of("a"))["rows"]) == 4


def test_compaction_joins_segments_and_keeps_the_content(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    for lengths in ([3, 4, 5, 6], [7, 8], [9]):
        put(store, [name_of("x" * length) for length in lengths], lengths, flush_bytes=1)
    with store.writer() as writer:  # a newer record of the first protein
        writer.add(name_of("xxx"), record(30, 30), {"note": "new"})
    segments = len(list(store.path.glob("*/*.h5")))
    buckets = len({path.parent for path in store.path.glob("*/*.h5")})
    gone = compact(store.path, LAYOUT)
    assert len(list(store.path.glob("*/*.h5"))) == buckets
    assert gone >= segments - buckets > 0
    again = Store(store.path, LAYOUT)
    assert again.attributes(name_of("xxx")) == {"note": "new"}
    for length in range(4, 10):
        found = again.read(name_of("x" * length))
        np.testing.assert_array_equal(found["rows"], record(length, length)["rows"])
    assert compact(store.path, LAYOUT) == 0


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
sys.path.insert(0, sys.argv[3])
from test_store import LAYOUT, name_of, record
from halo.store import Store, bucket_of
store = Store.create(sys.argv[1], "test", {}, LAYOUT)
for number in range(100_000):
    name = name_of(str(number))
    if name in store:
        continue
    with store.writer() as writer:
        writer.add(name, record(number % 50, number % 50), {"note": str(number)})
"""


@pytest.mark.slow
def test_killed_writers_leave_whole_proteins(tmp_path, root):
    """SIGKILL at random moments: every segment opens and holds what belongs there."""
    rng = np.random.default_rng(1)
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    for _ in range(4):
        arguments = [str(tmp_path), str(root / "workflow"), str(Path(__file__).parent)]
        before = len(list(store.path.glob("*/*.h5")))
        process = subprocess.Popen([sys.executable, "-c", WRITER, *arguments])
        while len(list(store.path.glob("*/*.h5"))) < before + 3:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
    segments = list(store.path.glob("*/*.h5"))
    for segment in segments:
        with h5py.File(segment) as file:
            assert len(file["hash"]) == 1
    held = [number for number in range(5_000) if name_of(str(number)) in store]
    assert held == list(range(len(held)))
    for number in held:
        np.testing.assert_array_equal(
            store.read(name_of(str(number)))["rows"], record(number % 50, number % 50)["rows"]
        )


def test_numbers_that_are_equal_name_one_store():
    """The rules and the stages write 10.0 in two ways."""
    one, other = {"a": [{"radius": 10.0}], "b": 0.5}, {"b": 0.5, "a": [{"radius": 10}]}
    assert fingerprint_of(one) == fingerprint_of(other)
    assert fingerprint_of(one) != fingerprint_of({"a": [{"radius": 10.5}], "b": 0.5})
    assert fingerprint_of({"a": True}) != fingerprint_of({"a": 1})
