"""AlphaFold DB over HTTP: requests, selected models, and handling of errors."""

import json
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from h2.exceptions import StreamClosedError

from halo.errors import HaloError
from halo.structures.afdb import choose, read_reply
from halo.structures.fetch import ERRORS_IN_A_ROW, fetch_structures, summary
from halo.structures.layout import Note
from halo.structures.parse import StructureError, parse_structure
from halo.structures.settings import StructureSettings
from halo.structures.transport import Client, FetchError, Throttle

from .test_structures_server import (
    ACCESSIONS,
    PASSING,
    AlphaFoldServer,
    RealServer,
    bomb,
    by_accession,
    database,
    drip,
    html,
    loop,
    members_of,
    model_pdb,
    quick,
    random_faults,
    respond,
    sequence_of,
    status,
)

REAL = Path(__file__).parents[3] / "shared" / "data" / "afdb"


@pytest.fixture
def server():
    with AlphaFoldServer({name: sequence_of(name) for name in ACCESSIONS}) as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


# ---------------------------------------------------------------------- one protein


def test_takes_the_file_that_the_api_names(server):
    name = ACCESSIONS[0]
    with database(server) as source:
        model = source.find(name, server.sequences[name])
    assert (model.accession, model.version) == (name, "4")
    assert model.fragments[0][0].letters == server.sequences[name]
    assert server.requests == [f"/api/prediction/{name}", f"/files/AF-{name}-F1-model_v4.cif"]


def test_ids_that_are_no_accessions_are_never_asked_for(server):
    with database(server) as source:
        for name in ("../../etc/passwd", "P10000/../x", "ENSP00000354587", "p10000", ""):
            assert source.find(name, "A") is None
    assert server.requests == []


def test_no_entry_is_missing_and_not_asked_for_twice(server):
    with database(server) as source:
        assert source.find("Q99999", "ACD") is None
    assert server.requests == ["/api/prediction/Q99999"]


def test_a_version_asks_for_the_files_alone(server):
    name = ACCESSIONS[0]
    with database(server, version=4) as source:
        assert source.find(name, server.sequences[name]).version == "4"
    with database(server, version=3) as source:
        assert source.find(name, server.sequences[name]) is None
    assert not [path for path in server.requests if path.startswith("/api")]


def test_falls_back_to_the_pattern_where_the_named_file_is_gone(server):
    name = ACCESSIONS[0]
    server.always[f"/api/prediction/{name}"] = lambda handler, body: respond(
        handler,
        json.dumps(
            [{**server.entry(name), "cifUrl": f"{server.url}/gone.cif", "pdbUrl": None}]
        ).encode(),
    )
    with database(server) as source:
        assert source.find(name, server.sequences[name]).version == "4"
    assert server.requests[1:] == ["/gone.cif", f"/files/AF-{name}-F1-model_v4.cif"]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("where", ["api/prediction/{}", "files/AF-{}-F1-model_v4.cif"])
def test_passing_faults_are_overcome(server, fault, where):
    name = ACCESSIONS[0]
    path = "/" + where.format(name)
    server.faults[path] = [PASSING[fault]] * 2
    with database(server) as source:
        model = source.find(name, server.sequences[name])
    assert model.fragments[0][0].letters == server.sequences[name]
    assert Counter(server.requests)[path] == 3


def test_errors_of_the_http2_library_are_overcome(server, monkeypatch):
    """A stream that the server has reset; it depends on the time of the frames."""
    original, failed = Client._body, []

    def body(client, url):
        if not failed:
            failed.append(url)
            raise StreamClosedError(23)
        return original(client, url)

    monkeypatch.setattr(Client, "_body", body)
    name = ACCESSIONS[0]
    with database(server) as source:
        model = source.find(name, server.sequences[name])
    assert model.fragments[0][0].letters == server.sequences[name]
    assert len(failed) == 1


@pytest.mark.parametrize("suffix", ["cif", "pdb"])
def test_a_file_cut_off_between_two_atoms_is_not_taken(server, suffix):
    """Readable, but with fewer residues than its header, or else the API, tells."""
    name = ACCESSIONS[0]
    path = f"/files/AF-{name}-F1-model_v4.{suffix}"
    entry = {**server.entry(name), "cifUrl": server.url + path, "pdbUrl": None}
    server.always[f"/api/prediction/{name}"] = lambda handler, body: respond(
        handler, json.dumps([entry]).encode()
    )

    def cut(handler, body):
        lines = body.splitlines(keepends=True)
        atoms = [number for number, line in enumerate(lines) if line.startswith(b"ATOM")]
        respond(handler, b"".join(lines[: atoms[90]]))

    server.faults[path] = [cut] * 3
    with database(server) as source:
        model = source.find(name, server.sequences[name])
    assert model.fragments[0][0].letters == server.sequences[name]
    assert Counter(server.requests)[path] == 4


