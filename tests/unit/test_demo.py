"""Inputs of the demo: simulated proteins, structures, language model, and server."""

import argparse
import gzip
import math
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import gemmi
import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backbone
import modelcif
import simulate
from sequences import LABELS, simulate_proteins
from serve import AlphaFoldServer

ROOT = Path(__file__).resolve().parents[2]
DEMO, TOOLS = ROOT / "resources/demo", ROOT / "tools/demo"
ACCESSION = re.compile(
    r"([OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2})(-[0-9]+)?"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small simulated data set: its folder and its proteins."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, simulate.simulate(folder, number=60, seed=1)


@pytest.fixture(scope="module")
def committed():
    """The committed protein table, its signals, and the proteins that the script gives."""
    proteins = simulate_proteins(simulate.NUMBER, Random(simulate.SEED))
    return pd.read_csv(DEMO / "proteins.csv"), pd.read_csv(DEMO / "signals.csv"), proteins


def residues_of(path):
    """Residues of a model and its backbone, float64 [residues, 4, 3]."""
    chain = gemmi.read_structure(str(path))[0][0]
    atoms = [[list(residue[name][0].pos) for name in ("N", "CA", "C", "O")] for residue in chain]
    return list(chain), np.array(atoms)


def assert_ideal(atoms, tolerance):
    n, ca, c, o = np.moveaxis(atoms, 1, 0)
    pairs = [(n, ca, 1.458), (ca, c, 1.525), (c, o, 1.231), (c[:-1], n[1:], 1.329)]
    for first, second, length in pairs:
        np.testing.assert_allclose(np.linalg.norm(first - second, axis=1), length, atol=tolerance)
    # a trans peptide of this geometry sets the distance of neighbouring C-alpha atoms
    np.testing.assert_allclose(np.linalg.norm(ca[1:] - ca[:-1], axis=1), 3.80, atol=0.03)


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(small, tmp_path):
    folder, _ = small
    simulate.simulate(tmp_path, number=60, seed=1)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(names) == 42  # two tables, and models of two thirds of the proteins
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_another_seed_gives_other_proteins(small):
    _, proteins = small
    others = simulate_proteins(60, Random(2))
    assert not {p.sequence for p in proteins} & {p.sequence for p in others}


def test_committed_files_are_what_the_script_writes(committed, tmp_path):
    _, _, proteins = committed
    tables = {
        "proteins.csv": simulate.protein_table(proteins),
        "signals.csv": simulate.signal_table(proteins),
    }
    for name, table in tables.items():
        assert (DEMO / name).read_text() == table.to_csv(index=False), name
    models = {modelcif.file_name(protein.accession): protein for protein in proteins}
    paths = sorted((DEMO / "afdb").iterdir())
    with_decoy = (
        p
        for p in paths
        if "decoy: basic helix" in {name for name, _, _ in models[p.name].signals()}
    )
    for path in (paths[0], next(with_decoy)):
        simulate.write_model(tmp_path / path.name, models[path.name], simulate.SEED)
        written = gzip.decompress((tmp_path / path.name).read_bytes())
        assert written == gzip.decompress(path.read_bytes()), path.name


def test_table_is_a_fair_multilabel_data_set(committed):
    table, _, proteins = committed
    assert list(table.columns) == ["id", "accession", "kingdom", *LABELS, "sequence"]
    assert len(table) == 240
    assert table["id"].is_unique
    assert table["accession"].map(lambda text: bool(ACCESSION.fullmatch(text))).all()
    assert table[list(LABELS)].sum().min() >= 20
    assert 1.15 < table[list(LABELS)].sum(axis=1).mean() < 1.4
    assert len({protein.family for protein in proteins}) >= 60
    assert set(table.loc[table["Plastid"] == 1, "kingdom"]) == {"Viridiplantae"}


def test_isoforms_and_a_repeated_sequence_are_there(committed):
    table, _, _ = committed
    isoforms = table[table["accession"].str.contains("-")]
    assert len(isoforms) == 4
    assert isoforms["accession"].str.removesuffix("-2").isin(table["accession"]).all()
    repeated = table[table["sequence"].duplicated(keep=False)]
    assert len(repeated) == 2
    first, second = repeated[list(LABELS)].to_numpy()
    assert not (first & second).any()


def test_signals_are_where_the_table_says(committed):
    table, signals, _ = committed
    sequences = table.set_index("id")["sequence"]
    ends = {"peroxisomal targeting signal 1", "ER retention signal", "dilysine signal"}
    for row in signals.itertuples():
        sequence = sequences[row.id]
        signal = sequence[row.start - 1 : row.end]
        assert len(signal) == row.end - row.start + 1
        if row.signal in ends:
            assert row.end == len(sequence)
        if row.signal in {"signal peptide", "presequence", "transit peptide"}:
            assert row.start == 1
            assert not set(signal) & set("DE")
        if row.signal in {"nuclear localization signal", "decoy: basic helix"}:
            assert re.search("[KRQ]{6,}", signal)


def test_only_the_structure_tells_a_nuclear_signal_from_a_basic_helix(committed):
    _, signals, proteins = committed
    accessions = {protein.id: protein.accession for protein in proteins}
    plddt = {"nuclear localization signal": [], "decoy: basic helix": []}
    for row in signals[signals["signal"].isin(list(plddt))].itertuples():
        path = DEMO / "afdb" / modelcif.file_name(accessions[row.id])
        if path.exists():
            residues, _ = residues_of(path)
            plddt[row.signal] += [r["CA"][0].b_iso for r in residues[row.start - 1 : row.end]]
    assert max(plddt["nuclear localization signal"]) < 60
    assert min(plddt["decoy: basic helix"]) > 80


def test_committed_models_read_back(committed):
    table, _, _ = committed
    sequences = table.set_index("accession")["sequence"]
    paths = sorted((DEMO / "afdb").iterdir())
    assert len(paths) == 160
    for path in paths:
        structure = gemmi.read_structure(str(path))
        accession = path.name.split("-")[1]
        assert structure.name == f"AF-{accession}-F1"
        chain = structure[0][0]
        assert gemmi.one_letter_code([r.name for r in chain]) == sequences[accession]
        full = structure.entities[0].full_sequence
        assert gemmi.one_letter_code(full) == sequences[accession]
        assert_ideal(residues_of(path)[1], tolerance=0.01)


def test_models_are_compact_and_free_of_clashes(committed):
    contacts = []
    for path in sorted((DEMO / "afdb").iterdir())[::8]:
        alphas = residues_of(path)[1][:, 1]
        distances = np.linalg.norm(alphas[:, None] - alphas[None], axis=-1)
        apart = np.abs(np.subtract.outer(*2 * [np.arange(len(alphas))]))
        assert distances[apart > 2].min() > backbone.CLASH - 0.01
        contacts.append(((distances < 10) & (apart > 6)).sum() / len(alphas))
    assert np.mean(contacts) > 3  # a straight chain of helices has none


@settings(max_examples=20, deadline=None)
@given(st.text("HELhD", min_size=1, max_size=50), st.integers(0, 2**32 - 1))
def test_any_chain_of_states_has_ideal_geometry(states, seed):
    atoms = backbone.fold(states, np.random.default_rng(seed))
    assert atoms.shape == (len(states), 4, 3)
    assert_ideal(atoms, tolerance=1e-6)


def test_helices_and_strands_have_their_angles():
    states = "L" + "H" * 8 + "LLL" + "E" * 6 + "L"
    atoms = backbone.fold(states, np.random.default_rng(0))
    n, ca, c = (atoms[:, atom] for atom in range(3))
    phi = np.degrees(backbone._torsion(c[:-1], n[1:], ca[1:], c[1:]))
    psi = np.degrees(backbone._torsion(n[:-1], ca[:-1], c[:-1], n[1:]))
    np.testing.assert_allclose(phi[:8], -57, atol=1e-6)
    np.testing.assert_allclose(psi[1:9], -47, atol=1e-6)
    np.testing.assert_allclose(phi[11:17], -119, atol=1e-6)
    np.testing.assert_allclose(psi[12:18], 113, atol=1e-6)
    positions = [gemmi.Position(*xyz) for xyz in (c[0], n[1], ca[1], c[1])]
    assert math.degrees(gemmi.calculate_dihedral(*positions)) == pytest.approx(-57)


def load(path):
    """A checkpoint as fair-esm loads it, without running anything that it might hold."""
    torch = pytest.importorskip("torch")
    pretrained = pytest.importorskip("esm.pretrained")
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True)
    with pytest.warns(UserWarning, match="Regression weights not found"):
        return pretrained.load_model_and_alphabet_core("esm2_demo", content, None)


