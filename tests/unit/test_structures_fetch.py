"""The structures stage: store, killed jobs, manifest, scripts."""

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
from scipy.spatial import KDTree

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.proteins.members import Member, write_members
from halo.proteins.table import Proteins, write_proteins
from halo.store import BUCKETS, Store
from halo.structures.fetch import fetch_structures
from halo.structures.layout import LAYOUT, STATUSES, Note, pack
from halo.structures.manifest import merge_parts, summary_table, write_part
from halo.structures.parse import parse_structure
from halo.structures.search import Result
from halo.structures.settings import StructureSettings, TransportSettings
from halo.structures.staging import Staging
from pipeline import forks

from .test_structures_server import (
    AlphaFoldServer,
    members_of,
    model_pdb,
    sequence_of,
)

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "afdb"
HASH = sha256_of_text("ACDEG")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def script(name, *arguments):
    command = [forks().python, str(ROOT / "scripts" / name), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def table_of(sequences):
    return pd.DataFrame(
        {
            "id": [f"id_{name}" for name in sequences],
            "accession": list(sequences),
            "sequence": list(sequences.values()),
            "seq_hash": [sha256_of_text(sequence) for sequence in sequences.values()],
            "length": [len(sequence) for sequence in sequences.values()],
            "split": "",
        }
    )


# ------------------------------------------------------------------ settings and notes


def test_the_fingerprint_depends_on_what_the_content_does():
    base = StructureSettings()
    same = [
        StructureSettings(retry_missing=True),
        StructureSettings(names="names.csv", sequences="all.fasta"),
        StructureSettings(sources=[{"kind": "afdb", "pattern": "x"}]),
    ]
    other = [
        StructureSettings(min_identity=0.9),
        StructureSettings(min_coverage=0.9),
        StructureSettings(max_length=100),
        StructureSettings(sources=[{"kind": "afdb", "version": 4}]),
        StructureSettings(sources=[]),
        StructureSettings(sources=[{"kind": "afdb"}, {"kind": "folder", "path": "x"}]),
        StructureSettings(sources=[{"kind": "folder", "path": "x"}, {"kind": "afdb"}]),
    ]
    assert {json.dumps(settings.description()) for settings in same} == {
        json.dumps(base.description())
    }
    assert len({json.dumps(settings.description()) for settings in (base, *other)}) == 8


def test_notes_survive_their_json():
    note = Note("mismatch", "table", "afdb", "4", "f" * 64, 3, 55.5, "P12345", "why é", ("a", "b"))
    assert Note.from_json(note.to_json()) == note
    assert Note("missing").to_json() == '{"status":"missing"}'
    assert Note.from_json('{"status":"missing"}') == Note("missing")


# ---------------------------------------------------------------------------- staging


def staging_in(path):
    store = Store(path, LAYOUT)
    return store, Staging(store)


def result_of(message):
    contacts = np.arange(40, dtype=np.uint16).reshape(-1, 2)
    return Result(pack(contacts=contacts), Note("ok", message=message))


def test_what_is_staged_is_settled_once(tmp_path):
    store, staging = staging_in(tmp_path)
    staging.put(HASH, result_of("first"))
    assert HASH not in store
    staging.settle(HASH[:2])
    assert Note.from_json(store.attributes(HASH)["manifest"]).message == "first"
    staging.settle(HASH[:2])
    assert len(list(tmp_path.glob("*/*.h5"))) == 1
    assert list((tmp_path / "staging" / HASH[:2]).iterdir()) == []


def test_a_job_killed_between_segment_and_clearing_leaves_no_double(tmp_path):
    _, staging = staging_in(tmp_path)
    staging.put(HASH, result_of("first"))
    (file,) = (tmp_path / "staging" / HASH[:2]).iterdir()
    content = file.read_bytes()
    staging.settle(HASH[:2])
    file.write_bytes(content)
    store, staging = staging_in(tmp_path)
    staging.settle(HASH[:2])
    assert not file.exists()
    assert len(list(tmp_path.glob("*/*.h5"))) == 1
    staging.put(HASH, result_of("second"))
    staging.settle(HASH[:2])
    assert Note.from_json(store.attributes(HASH)["manifest"]).message == "second"


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-30]])
def test_what_the_end_of_the_machine_has_damaged_is_thrown_away(tmp_path, damage):
    store, staging = staging_in(tmp_path)
    staging.put(HASH, result_of("first"))
    (file,) = (tmp_path / "staging" / HASH[:2]).iterdir()
    file.write_bytes(damage(file.read_bytes()))
    staging.settle(HASH[:2])
    assert HASH not in store
    assert not file.exists()