@pytest.mark.parametrize(
    ("fault", "requests"),
    [(status(400), 1), (status(403), 1), (bomb, 1), (loop, 6)],
    ids=["400", "403", "bomb", "loop"],
)
def test_lasting_faults_are_not_repeated(server, fault, requests):
    name = ACCESSIONS[0]
    path = f"/files/AF-{name}-F1-model_v4.cif"
    server.always[path] = fault
    with database(server, timeout=60.0) as source, pytest.raises(FetchError, match=path):
        source.find(name, server.sequences[name])
    assert Counter(server.requests)[path] == requests


def test_a_server_that_drips_is_given_up_in_time(server):
    name = ACCESSIONS[0]
    server.always[f"/files/AF-{name}-F1-model_v4.cif"] = drip
    start = time.monotonic()
    with (
        database(server, timeout=0.3, retries=1) as source,
        pytest.raises(FetchError, match=r"0\.3 s"),
    ):
        source.find(name, server.sequences[name])
    assert time.monotonic() - start < 3


def test_retry_after_is_honoured_by_all_connections(server):
    name = ACCESSIONS[0]
    server.faults[f"/api/prediction/{name}"] = [status(429, ("Retry-After", "1"))]
    with database(server) as source:
        source.find(name, server.sequences[name])
    assert server.times[1] - server.times[0] >= 1.0
    # One connection was told to wait: the next request waits too, whoever sends it.
    server.faults["/told"] = [status(429, ("Retry-After", "0.5"))]
    with closing(Client(quick(server, retries=0))) as client:
        with pytest.raises(FetchError):
            client.get(f"{server.url}/told", bytes)
        client.get(f"{server.url}/another", bytes)
    assert server.times[-1] - server.times[-2] >= 0.45


def test_a_server_that_wants_to_be_left_alone_for_hours_is(server):
    name = ACCESSIONS[0]
    server.always[f"/api/prediction/{name}"] = status(
        503, ("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")
    )
    with database(server) as source, pytest.raises(FetchError, match="left alone"):
        source.find(name, server.sequences[name])
    assert len(server.requests) == 1


def test_the_rate_is_kept():
    throttle = Throttle(50)
    start = time.monotonic()
    for _ in range(11):
        throttle.wait()
    assert 0.2 <= time.monotonic() - start < 0.5


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "http://[::1", "file:///etc/passwd", "\x00", "http://"]
)
def test_unexpected_urls_in_the_reply_are_refused_or_ignored(server, url):
    name = ACCESSIONS[0]
    entry = {**server.entry(name), "cifUrl": url, "pdbUrl": None}
    server.always[f"/api/prediction/{name}"] = lambda handler, body: respond(
        handler, json.dumps([entry]).encode()
    )
    model = None
    with database(server, retries=0) as source, suppress(FetchError):
        model = source.find(name, server.sequences[name])
    assert model is None or model.fragments[0][0].letters == server.sequences[name]


# ------------------------------------------------------------------------ the reply


def entry(accession, fragment=1, sequence="", **more):
    return {
        "modelEntityId": f"AF-{accession}-F{fragment}",
        "uniprotAccession": accession,
        "sequence": sequence,
        **more,
    }


def chosen(entries, accession, sequence="AAA"):
    predictions = choose(read_reply(json.dumps(entries).encode()), accession, sequence)
    return [(prediction.accession, prediction.fragment) for prediction in predictions]


def test_chooses_by_accession_among_isoforms():
    reply = [entry("P12345-2"), entry("P12345"), entry("P12345-3")]
    assert chosen(reply, "P12345") == [("P12345", 1)]
    assert chosen(reply, "P12345-3") == [("P12345-3", 1)]
    assert chosen(reply, "P12345-4") == [("P12345", 1)]
    assert chosen(reply, "Q99999") == []


def test_an_isoform_with_the_very_sequence_is_preferred():
    reply = [entry("P12345", sequence="AAC"), entry("P12345-2", sequence="AAA")]
    assert chosen(reply, "P12345") == [("P12345-2", 1)]


def test_fragments_come_in_order_and_complexes_are_left_out():
    reply = [
        entry("P12345", 10),
        entry("P12345", 2),
        entry("P12345", 1),
        entry("P12345", 1, isComplex=True),
        {"modelEntityId": "AF-0000000066503175", "uniprotAccession": ["P12345", "P12346"]},
    ]
    assert chosen(reply, "P12345") == [("P12345", 1), ("P12345", 2), ("P12345", 10)]
    assert len(read_reply(json.dumps(reply).encode())) == 3


