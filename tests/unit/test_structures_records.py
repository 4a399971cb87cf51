"""Records of AlphaFold DB's API: selection among several, and invalid records."""

from datetime import date, timedelta
from itertools import permutations

import pytest

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.structures.fetch import fetch_structures
from halo.structures.settings import StructureSettings
from halo.structures.transport import FetchError

from .test_structures_server import (
    AlphaFoldServer,
    by_accession,
    database,
    members_of,
    quick,
    sequence_of,
)

NAME = "P10000"
SEQUENCE = sequence_of("records", 120)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with AlphaFoldServer({}) as running:
        yield running


def fetched(server, root, sequence=SEQUENCE, name=NAME, **changes):
    members = members_of({name: sequence})
    store, notes = fetch_structures(members, root, StructureSettings(), quick(server, **changes))
    return store, by_accession(members, notes)[name]


def in_every_order(server, tmp_path, expected):
    """The reply in all orders of its records: the same model each time."""
    for number, records in enumerate(permutations(server.records[NAME])):
        server.records[NAME] = list(records)
        _, note = fetched(server, tmp_path / str(number))
        assert (note.status, note.mean_plddt, note.n_residues) == expected, records


def test_of_several_models_the_databases_own_is_taken(server, tmp_path):
    server.add(NAME, SEQUENCE, "AF-0000000012345678", plddt=50, providerId="Another")
    server.add(NAME, SEQUENCE, plddt=80)
    complex_fields = {"isComplex": True, "uniprotAccession": [NAME, "P10001"]}
    server.add(NAME, SEQUENCE, "AF-0000000087654321", plddt=60, **complex_fields)
    in_every_order(server, tmp_path, ("ok", 80, 120))


def test_a_model_of_another_provider_is_used_and_reported_where_it_is_the_only_one(
    server, tmp_path
):
    server.add(NAME, SEQUENCE, "AF-0000000012345678", plddt=50, providerId="Another")
    _, note = fetched(server, tmp_path)
    assert (note.status, note.mean_plddt, note.message) == ("ok", 50, "model of Another")


def test_the_whole_comes_before_its_pieces(server, tmp_path):
    server.add(NAME, SEQUENCE[60:], "AF-P10000-F2", start=61, plddt=50)
    server.add(NAME, SEQUENCE, plddt=80)
    server.add(NAME, SEQUENCE[:60], "AF-P10000-F3", plddt=60)
    in_every_order(server, tmp_path, ("ok", 80, 120))


def test_pieces_are_placed_where_they_belong(server, tmp_path):
    repeat = sequence_of("repeat", 40) * 3  # of which a piece could be anywhere
    server.add(NAME, repeat[80:], "AF-P10000-F3", start=81, plddt=50)
    server.add(NAME, repeat[:40], "AF-P10000-F1", start=1, plddt=90)
    server.add(NAME, repeat[40:80], "AF-P10000-F2", start=41, plddt=70)
    store, note = fetched(server, tmp_path, repeat)
    assert (note.status, note.n_residues, note.mean_plddt) == ("ok", 120, 70)
    arrays = store.read(sha256_of_text(repeat))
    assert arrays["fragment"].tolist() == [[0, 40], [40, 80], [80, 120]]
    assert arrays["position"].tolist() == list(range(120))
    assert arrays["plddt"][[0, 40, 80]].tolist() == [90, 70, 50]


def test_one_piece_alone_is_only_a_part(server, tmp_path):
    server.add(NAME, SEQUENCE[80:], start=81)
    _, note = fetched(server, tmp_path)
    assert note.status == "mismatch"
    assert "only a part of the protein" in note.message


def test_a_piece_is_not_the_sequence_of_the_protein(server):
    server.add(NAME, SEQUENCE[60:], start=61)
    server.add("P10001", SEQUENCE[60:], start=61, uniprotSequence=SEQUENCE)
    server.add("P10002", SEQUENCE)
    with database(server) as source:
        assert source.sequence(NAME) is None
        assert source.sequence("P10001") == SEQUENCE
        assert source.sequence("P10002") == SEQUENCE


def test_an_isoform_is_asked_for_by_the_id_of_its_record(server, tmp_path):
    other = SEQUENCE[:50] + SEQUENCE[70:]
    server.add(NAME, SEQUENCE, plddt=80)
    record = server.add(NAME, other, "AF-0000000000000007", plddt=60)
    record.update(uniprotAccession=f"{NAME}-2", cifUrl=None, pdbUrl=None)
    in_every_order(server, tmp_path, ("ok", 80, 120))
    _, note = fetched(server, tmp_path / "isoform", other, f"{NAME}-2")
    assert (note.status, note.mean_plddt) == ("ok", 60)
    assert "/files/AF-0000000000000007-model_v4.cif" in server.requests


def test_the_newest_of_two_records_of_one_model(server, tmp_path):
    server.add(NAME, SEQUENCE, plddt=80)
    older = server.add(NAME, SEQUENCE, "AF-P10000-F1-old", plddt=60)
    older.update(latestVersion=3)
    in_every_order(server, tmp_path, ("ok", 80, 120))


@pytest.mark.parametrize("fields", [{"cifUrl": None, "pdbUrl": None, "latestVersion": None}, {}])
def test_what_is_listed_and_cannot_be_loaded_is_an_error_and_asked_again(server, tmp_path, fields):
    server.records[NAME] = [server.record(NAME, SEQUENCE, **fields)]
    _, note = fetched(server, tmp_path, max_error_share=1.0)
    assert note.status == "error"
    assert "lists the model AF-P10000-F1, but has none of its files" in note.message
    server.records.clear()
    server.add(NAME, SEQUENCE)
    assert fetched(server, tmp_path)[1].status == "ok"


def test_records_of_renamed_fields_are_an_error(server):
    server.records[NAME] = [{"accession": NAME, "model": "x.cif"}]
    with database(server, retries=0) as source, pytest.raises(FetchError, match="accession, model"):
        source.find(NAME, SEQUENCE)


def test_complexes_alone_are_no_structure_of_the_protein(server, tmp_path):
    server.add(NAME, SEQUENCE, isComplex=True)
    assert fetched(server, tmp_path)[1].status == "missing"


def test_missing_expires(server, tmp_path, monkeypatch):
    class Earlier(date):
        days = 29

        @classmethod
        def today(cls):
            return date.today() - timedelta(days=cls.days)

    for days, expected in ((29, "missing"), (30, "ok")):
        Earlier.days = days
        monkeypatch.setattr("halo.structures.search.date", Earlier)
        server.records.clear()
        _, note = fetched(server, tmp_path / str(days))
        assert (note.status, note.message) == ("missing", "no source has it")
        server.add(NAME, SEQUENCE)
        monkeypatch.undo()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert fetched(server, tmp_path / str(days))[1].status == expected


def test_a_wrong_server_is_still_named(tmp_path):
    with AlphaFoldServer({}) as server:
        pass
    with pytest.raises(HaloError, match="cannot be reached"):
        fetched(server, tmp_path, retries=0)
