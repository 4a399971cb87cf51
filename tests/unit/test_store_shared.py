"""A shared store: registrations, removal, and damaged or missing segments."""

import errno
import json
import os
import re
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.files import atomic_path, read_json, write_json
from halo.proteins.members import HEADER, Member
from halo.segments import DamagedSegment
from halo.shards import PATIENCE, is_lost, open_store, write_shard
from halo.store import MissingProtein, Store, bucket_of
from halo.store_upkeep import (
    check,
    compact,
    find_garbage,
    forget,
    remove_garbage,
    remove_store,
    users_of,
)
from halo.users import register, registration
from test_store import LAYOUT, name_of, put, record

NAMES = [name_of(str(number)) for number in range(6)]


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with six proteins, each in a segment of its own."""
    made = Store.create(tmp_path / "store", "graphs", {}, LAYOUT)
    put(made, NAMES, list(range(4, 10)), flush_bytes=1)
    return made


def members_of(names: list[str]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for name in sorted(names):
        found.setdefault(bucket_of(name), []).append(Member(name, (), "M"))
    return found


def write_members(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for bucket, members in members_of(names).items():
        lines = ["\t".join(HEADER), *(f"{member.seq_hash}\t\tM" for member in members), ""]
        (folder / f"{bucket}.tsv").write_text("\n".join(lines))
    return folder


def segment_of(store: Store, name: str) -> Path:
    (found,) = (store.path / bucket_of(name)).glob("*.h5")
    return found


def rest(store: Store, seconds: float) -> None:
    """Let the store look as if it had not changed for so long."""
    then = time.time() - seconds
    for path in (store.path, *store.path.iterdir()):
        os.utime(path, (then, then))


# ------------------------------------------------------------------ damage


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1), content=st.binary(min_size=1, max_size=100))
def test_overwritten_bytes_are_never_read_as_data(tmp_path, place, content):
    """What is read is what was written, or a damaged segment that is named."""
    store = Store.create(tmp_path, "test", {"case": [place, content.hex()]}, LAYOUT)
    put(store, NAMES[:1], [40])
    segment = segment_of(store, NAMES[0])
    data = bytearray(segment.read_bytes())
    start = int(place * (len(data) - len(content)))
    data[start : start + len(content)] = content
    segment.write_bytes(data)
    reader = Store(store.path, LAYOUT)
    try:
        found = reader.read(NAMES[0])
        note = reader.attributes(NAMES[0])
    except DamagedSegment:
        return
    for key, value in record(40, 40).items():
        np.testing.assert_array_equal(found[key], value)
    assert note == {"note": "n40 é"}


def test_overwritten_rows_are_found_by_the_reader_and_by_the_check(store):
    assert check(store.path, LAYOUT).proteins == len(NAMES)
    assert not check(store.path, LAYOUT).damaged
    segment = segment_of(store, NAMES[3])
    with h5py.File(segment, "r+") as file:
        file["rows"][1, 1] += 1
    with pytest.raises(DamagedSegment, match=f"{segment.name}.*rows.*checksum"):
        Store(store.path, LAYOUT).read(NAMES[3])
    found = check(store.path, LAYOUT)
    assert found.proteins == len(NAMES) - 1
    assert list(found.damaged) == [segment]
    assert not found.unread


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EAGAIN, errno.EOPNOTSUPP, 524])
def test_a_lock_that_fails_is_no_damage(store, monkeypatch, code):
    """Even where HDF5 locks in spite of its settings."""
    real = h5py.File

    def refuse(name, *arguments, **options):
        if isinstance(name, Path):
            raise OSError(code, f"unable to lock file, errno = {code}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(h5py, "File", refuse)
    reader = Store(store.path, LAYOUT)
    np.testing.assert_array_equal(reader.read(NAMES[0])["rows"], record(4, 4)["rows"])


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_what_the_file_system_refuses_is_no_damage(store, monkeypatch, code):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        Store(store.path, LAYOUT).read(NAMES[0])
    assert not isinstance(caught.value, HaloError)


# ------------------------------------------------------------------ segments that go and come


def test_a_segment_that_was_joined_meanwhile_is_found_in_the_new_one(store):
    with store.writer() as writer:  # a second segment in a bucket, so that it is joined
        writer.add(NAMES[0], record(30, 30), {"note": "new"})
    reader = Store(store.path, LAYOUT)
    before = reader.read(NAMES[0])["rows"]
    assert compact(store.path, LAYOUT)
    np.testing.assert_array_equal(reader.read(NAMES[0])["rows"], before)
    other = Store(store.path, LAYOUT)
    assert all(name in other for name in NAMES)
    other._open = reader._open
    assert compact(store.path, LAYOUT) == 0


def test_what_is_added_while_segments_are_joined_counts_more(store, monkeypatch):
    with store.writer() as writer:
        writer.add(NAMES[0], record(30, 30), {"note": "old"})
    real = Store.write_segment

    def late(self, *arguments):
        monkeypatch.setattr(Store, "write_segment", real)
        with Store(store.path, LAYOUT).writer() as writer:
            writer.add(NAMES[0], record(31, 31), {"note": "newest"})
        return real(self, *arguments)

    monkeypatch.setattr(Store, "write_segment", late)
    compact(store.path, LAYOUT)
    assert Store(store.path, LAYOUT).attributes(NAMES[0]) == {"note": "newest"}


def test_a_record_written_by_a_clock_that_is_behind_counts(store, monkeypatch):
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 120_000_000_000)
    with store.writer() as writer:
        writer.add(NAMES[0], record(30, 30), {"note": "last"})
    assert Store(store.path, LAYOUT).attributes(NAMES[0]) == {"note": "last"}


def test_a_segment_that_comes_late_is_waited_for(store, tmp_path, monkeypatch):
    """As on a network file system, where another node's files are seen some seconds later."""
    shard = tmp_path / "results/run/graphs/000.json"
    write_shard(shard, store, members_of(NAMES))
    segment = segment_of(store, NAMES[2])
    hidden = tmp_path / "hidden"
    segment.rename(hidden)
    with pytest.raises(MissingProtein, match="run again"):
        open_store([shard], LAYOUT, tmp_path / "store").read(NAMES[2])
    monkeypatch.setenv(PATIENCE, "20")
    timer = threading.Timer(0.3, hidden.rename, [segment])
    timer.start()
    assert len(open_store([shard], LAYOUT, tmp_path / "store").read(NAMES[2])["rows"]) == 6
    timer.join()