def test_the_older_field_names_are_understood():
    old = {
        "entryId": "AF-P12345-F1",
        "uniprotAccession": "P12345",
        "uniprotStart": 1,
        "uniprotEnd": 3,
        "uniprotSequence": "AAA",
        "latestVersion": 4,
        "pdbUrl": "x.pdb",
    }
    (prediction,) = read_reply(json.dumps([old]).encode())
    assert (prediction.length, prediction.sequence, prediction.version) == (3, "AAA", 4)
    assert prediction.urls == ("x.pdb",)


@pytest.mark.parametrize(
    "reply", [b"", b"<html>", b"{}", b"[1]", b"null", b"\xff", b"[" * 100_000, b'{"error": "x"}']
)
def test_invalid_replies_are_refused(reply):
    with pytest.raises(StructureError):
        read_reply(reply)


def test_entries_with_fields_of_wrong_types_are_harmless():
    odd = {"modelEntityId": 3, "uniprotAccession": "P12345", "latestVersion": "four", "cifUrl": []}
    (prediction,) = read_reply(json.dumps([odd, {}, {"uniprotAccession": "../x"}]).encode())
    assert (prediction.version, prediction.urls, prediction.length) == (None, (), None)


# ----------------------------------------------------------------------- whole jobs


def fetch(server, root, sequences=None, settings=None, **changes):
    members = members_of(server.sequences if sequences is None else sequences)
    store, notes = fetch_structures(
        members, root, settings or StructureSettings(), quick(server, **changes)
    )
    return store, by_accession(members, notes)


def test_every_protein_ends_in_its_status(server, tmp_path):
    """One protein a fault, each in the status that belongs to it; nothing wrong is stored."""
    faults = {
        "P10000": (status(404), "error"),  # the API lists it
        "P10001": (loop, "error"),
        "P10002": (bomb, "error"),
        "P10003": (html, "error"),
        "P10004": (status(500), "error"),
        "P10005": (drip, "error"),
        "P10006": (
            lambda handler, body: respond(handler, model_pdb(sequence_of("another"))),
            "mismatch",
        ),
        "P10007": (PASSING["reset"], "error"),
        "P10008": (PASSING["gzip"], "error"),
        "P10009": (PASSING["length"], "error"),
    }
    for name, (fault, _) in faults.items():
        server.always[f"/files/AF-{name}-F1-model_v4.cif"] = fault
        if fault is faults["P10000"][0]:
            server.always[f"/files/AF-{name}-F1-model_v4.pdb"] = fault
    store, notes = fetch(server, tmp_path, retries=1, timeout=0.5, max_error_share=1.0)
    expected = {name: faults[name][1] if name in faults else "ok" for name in ACCESSIONS}
    assert {name: note.status for name, note in notes.items()} == expected
    for name, sequence in server.sequences.items():
        (member,) = (m for ms in members_of({name: sequence}).values() for m in ms)
        if expected[name] == "error":
            assert member.seq_hash not in store
        else:
            arrays = store.read(member.seq_hash)
            letters = arrays["residue"].tobytes().decode()
            assert letters == (sequence if expected[name] == "ok" else "")


def test_random_faults_are_overcome(server, tmp_path):
    server.random_fault = random_faults(0.2)
    _, notes = fetch(server, tmp_path)
    assert summary(notes.values()) == f"{len(ACCESSIONS)} ok"


def test_only_new_proteins_are_requested(server, tmp_path):
    first = dict(list(server.sequences.items())[:30])
    _, before = fetch(server, tmp_path, {**first, "Q99999": "ACDEG"})
    assert before["Q99999"] == Note("missing", message="no source has it", asked=("Q99999",))
    server.requests.clear()
    _, again = fetch(server, tmp_path, {**first, "Q99999": "ACDEG"})
    assert (server.requests, again) == ([], before)
    _, after = fetch(server, tmp_path, {**server.sequences, "Q99999": "ACDEG"})
    asked = {path.split("/")[-1] for path in server.requests if path.startswith("/api")}
    assert asked == set(ACCESSIONS[30:])
    assert len(server.requests) == 20
    assert after.items() >= before.items()


def test_missing_ones_are_asked_for_again_on_request_or_under_a_new_name(server, tmp_path):
    sequence = sequence_of("late")
    fetch(server, tmp_path, {"P20000": sequence})
    server.requests.clear()
    _, notes = fetch(server, tmp_path, {"P20001": sequence})
    assert server.requests == ["/api/prediction/P20001"]
    assert notes["P20001"].status == "missing"
    server.sequences["P20001"] = sequence
    _, notes = fetch(server, tmp_path, {"P20001": sequence})
    assert notes["P20001"].status == "missing"
    settings = StructureSettings(retry_missing=True)
    _, notes = fetch(server, tmp_path, {"P20001": sequence}, settings)
    assert notes["P20001"].status == "ok"
    server.requests.clear()
    fetch(server, tmp_path, {"P20001": sequence}, settings)
    assert server.requests == []


