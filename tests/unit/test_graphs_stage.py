"""The graphs stage: graphs that it builds, and the content of the store afterwards."""

import numpy as np
import pytest

from halo.files import sha256_of_text
from halo.graphs import stage
from halo.graphs.build import build_graph
from halo.graphs.layout import LAYOUT
from halo.graphs.settings import GraphSettings
from halo.graphs.stage import build_graphs
from halo.proteins.members import Member
from halo.store import Store, bucket_of
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.layout import Note, pack
from halo.structures.versions import structure_version

SETTINGS = GraphSettings()
SEQUENCES = ["ACDEFGHIKL" * count for count in range(2, 9)]
MEMBERS: dict[str, list[Member]] = {}
for text in SEQUENCES:
    name = sha256_of_text(text)
    MEMBERS.setdefault(bucket_of(name), []).append(Member(name, (), text))


def put_structure(structures: Store, sequence: str, contact: int, status: str = "ok") -> None:
    """A structure of one contact, in place of an earlier one."""
    contacts = np.array([[0, contact]], np.uint16)
    note = Note(status, sha256=f"{contact:064d}")
    with structures.writer() as writer:
        arrays = pack(contacts=contacts) if status == "ok" else pack()
        writer.add(sha256_of_text(sequence), arrays, {"manifest": note.to_json()})


@pytest.fixture
def structures(tmp_path) -> Store:
    made = Store.create(tmp_path, "structures", {}, STRUCTURES)
    for sequence in SEQUENCES[:3]:
        put_structure(made, sequence, contact=15)
    put_structure(made, SEQUENCES[3], contact=0, status="missing")
    return made


def require_right(store: Store, structures: Store) -> None:
    """Every graph is there, and is the one of its sequence and its structure."""
    for sequence in SEQUENCES:
        name = sha256_of_text(sequence)
        known = structure_version(structures, name)
        expected = build_graph(sequence, structures.read(name) if known else None, SETTINGS)
        found = Store(store.path, LAYOUT).read(name)
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values.astype(found[key].dtype), key)


def built(monkeypatch) -> list[str]:
    """The sequences whose graphs are built from now on."""
    found: list[str] = []
    real = stage.build_graph

    def noted(sequence: str, *arguments):
        found.append(sequence)
        return real(sequence, *arguments)

    monkeypatch.setattr(stage, "build_graph", noted)
    return found


def test_a_repeated_call_computes_only_missing_results(tmp_path, structures, monkeypatch):
    first = dict(list(MEMBERS.items())[:3])
    done = [member.sequence for found in first.values() for member in found]
    build_graphs(first, tmp_path, structures, SETTINGS)
    now = built(monkeypatch)
    store = build_graphs(MEMBERS, tmp_path, structures, SETTINGS)
    assert sorted(now) == sorted(set(SEQUENCES) - set(done))
    require_right(store, structures)
    now.clear()
    build_graphs(MEMBERS, tmp_path, structures, SETTINGS)
    assert not now


def test_a_graph_whose_structure_is_another_by_now_is_built_again(
    tmp_path, structures, monkeypatch
):
    build_graphs(MEMBERS, tmp_path, structures, SETTINGS)
    changed = [SEQUENCES[0], SEQUENCES[3], SEQUENCES[5]]  # another one, found at last, new
    for sequence in changed:
        put_structure(structures, sequence, contact=17)
    now = built(monkeypatch)
    store = build_graphs(MEMBERS, tmp_path, structures, SETTINGS)
    assert sorted(now) == sorted(changed)
    require_right(store, structures)