def test_a_bucket_that_cannot_be_written_keeps_no_other_from_it(tmp_path):
    store = Store.create(tmp_path, "test", {}, LAYOUT)
    names = [prefix + name_of(prefix)[2:] for prefix in ("00", "01", "ff")]
    obstacle = store.path / "00"
    obstacle.write_text("")
    with pytest.raises(NotADirectoryError), store.writer() as writer:  # noqa: PT012
        for name in names:
            writer.add(name, record(4, 4), {"note": ""})
    assert Store(store.path, LAYOUT).missing(names) == names[:1]
    # What could not be written is tried again by the next flush.
    others = [prefix + name_of("other")[2:] for prefix in ("00", "01", "ff")]
    with store.writer() as writer:
        for name in others:
            writer.add(name, record(4, 4), {"note": ""})
        with pytest.raises(NotADirectoryError):
            writer.flush()
        obstacle.unlink()
    assert Store(store.path, LAYOUT).missing([*names, *others]) == names[:1]
    # And what could be written is not written again.
    segments = {folder.name: len(list(folder.glob("*.h5"))) for folder in store.path.glob("??")}
    assert segments == {"00": 1, "01": 2, "ff": 2}


# ------------------------------------------------------------------ file systems


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_fsync_of_folders(tmp_path, monkeypatch, code):
    real = os.fsync

    def refuse(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir():
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_an_fsync_that_fails_is_an_error(tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(code)), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o2775, 0o700, 0o755])
@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_permissions_are_those_of_the_root(tmp_path, mode, umask):
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(umask)
    try:
        store = Store.create(root, "graphs", {}, LAYOUT)
        put(store, NAMES[:1], [4])
        register(store.path, tmp_path / "000.json")
    finally:
        os.umask(before)
    for path in root.rglob("*"):
        expected = mode if path.is_dir() else mode & 0o666
        assert path.stat().st_mode & 0o7777 == expected, path


def test_a_folder_of_another_user_is_refused_before_anything_is_computed(store, monkeypatch):
    refused = str(store.path / bucket_of(NAMES[0]))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != refused)
    with pytest.raises(HaloError, match=f"{refused}: no permission.*chgrp"):
        store.require_writable(NAMES)
    store.require_writable(NAMES[1:])


def test_a_reader_writes_nothing(store):
    for index in store.path.glob("*/index.json"):
        index.unlink()
    before = sorted(store.path.rglob("*"))
    reader = Store(store.path, LAYOUT)
    assert not reader.missing(NAMES)
    reader.read(NAMES[0])
    assert sorted(store.path.rglob("*")) == before


# ------------------------------------------------------------------ shard files


def test_a_shard_file_is_only_written_when_the_store_has_all(store, tmp_path):
    file = tmp_path / "000.json"
    with pytest.raises(HaloError, match="1 of 7 proteins"):
        write_shard(file, store, members_of([*NAMES, name_of("x")]))
    assert not file.exists()
    write_shard(file, store, members_of([*NAMES, name_of("x")]), {name_of("x")})
    assert read_json(file)["proteins"] == 7