def test_only_old_leftovers_of_killed_jobs_are_removed(tmp_path):
    _, staging = staging_in(tmp_path)
    staging.put(HASH, result_of("first"))
    folder = tmp_path / "staging" / HASH[:2]
    for name, age in ((".old", 90_000), (".young", 10)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    staging.settle(HASH[:2])
    assert [path.name for path in folder.iterdir()] == [".young"]


@pytest.mark.slow
def test_settling_while_others_land_loses_nothing(tmp_path):
    store, staging = staging_in(tmp_path)
    names = [sha256_of_text(str(number)) for number in range(2000)]
    names = ["00" + name[2:] for name in names]
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(staging.put, name, result_of(name)) for name in names]
        while not all(future.done() for future in running):
            staging.settle("00")
    staging.settle("00")
    for name in names:
        assert Note.from_json(store.attributes(name)["manifest"]).message == name


# ------------------------------------------------------------------------ killed jobs


@pytest.mark.slow
def test_killed_ten_times_it_ends_as_if_undisturbed(tmp_path):
    """SIGKILL at ten random moments: the same content, and nothing finished fetched twice."""
    some = {f"P{number}": sequence_of(number, 80) for number in range(20000, 22000)}
    in_few_buckets = (name for name in some if sha256_of_text(some[name]).startswith("0"))
    sequences = {name: some[name] for name in islice(in_few_buckets, 120)}
    hashes = {sha256_of_text(sequence): name for name, sequence in sequences.items()}
    write_members(tmp_path / "members", tmp_path / "members.json", table_of(sequences))
    dice = random.Random(3)

    def start(server, name):
        transport = {"base_url": server.url, "requests_per_second": 100, "concurrency": 3}
        return script(
            "structures.py",
            *("--members", tmp_path / "members", "--buckets", *BUCKETS[:16]),
            *("--store", tmp_path / name, "--manifest", tmp_path / f"{name}.csv"),
            *("--shard", tmp_path / f"{name}.json", "--transport", json.dumps(transport)),
        )

    def finished():
        staged = {path.stem for path in (tmp_path / "killed").glob("*/*/staging/*/*.staged")}
        (store,) = (tmp_path / "killed" / "structures").iterdir()
        stored = Store(store, LAYOUT)
        return staged | {name for name in hashes if name in stored}

    with AlphaFoldServer(sequences) as server:
        undisturbed = start(server, "undisturbed")
        assert undisturbed.wait(600) == 0, undisturbed.stdout.read()
        server.requests.clear()
        for _ in range(10):
            before = len(server.requests)
            job = start(server, "killed")
            target = before + dice.randint(1, 20)
            while len(server.requests) < target and job.poll() is None:
                time.sleep(0.002)
            job.send_signal(signal.SIGKILL)
            job.wait()
            done = {hashes[name] for name in finished()}
            so_far = len(server.requests)
        job = start(server, "killed")
        assert job.wait(600) == 0, job.stdout.read()
        late = [path for path in server.requests[so_far:] if any(name in path for name in done)]
        assert 0 < len(done) < len(sequences)
        assert late == []
        # At a kill at most the searches under way are lost, with two requests each.
        assert len(server.requests) <= 2 * (len(sequences) + 10 * 3)
        again = start(server, "killed")
        count = len(server.requests)
        assert again.wait(600) == 0
        assert len(server.requests) == count

    assert (tmp_path / "killed.csv").read_text() == (tmp_path / "undisturbed.csv").read_text()
    stores = [
        Store(next((tmp_path / name / "structures").iterdir()), LAYOUT)
        for name in ("undisturbed", "killed")
    ]
    for name in hashes:
        first, second = (store.read(name) for store in stores)
        assert all(np.array_equal(first[array], second[array]) for array in LAYOUT.arrays)
        assert stores[0].attributes(name) == stores[1].attributes(name)


