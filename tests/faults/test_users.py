"""Several users of one store, at the same time, and one of them collects garbage."""

import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from halo.errors import HaloError
from halo.proteins.members import Member
from halo.shards import open_store, write_shard
from halo.store import Store, bucket_of
from halo.store_upkeep import compact, find_garbage, remove_garbage
from test_store import LAYOUT, name_of, record

GROUP = 5_000
NAMES = [name_of(str(number)) for number in range(40)]


@dataclass(frozen=True)
class User:
    """Who runs a process: user id, groups and umask."""

    uid: int
    groups: tuple[int, ...]
    umask: int

    def start(self, work: Callable[[], None]) -> int:
        """Do `work` in a process of this user's; its id."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            os.setgroups(self.groups)
            os.setgid(self.uid)
            os.setuid(self.uid)
            os.umask(self.umask)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


ANN, BEN, GUEST = User(4001, (GROUP,), 0o077), User(4002, (GROUP,), 0o022), User(4003, (), 0o022)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach, with a group's store and a folder for each user."""
    if os.geteuid() != 0:
        pytest.skip("only root can be several users")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "store").mkdir()
    os.chown(folder / "store", 0, GROUP)
    (folder / "store").chmod(0o2775)
    for user in (ANN, BEN, GUEST):
        (folder / str(user.uid)).mkdir()
        os.chown(folder / str(user.uid), user.uid, user.uid)
    yield folder
    shutil.rmtree(folder)


def use(root: Path, shard: Path, names: list[str]) -> None:
    """What a job does: write what is missing, little by little, and then the shard file."""
    store = Store.create(root, "graphs", {}, LAYOUT, shard)
    store.require_writable(store.missing(names))
    with store.writer(flush_bytes=1) as writer:
        for name in store.missing(names):
            writer.add(name, record(5, int(name[:6], 16)), {"note": name[:6]})
            time.sleep(0.005)
    members: dict[str, list[Member]] = {}
    for name in sorted(names):
        members.setdefault(bucket_of(name), []).append(Member(name, (), "M"))
    write_shard(shard, store, members)
    read(open_store([shard], LAYOUT, root), names)


def read(store: Store, names: list[str]) -> None:
    for name in names:
        expected = record(5, int(name[:6], 16))["rows"]
        np.testing.assert_array_equal(store.read(name)["rows"], expected)


def collect(root: Path, seconds: float) -> None:
    """Remove what is not used, and join segments, again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if list(root.glob("*/*/fingerprint.json")):
            remove_garbage(find_garbage(root, days=0))
        for note in root.glob("graphs/[!.]*/fingerprint.json"):
            compact(note.parent, LAYOUT)
        time.sleep(0.02)


def test_two_users_share_a_store_while_one_collects_garbage(place):
    root = place / "store"
    shards = [place / str(user.uid) / "results/run/graphs/000.json" for user in (ANN, BEN)]
    unused = ANN.start(lambda: Store.create(root, "graphs", {"unused": 1}, LAYOUT))
    assert os.waitpid(unused, 0)[1] == 0
    running = [
        ANN.start(lambda: use(root, shards[0], NAMES[:30])),
        BEN.start(lambda: use(root, shards[1], NAMES[10:])),
        BEN.start(lambda: collect(root, 1.5)),
    ]
    assert [os.waitpid(process, 0)[1] for process in running] == [0, 0, 0]
    (left,) = root.glob("*/[!.]*/fingerprint.json")
    assert not Store(left.parent, LAYOUT).missing(NAMES)
    # A run of the other's proteins has nothing to write, and who is not of the group can read.
    for user in (ANN, BEN, GUEST):
        reader = user.start(lambda: read(Store(left.parent, LAYOUT), NAMES))
        assert os.waitpid(reader, 0)[1] == 0
    before = sorted(root.rglob("*"))
    guest = place / str(GUEST.uid) / "000.json"
    reader = GUEST.start(lambda: use(root, guest, NAMES))
    assert os.waitpid(reader, 0)[1] == 0
    assert sorted(root.rglob("*")) == before


def test_who_may_not_write_is_told_before_anything_is_computed(place):
    root = place / "store"

    def refused() -> None:
        with pytest.raises(HaloError, match=r"no permission.*chgrp"):
            use(root, place / str(GUEST.uid) / "000.json", [*NAMES, name_of("another")])

    made = ANN.start(lambda: use(root, place / str(ANN.uid) / "000.json", NAMES))
    assert os.waitpid(made, 0)[1] == 0
    assert os.waitpid(GUEST.start(refused), 0)[1] == 0