def test_a_store_that_has_lost_proteins_does_not_bear_out_the_shard_file(store, tmp_path):
    file, members = tmp_path / "000.json", write_members(tmp_path / "members", NAMES)
    write_shard(file, store, members_of(NAMES))
    content = file.read_bytes()
    assert not is_lost(file, tmp_path / "not read", tmp_path / "store")
    with store.writer() as writer:  # another run's
        writer.add(name_of("x"), record(3, 3), {"note": ""})
        writer.add(NAMES[0], record(30, 30), {"note": "new"})
    assert not is_lost(file, tmp_path / "not read", tmp_path / "store")
    compact(store.path, LAYOUT)
    assert not is_lost(file, tmp_path / "not read", tmp_path / "store")

    segment_of(store, NAMES[1]).unlink()
    assert is_lost(file, members, tmp_path / "store")
    put(store, NAMES[1:2], [5])
    assert not is_lost(file, members, tmp_path / "store")
    write_shard(file, store, members_of(NAMES))
    assert file.read_bytes() == content  # jobs that depend on it do not run again

    registered = next((store.path / "users").iterdir())
    registered.unlink()  # a run that was moved
    assert not is_lost(file, members, tmp_path / "store")
    segment_of(store, NAMES[2]).unlink()
    assert is_lost(file, members, tmp_path / "store")
    registered.write_text("{")
    assert is_lost(file, members, tmp_path / "store")


# ------------------------------------------------------------------ users


def test_nothing_is_removed_that_a_registered_run_names(store, tmp_path, monkeypatch):
    root = tmp_path / "store"
    unused = Store.create(root, "graphs", {"other": 1}, LAYOUT)
    shard = tmp_path / "project/results/run/graphs/000.json"
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    relative = Path("results/run/graphs/000.json")
    write_shard(relative, store, members_of(NAMES))
    monkeypatch.chdir(tmp_path)
    for path in (store, unused):
        rest(path, 30 * 86_400)
    garbage = find_garbage(root, days=7)
    assert garbage.stores == (unused.path,)
    assert not find_garbage(root, days=60).stores
    remove_garbage(garbage)
    assert not unused.path.exists()
    assert not Store(store.path, LAYOUT).missing(NAMES)

    shard.unlink()  # it may lie on another machine's disk
    assert not find_garbage(root, days=7).stores
    write_json(shard, {"store": "store/graphs/another"})  # the run has other settings now
    assert find_garbage(root, days=7).stores == (store.path,)
    write_json(shard, {"store": str(store.path)})
    assert not find_garbage(root, days=7).stores
    with pytest.raises(
        HaloError, match=r"no run in \S*runs is registered.*such as \S*results/run/"
    ):
        forget(root, tmp_path / "project/results/runs")
    for folder in ("project/results/run", "project", "."):
        with pytest.raises(HaloError, match="a run is still there"):
            forget(root, tmp_path / folder)
    assert not find_garbage(root, days=7).stores
    shard.unlink()
    assert forget(root, tmp_path / "project/results/run") == 1
    rest(store, 30 * 86_400)
    assert find_garbage(root, days=7).stores == (store.path,)


def test_a_mistyped_root_is_an_error(tmp_path):
    with pytest.raises(HaloError, match="no store here"):
        find_garbage(tmp_path / "sotre", days=7)


def test_a_run_that_registers_while_its_store_is_removed_keeps_it(store, tmp_path, monkeypatch):
    real = Path.rename

    def late(self, target):
        register(store.path, tmp_path / "000.json")
        monkeypatch.setattr(Path, "rename", real)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert remove_store(store.path) == 0
    assert not Store(store.path, LAYOUT).missing(NAMES)


def test_leftovers_of_killed_jobs_go_and_files_of_running_ones_stay(store, tmp_path):
    old, young = (store.path / f"00/.{name}.h5.x.tmp" for name in ("old", "young"))
    old.parent.mkdir(exist_ok=True)
    for file in (old, young):
        file.touch()
    os.utime(old, (0, 0))
    garbage = find_garbage(tmp_path / "store", days=7)
    assert garbage.leftovers == (old,)
    remove_garbage(garbage)
    assert young.exists()
    assert not old.exists()


def test_a_job_registers_before_it_computes(tmp_path):
    shard = tmp_path / "results/run/graphs/000.json"
    store = Store.create(tmp_path / "store", "graphs", {}, LAYOUT, shard)
    note = registration(store.path, shard)
    assert note is not None
    assert note.segments is None
    assert [Path(user.shard) for user in users_of(store.path)] == [shard]
    put(store, NAMES, [4] * len(NAMES))
    write_shard(shard, store, members_of(NAMES))
    Store.create(tmp_path / "store", "graphs", {}, LAYOUT, shard)
    assert registration(store.path, shard).segments  # a later job's start keeps it


def test_a_damaged_registration_removes_nothing(store, tmp_path):
    register(store.path, tmp_path / "000.json")
    (file,) = (store.path / "users").iterdir()
    file.write_text(json.dumps({"shard": 1, "unknown": 2}))
    with pytest.raises(HaloError, match=str(file)):
        remove_store(store.path)
    assert store.path.exists()


def test_the_tests_that_the_documentation_names_are_there(root):
    named = set(re.findall(r"`(test_\w+)`", (root / "docs/explanation/faults.md").read_text()))
    assert named
    written = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in written} == set()