def test_what_one_server_does_not_have_is_asked_of_another(tmp_path):
    """The first address may have been wrong."""
    sequence = sequence_of("P20001")
    with AlphaFoldServer({}) as wrong, AlphaFoldServer({"P20001": sequence}) as right:
        for _ in range(2):
            _, notes = fetch(wrong, tmp_path, {"P20001": sequence})
            assert notes["P20001"].status == "missing"
        asked = len(wrong.requests)
        _, notes = fetch(right, tmp_path, {"P20001": sequence})
        assert notes["P20001"].status == "ok"
        fetch(wrong, tmp_path, {"P20001": sequence})  # what was found is kept
        assert len(wrong.requests) == asked


def test_proteins_without_an_accession_and_too_long_ones_are_not_asked_for(server, tmp_path):
    settings = StructureSettings(max_length=50)
    members = members_of({"ENSP00000354587": sequence_of("x", 40), "P10000": sequence_of("y", 51)})
    _, notes = fetch_structures(members, tmp_path, settings, quick(server))
    found = by_accession(members, notes)
    assert found["ENSP00000354587"].status == "missing"
    assert found["P10000"].status == "too_long"
    assert server.requests == []


def test_a_server_that_is_not_there_ends_the_job(tmp_path):
    with AlphaFoldServer({}) as server:
        pass
    with pytest.raises(HaloError, match=r"127\.0\.0\.1.* cannot be reached.*base_url"):
        fetch(server, tmp_path, {name: sequence_of(name) for name in ACCESSIONS}, retries=1)


@pytest.mark.slow
def test_a_server_that_goes_down_ends_the_job_and_keeps_what_was_found(server, tmp_path):
    """After ten proteins nothing but 503: the job gives up long before the last protein."""
    served = Counter()

    def goes_down(path):
        served["all"] += 1
        return status(503) if served["all"] > 20 else None

    server.random_fault = goes_down
    sequences = {f"P{number}": sequence_of(number) for number in range(20000, 20200)}
    server.sequences |= sequences
    with pytest.raises(HaloError, match=f"{ERRORS_IN_A_ROW} searches in a row failed.*503"):
        fetch(server, tmp_path, sequences, retries=1, concurrency=1)
    assert served["all"] < 100
    server.random_fault = None
    server.requests.clear()
    _, notes = fetch(server, tmp_path, sequences)
    assert summary(notes.values()) == "200 ok"
    assert len(server.requests) == 380


def test_too_many_errors_end_the_job_and_few_do_not(server, tmp_path):
    server.always["/api/prediction/P10000"] = status(400)
    with pytest.raises(HaloError, match=r"1 of 40 searches failed.*status 400.*raise that share"):
        fetch(server, tmp_path, max_error_share=0.02)
    server.requests.clear()
    _, notes = fetch(server, tmp_path, max_error_share=1.0)
    assert server.requests == ["/api/prediction/P10000"]
    assert summary(notes.values()) == "39 ok, 1 error"
    server.always.clear()
    _, notes = fetch(server, tmp_path)
    assert summary(notes.values()) == "40 ok"


def test_connections_are_pooled_and_no_more_than_allowed(server):
    client = Client(quick(server, concurrency=1))
    for name in (ACCESSIONS[0], "Q99999") * 5:
        client.get(f"{server.url}/api/prediction/{name}", bytes)
    client.close()
    assert server.connections == 1


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="shared/data/afdb is not there")
def test_all_real_models_arrive_through_random_faults(tmp_path):
    """370 models with 20 % faults: all stored, the manifest and the content exact."""
    with RealServer(REAL) as server:
        chains = {
            name: parse_structure(path.read_bytes(), name)[0]
            for name, path in server.models.items()
        }
        server.random_fault = random_faults(0.2)
        sequences = {name: chain.letters for name, chain in chains.items()}
        members = members_of(sequences)
        store, notes = fetch_structures(members, tmp_path, StructureSettings(), quick(server))
    for bucket in members.values():
        for member in bucket:
            chain = chains[member.accessions[0]]
            note = notes[member.seq_hash]
            assert (note.status, note.resolved, note.source, note.version) == (
                "ok",
                "accession",
                "afdb",
                "4",
            )
            assert (note.n_residues, note.accession) == (len(chain.letters), member.accessions[0])
            assert abs(note.mean_plddt - chain.b_factor.mean()) < 0.02
            arrays = store.read(member.seq_hash)
            assert (arrays["coordinates"] == chain.coordinates).all()
            assert arrays["position"].tolist() == list(range(len(chain.letters)))
    assert len(notes) == len(chains)