def test_language_model_loads_and_knows_the_proteins(committed):
    torch = pytest.importorskip("torch")
    import checkpoint

    path = DEMO / "esm2_demo.pt"
    assert path.stat().st_size < 2_000_000
    model, alphabet = load(path)
    model.eval()
    table, _, _ = committed
    tokens = alphabet.get_batch_converter()([("", s) for s in table["sequence"][:60]])[2]
    torch.manual_seed(0)
    masked, hidden = checkpoint.mask(tokens, alphabet)
    with torch.no_grad():
        result = model(masked, repr_layers=[model.num_layers])
    assert torch.isfinite(result["representations"][model.num_layers]).all()
    loss = torch.nn.functional.cross_entropy(result["logits"][hidden], tokens[hidden])
    counts = np.unique(list("".join(table["sequence"])), return_counts=True)[1]
    shares = counts / counts.sum()
    by_composition = math.exp(-(shares * np.log(shares)).sum())
    assert math.exp(loss.item()) < 0.75 * by_composition


@pytest.mark.slow
def test_language_model_trains_and_saves(tmp_path):
    torch = pytest.importorskip("torch")
    import checkpoint
    from halo.embeddings.saving import save_esm2

    model = checkpoint.train(proteins=60, steps=2, seed=0)
    save_esm2(model, tmp_path / "esm2_demo.pt")
    loaded, _ = load(tmp_path / "esm2_demo.pt")
    again = checkpoint.train(proteins=60, steps=2, seed=0)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
        if "contact_head" not in name:
            torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-4, rtol=1e-3)