# ------------------------------------------------------------------------- real models


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/afdb is not there")
def test_less_than_42_bytes_a_residue(tmp_path):
    """All real models in one bucket: one segment of some 10 MB."""
    members, residues = [], 0
    for path in sorted(REAL.glob("*.pdb.gz")):
        name = path.name.split("-")[1]
        letters = parse_structure(path.read_bytes(), name)[0].letters
        members.append(Member("00" + sha256_of_text(letters)[2:], (name,), letters))
        residues += len(letters)
    settings = StructureSettings(sources=[{"kind": "folder", "path": str(REAL)}])
    store, notes = fetch_structures({"00": members}, tmp_path, settings, TransportSettings())
    assert {note.status for note in notes.values()} == {"ok"}
    (segment,) = store.path.glob("00/*.h5")
    assert segment.stat().st_size > 1 << 20
    assert segment.stat().st_size / residues < 42


@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/afdb is not there")
def test_fragments_are_kept_apart(tmp_path):
    """A real model cut into overlapping pieces that are rotated apart.

    The pieces are numbered from 1, as AlphaFold DB does it; each keeps its own coordinates,
    so that contacts within the pieces are found from its rows and none across.
    """
    path = max(REAL.glob("*.pdb.gz"), key=lambda path: path.stat().st_size)
    (chain,) = parse_structure(path.read_bytes(), path.name)
    length, size, step = len(chain.letters), 1400, 200
    starts = list(range(0, length - size + step, step))
    folder = tmp_path / "pieces"
    folder.mkdir()
    rotations = []
    rng = np.random.default_rng(5)
    for number, start in enumerate(starts, start=1):
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        part = slice(start, min(start + size, length))
        moved = chain.coordinates[part].astype(np.float64) @ rotation + rng.normal(size=3) * 100
        rotations.append(moved)
        (folder / f"AF-P12345-F{number}-model_v4.pdb").write_bytes(
            pdb_of(chain.letters[part], moved, chain.b_factor[part] - number)
        )
    settings = StructureSettings(sources=[{"kind": "folder", "path": str(folder)}])
    members = members_of({"P12345": chain.letters})
    store, notes = fetch_structures(members, tmp_path, settings, TransportSettings())
    (note,) = notes.values()
    assert (note.status, note.n_residues) == ("ok", length)
    arrays = store.read(sha256_of_text(chain.letters))
    assert len(arrays["fragment"]) == len(starts) > 5
    ca = chain.coordinates[:, 1].astype(np.float64)
    for (first, last), start, moved in zip(arrays["fragment"], starts, rotations, strict=True):
        position = arrays["position"][first:last]
        assert position.tolist() == list(range(start, start + len(moved)))
        piece = arrays["coordinates"][first:last, 1]
        assert np.allclose(piece, moved[:, 1], atol=1e-3)
        assert pairs_below(piece, 9.99) <= pairs_below(ca[start : start + len(moved)], 10.0)
        assert pairs_below(piece, 10.01) >= pairs_below(ca[start : start + len(moved)], 10.0)
    counts = np.zeros(length)
    totals = np.zeros(length)
    for number, start in enumerate(starts, start=1):
        counts[start : start + size] += 1
        totals[start : start + size] += chain.b_factor[start : start + size] - number
    assert note.mean_plddt == pytest.approx((totals / counts).mean(), abs=0.05)


def pairs_below(ca, radius):
    return KDTree(ca).query_pairs(radius)


