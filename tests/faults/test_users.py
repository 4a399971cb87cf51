"""Several users of one store at the same time, with garbage collection by one of them."""

import http.server
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import certifi
import numpy as np
import pytest

import halo.uniprot.download
from child import User
from halo.download import download
from halo.errors import HaloError
from halo.proteins.members import Member
from halo.shards import open_store, write_shard
from halo.store import Store, bucket_of
from halo.store_upkeep import compact, find_garbage, remove_garbage
from halo.structures.archive import fasta_of_archive, read_index
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.layout import Note, pack
from halo.structures.search import Result
from halo.structures.staging import Staging
from halo.training.state import Position, load_state, save_state
from halo.uniprot.download import download_entries
from halo.uniprot.settings import UniprotSettings
from test_store import LAYOUT, name_of, record

GROUP = 5_000
MODEL = "AF-P12345-F1-model_v4.pdb"
NAMES = [name_of(str(number)) for number in range(40)]


ANN, BEN, GUEST = User(4001, (GROUP,), 0o077), User(4002, (GROUP,)), User(4003)


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


def write_beside_segments(root: Path, tar: Path, url: str) -> None:
    """What jobs put into a store besides segments: downloads, indexes, states, staged proteins."""
    download(url, root / "downloads/table.csv", None, 100_000)
    download(url, root / "language_models/model.pt", None, 100_000)
    page = SimpleNamespace(
        headers={"X-Total-Results": "1"}, json=lambda: {"results": [{"primaryAccession": "A"}]}
    )
    with patch.object(halo.uniprot.download, "_pages", lambda settings: [page]):
        download_entries(UniprotSettings(query="kinase"), root / "downloads/uniprot.jsonl.gz")
    assert read_index(tar, root / "archives").name.tolist() == [MODEL.encode()]
    assert fasta_of_archive(tar, root / "archives").exists()
    save_state(root / "finetune/a/state.safetensors", Position(), {}, shared=True)
    assert load_state(root / "finetune/a/state.safetensors") is not None
    staging = Staging(Store.create(root, "structures", {}, STRUCTURES))
    staging.settle(bucket_of(NAMES[0]))
    staging.put(NAMES[0], Result(pack(contacts=np.zeros((1, 2), np.uint16)), Note("ok")))


def test_two_users_share_what_lies_in_a_store_besides_segments(place, monkeypatch):
    """Each may read and replace what the other has put there."""
    root = place / "store"
    tar = place / "models.tar"
    with tarfile.open(tar, "w") as archive:
        archive.addfile(tarfile.TarInfo(MODEL))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=place)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/models.tar"
        # Python's packages may lie where other users cannot read: all modules are loaded, and the
        # certificates, which each client reads, are copied.
        certificates = shutil.copy(certifi.where(), place / "certificates.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
        (place / "loaded").mkdir()
        write_beside_segments(place / "loaded", tar, url)
        for user in (ANN, BEN, ANN):
            work = user.start(lambda: write_beside_segments(root, tar, url))
            assert os.waitpid(work, 0)[1] == 0
        server.shutdown()
    for path in root.rglob("*"):
        assert path.stat().st_mode & 0o7777 == (0o2775 if path.is_dir() else 0o664), path
        assert path.stat().st_gid == GROUP, path
    # Who may only read makes an index that is not there, and keeps it to himself.
    [index] = (root / "archives").glob("*.npz")
    index.unlink()
    reader = GUEST.start(lambda: read_index(tar, root / "archives"))
    assert os.waitpid(reader, 0)[1] == 0
    assert not index.exists()


def test_missing_permissions_are_reported_before_anything_is_computed(place):
    root = place / "store"

    def refused() -> None:
        with pytest.raises(HaloError, match=r"no permission.*chgrp"):
            use(root, place / str(GUEST.uid) / "000.json", [*NAMES, name_of("another")])

    made = ANN.start(lambda: use(root, place / str(ANN.uid) / "000.json", NAMES))
    assert os.waitpid(made, 0)[1] == 0
    assert os.waitpid(GUEST.start(refused), 0)[1] == 0