def test_server_answers_as_alphafold_db(small):
    folder, proteins = small
    path = sorted((folder / "afdb").iterdir())[0]
    accession = path.name.split("-")[1]
    protein = next(p for p in proteins if p.accession == accession)
    with AlphaFoldServer(folder / "afdb") as server, httpx.Client() as client:
        answer = client.get(f"{server.url}/api/prediction/{accession}")
        assert answer.status_code == 200
        (prediction,) = answer.json()
        assert prediction["entryId"] == f"AF-{accession}-F1"
        assert prediction["uniprotAccession"] == accession
        assert prediction["uniprotSequence"] == prediction["sequence"] == protein.sequence
        assert (prediction["uniprotStart"], prediction["uniprotEnd"]) == (
            1,
            len(protein.sequence),
        )
        assert prediction["latestVersion"] == 6
        assert prediction["pdbUrl"] is None
        residues, _ = residues_of(path)
        plddt = np.mean([residue["CA"][0].b_iso for residue in residues])
        assert prediction["globalMetricValue"] == pytest.approx(plddt, abs=0.006)
        model = client.get(prediction["cifUrl"])
        assert model.content == gzip.decompress(path.read_bytes())
        assert model.http_version == "HTTP/1.1"
        assert server.requests == [
            f"/api/prediction/{accession}",
            f"/files/AF-{accession}-F1-model_v6.cif",
        ]