def pdb_of(letters, coordinates, b_factor):
    names = [gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA) for letter in letters]
    lines = []
    for number, (name, atoms, b) in enumerate(zip(names, coordinates, b_factor, strict=True), 1):
        for atom, (x, y, z) in zip(("N", "CA", "C"), atoms, strict=True):
            lines.append(
                f"ATOM  {number:5d}  {atom:<3s} {name} A{number:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{b:6.2f}          {atom[0]:>2s}"
            )
    return "\n".join([*lines, "TER", "END", ""]).encode()


# --------------------------------------------------------------- manifest and scripts


@pytest.mark.slow
def test_the_scripts_make_a_manifest_with_every_record(tmp_path):
    sequences = {f"P{number}": sequence_of(number) for number in range(30000, 30006)}
    folder = tmp_path / "models"
    folder.mkdir()
    for name, sequence in list(sequences.items())[:4]:
        (folder / f"{name}.pdb").write_bytes(model_pdb(sequence, plddt=70))
    (folder / "P30004.pdb").write_bytes(model_pdb(sequence_of("else")))
    (folder / "stray.pdb").write_bytes(b"")
    table = table_of(sequences)
    double = table.iloc[[0]].assign(id="again")
    table = pd.concat([table, double], ignore_index=True)
    write_members(tmp_path / "members", tmp_path / "members.json", table)
    labels = np.ones((len(table), 1), np.uint8)
    write_proteins(tmp_path / "proteins.csv", Proteins(table, ("a",), labels, "multilabel"), False)
    source = {"kind": "folder", "path": str(folder), "pattern": "{accession}.pdb"}
    for part, buckets in (("a", BUCKETS[:128]), ("b", BUCKETS[128:])):
        job = script(
            "structures.py",
            *("--members", tmp_path / "members", "--buckets", *buckets),
            *("--store", tmp_path / "store", "--manifest", tmp_path / f"{part}.csv"),
            *(
                "--shard",
                tmp_path / f"{part}.json",
                "--settings",
                json.dumps({"sources": [source]}),
            ),
        )
        assert job.wait(600) == 0, job.stdout.read()
    job = script(
        "structures_manifest.py",
        *("--parts", tmp_path / "a.csv", tmp_path / "b.csv"),
        *("--proteins", tmp_path / "proteins.csv", "--manifest", tmp_path / "manifest.csv"),
        *("--store", tmp_path / "store", "--settings", json.dumps({"sources": [source]})),
    )
    assert job.wait(600) == 0, job.stdout.read()
    manifest = pd.read_csv(tmp_path / "manifest.csv", keep_default_na=False)
    assert manifest["id"].tolist() == table["id"].tolist()
    assert manifest["status"].tolist() == ["ok"] * 4 + ["mismatch", "missing", "ok"]
    assert manifest["mean_plddt"].tolist()[:5] == ["70.0"] * 4 + [""]
    log = job.stdout.read()
    assert "ok         folder             5" in log
    assert "missing    -                  1" in log
    assert "1 of 6 files match no protein: stray.pdb" in log
    assert (manifest.loc[manifest["status"] != "ok", "message"] != "").all()
    with pytest.raises(HaloError, match="id_P3000"):
        merge_parts([tmp_path / "a.csv"], table)


def test_the_manifest_does_not_depend_on_the_order(tmp_path):
    notes = {"b" * 64: Note("ok", n_residues=3, mean_plddt=1.5), "a" * 64: Note("missing")}
    write_part(tmp_path / "1.csv", notes)
    write_part(tmp_path / "2.csv", dict(reversed(notes.items())))
    assert (tmp_path / "1.csv").read_text() == (tmp_path / "2.csv").read_text()
    write_part(tmp_path / "3.csv", {})
    merged = merge_parts(
        [tmp_path / "3.csv", tmp_path / "1.csv"],
        pd.DataFrame({"id": ["x", "y"], "seq_hash": ["b" * 64, "a" * 64]}),
    )
    assert merged["status"].tolist() == ["ok", "missing"]
    assert [line.split()[0] for line in summary_table(merged).splitlines()] == [
        "status",
        *(status for status in STATUSES if status in ("ok", "missing")),
    ]