@pytest.mark.parametrize(
    "path",
    [
        "/api/prediction/P12345",
        "/api/prediction/",
        "/files/AF-P12345-F1-model_v6.cif",
        "/files/%2e%2e/proteins.csv",
        "/files/../proteins.csv",
        "/api/prediction/Z9DEM0X001/x",
        "/",
    ],
)
def test_server_does_not_know_other_paths(small, path):
    folder, _ = small
    with AlphaFoldServer(folder / "afdb") as server:
        address = server.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 404 ")
    assert '{"error": ' in answer


def test_server_keeps_a_connection_open(small):
    folder, _ = small
    with AlphaFoldServer(folder / "afdb") as server, httpx.Client() as client:
        sockets = set()
        for accession in ("P12345", "Z9DEM0X001", "Q00000"):
            with client.stream("GET", f"{server.url}/api/prediction/{accession}") as answer:
                sockets.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
    assert len(sockets) == 1


def test_the_server_logs_no_closed_connections(small, capfd):
    folder, _ = small
    with AlphaFoldServer(folder / "afdb") as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"GET /api/prediction/P12345 HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.recv(1)
            # closing with unread bytes, or with this option, resets the connection
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert httpx.get(f"{server.url}/api/prediction/P12345").status_code == 404
        time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_server_takes_the_newest_version_all_fragments_and_isoforms(small, tmp_path):
    folder, _ = small
    text = gzip.decompress(sorted((folder / "afdb").iterdir())[0].read_bytes())
    for name in (
        "AF-P12345-F1-model_v4.cif",
        "AF-P12345-F1-model_v6.cif",
        "AF-P12345-F2-model_v6.cif",
        "AF-P12345-2-F1-model_v6.cif",
        "notes.txt",
    ):
        (tmp_path / name).write_bytes(text)
    with AlphaFoldServer(tmp_path) as server:
        first, second, isoform = server.predictions("P12345")
        assert first["allVersions"] == [4, 6]
        assert first["cifUrl"] == f"{server.url}/files/AF-P12345-F1-model_v6.cif"
        assert (first["uniprotStart"], second["uniprotStart"]) == (1, 201)
        assert isoform["uniprotAccession"] == "P12345-2"
        assert [p["entryId"] for p in server.predictions("P12345-2")] == ["AF-P12345-2-F1"]
        assert server.predictions("P1234") is None
        assert server.file("notes.txt") is None


def test_server_serves_real_models(shared):
    path = shared / "afdb" / "AF-A0A0A0MRZ7-F1-model_v4.pdb.gz"
    with AlphaFoldServer(shared / "afdb") as server:
        (prediction,) = httpx.get(f"{server.url}/api/prediction/A0A0A0MRZ7").json()
        model = httpx.get(prediction["pdbUrl"])
    assert prediction["cifUrl"] is None
    assert prediction["latestVersion"] == 4
    assert prediction["uniprotId"] == "KVD26_HUMAN"
    assert prediction["uniprotEnd"] == len(prediction["sequence"]) == 120
    assert model.content == gzip.decompress(path.read_bytes())


def serve(*arguments):
    command = [sys.executable, str(TOOLS / "serve.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_command_runs_beside_the_server_and_gives_the_status(small):
    folder, _ = small
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    ask = (
        "import sys, urllib.request as u;"
        f"print(u.urlopen('http://127.0.0.1:{port}/files/' + sys.argv[1]).read(5)); sys.exit(7)"
    )
    name = sorted((folder / "afdb").iterdir())[0].name.removesuffix(".gz")
    options = ["--port", port, "--folder", str(folder / "afdb")]
    result = serve(*options, "--", sys.executable, "-c", ask, name)
    assert result.returncode == 7, result.stderr
    assert result.stdout == "b'data_'\n"
    assert serve(*options, "--", "no-such-command").returncode == 127


def test_busy_port_is_named_with_its_option(small):
    folder, _ = small
    with AlphaFoldServer(folder / "afdb") as server:
        port = server.url.rpartition(":")[2]
        result = serve("--port", port, "--folder", str(folder / "afdb"), "--", "true")
    assert result.returncode == 2
    assert f"--port: cannot serve on 127.0.0.1:{port}" in result.stderr
