"""Labels from UniProt: entries in each format, evidence, hierarchy, and service errors."""

import gzip
import json
import logging
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.proteins.ingest import ingest
from halo.proteins.settings import DatasetSettings
from halo.report.provenance import input_files
from halo.uniprot import download
from halo.uniprot.agreement import agreement
from halo.uniprot.download import download_entries
from halo.uniprot.entries import Location, read_entries, text_locations
from halo.uniprot.settings import UniprotSettings
from halo.uniprot.vocabulary import TERMS, Vocabulary

EXPERIMENT, SIMILARITY = "ECO:0000269", "ECO:0000250"


def entry(accession: str, *locations: tuple[str, str], molecule: str = "", go=()) -> dict:
    """An entry as the service gives it."""
    comment = {
        "commentType": "SUBCELLULAR LOCATION",
        "note": {"texts": [{"value": "Shuttles."}]},
        "subcellularLocations": [
            {
                "location": {
                    "value": term,
                    "evidences": [{"evidenceCode": code, "source": "PubMed"}],
                },
                "topology": {"value": "Single-pass membrane protein"},
            }
            for term, code in locations
        ],
    }
    return {
        "entryType": "UniProtKB reviewed (Swiss-Prot)",
        "primaryAccession": accession,
        "uniProtkbId": f"{accession}_HUMAN",
        "organism": {
            "scientificName": "Homo sapiens",
            "taxonId": 9606,
            "lineage": ["Eukaryota", "Metazoa"],
        },
        "comments": [
            comment | ({"molecule": molecule} if molecule else {}),
            {
                "commentType": "ALTERNATIVE PRODUCTS",
                "isoforms": [
                    {"name": {"value": "1"}, "isoformSequenceStatus": "Displayed"},
                    {"name": {"value": "2"}, "isoformSequenceStatus": "Described"},
                ],
            },
        ],
        "sequence": {
            "value": "MKV" + accession[-1].replace("1", "A").replace("2", "C").replace("3", "D")
        },
        "uniProtKBCrossReferences": [
            {
                "database": "GO",
                "id": id,
                "properties": [
                    {"key": "GoTerm", "value": f"{kind}:x"},
                    {"key": "GoEvidenceType", "value": f"{code}:UniProtKB"},
                ],
            }
            for id, kind, code in go
        ],
    }


ENTRIES = [
    entry("P00001", ("Nucleus, nucleolus", EXPERIMENT), ("Cytoplasm", SIMILARITY)),
    entry("P00002", ("Cytoplasm", SIMILARITY)),
    entry("P00003", ("Endoplasmic reticulum membrane", EXPERIMENT), molecule="Isoform 1"),
]
TSV = (
    "Entry\tReviewed\tEntry Name\tSequence\tSubcellular location [CC]\t"
    "Alternative products (isoforms)\tOrganism (ID)\tTaxonomic lineage\n"
    "P00001\treviewed\tP00001_HUMAN\tMKVA\tSUBCELLULAR LOCATION: Nucleus, nucleolus "
    "{ECO:0000269|PubMed:1, ECO:0000305}. Cytoplasm {ECO:0000250|UniProtKB:Q1}. Note=In the "
    "Peroxisome. No. {ECO:0000269|PubMed:2}.\t\t9606\tEukaryota (domain), Metazoa (kingdom)\n"
    "P00002\treviewed\tP00002_HUMAN\tMKVC\tSUBCELLULAR LOCATION: Cytoplasm {ECO:0000250}.\t\t\t\n"
    "P00003\treviewed\tP00003_HUMAN\tMKVD\tSUBCELLULAR LOCATION: [Isoform 1]: Endoplasmic "
    "reticulum membrane {ECO:0000269|PubMed:3}; Single-pass membrane protein {ECO:0000255}.; "
    "SUBCELLULAR LOCATION: [Isoform 2]: Nucleus {ECO:0000269|PubMed:3}.\tALTERNATIVE PRODUCTS:  "
    "Event=x; Name=1; IsoId=P00003-1; Sequence=Displayed; Name=2; IsoId=P00003-2; "
    "Sequence=VSP_1;\t9606\t\n"
)


def labelled(path: Path, annotations=(), **settings) -> dict[str, dict[str, str]]:
    """Labels that are not 0 of the proteins that are used: 1, or ? where they are unknown."""
    given = DatasetSettings(uniprot=UniprotSettings(**settings), annotations=annotations)
    proteins, _ = ingest(path, None, given)
    return {
        name: {
            label: "1" if value else "?"
            for label, value, known in zip(proteins.label_names, values, sure, strict=True)
            if value or not known
        }
        for name, values, sure in zip(proteins.ids, proteins.labels, proteins.known, strict=True)
    }


WANTED = {
    "P00001": {"Nucleus": "1", "Cytoplasm": "?"},
    "P00003": {"Endoplasmic reticulum": "1"},
}


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("x.json", json.dumps({"results": ENTRIES}).encode(), WANTED),
        ("x.json", json.dumps({"results": ENTRIES}, indent=1).encode(), WANTED),
        ("x.json.gz", gzip.compress(json.dumps({"results": ENTRIES}).encode()), WANTED),
        ("x.jsonl", "".join(json.dumps(e) + "\n" for e in ENTRIES).encode(), WANTED),
        (
            "x.tsv",
            TSV.encode(),
            WANTED | {"P00003": {"Endoplasmic reticulum": "1", "Nucleus": "?"}},
        ),
    ],
)
def test_entries_in_each_format(tmp_path, name, content, wanted):
    """By experiment a label, by similarity or of another isoform unknown, else negative."""
    (tmp_path / name).write_bytes(content)
    assert labelled(tmp_path / name, ["organism_id", "reviewed", "kingdom"]) == wanted


def test_evidence_that_counts(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(TSV)
    found = labelled(path, evidence=(EXPERIMENT, SIMILARITY))
    assert found["P00001"] == {"Nucleus": "1", "Cytoplasm": "1"}
    assert found["P00002"] == {"Cytoplasm": "1"}


def test_components_of_go(tmp_path):
    path = tmp_path / "x.json"
    terms = (
        [("GO:0005739", "C", "IDA")],
        [("GO:0005886", "C", "HDA"), ("GO:0000001", "C", "IDA")],
        [("GO:0005739", "C", "IEA"), ("GO:0005777", "F", "IDA")],
    )
    evidence = (EXPERIMENT, SIMILARITY, EXPERIMENT)
    given = [
        entry(f"P0000{n}", ("Nucleus", code), go=go)
        for n, code, go in zip((1, 2, 3), evidence, terms, strict=True)
    ]
    path.write_text(json.dumps({"results": given}))
    assert labelled(path) == {"P00001": {"Nucleus": "1"}, "P00003": {"Nucleus": "1"}}
    assert labelled(path, go=True) == {
        "P00001": {"Nucleus": "1", "Mitochondrion": "1"},
        "P00002": {"Cell membrane": "1", "Nucleus": "?"},
        "P00003": {"Nucleus": "1", "Mitochondrion": "?"},
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.tsv", "Entry\tSequence\nP1\tMKV\n", r"no column 'Subcellular location \[CC\]'"),
        ("x.json", '{"results": [{"a": 1}]}', "entry 1 is none of UniProtKB's"),
        ("x.json", '{"results": [', "line 1 is not readable as JSON"),
        ("x.json", '{"results": 3}', "no list of results"),
        ("x.json", '{"results": []}', "holds no entry"),
        ("x.json", "[]", "holds no entry"),
        ("x.jsonl", json.dumps(ENTRIES[0]) + '\n{"primary', "line 2 is not readable"),
        ("x.json", f"{json.dumps({'results': ENTRIES})}\n\n" * 2, "line 3: more after the end"),
        ("x.json", f"{json.dumps(ENTRIES)}\n" * 2, "line 2: more after the end of the JSON"),
    ],
)
def test_files_that_are_something_else(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(HaloError, match=rf"{name}: .*{words}"):
        labelled(tmp_path / name)


@pytest.mark.parametrize(
    ("reviewed", "used"), [(True, {"P1", "P3"}), (False, {"P2", "P3"}), (None, {"P1", "P2", "P3"})]
)
def test_entries_of_a_file_that_are_not_asked_for_are_rejected(tmp_path, reviewed, used):
    """Those of which the file does not say whether they are reviewed are used."""
    nucleus = "SUBCELLULAR LOCATION: Nucleus {ECO:0000269}."
    states = [("P1", "MKVA", "reviewed"), ("P2", "MKVC", "unreviewed"), ("P3", "MKVD", "")]
    (tmp_path / "x.tsv").write_text(
        "Entry\tSequence\tReviewed\tSubcellular location [CC]\n"
        + "".join(f"{id}\t{sequence}\t{state}\t{nucleus}\n" for id, sequence, state in states)
    )
    settings = DatasetSettings(uniprot=UniprotSettings(reviewed=reviewed))
    proteins, rejected = ingest(tmp_path / "x.tsv", None, settings)
    assert set(proteins.ids) == used
    assert {record.id for record in rejected} == {"P1", "P2", "P3"} - used
    assert all("uniprot.reviewed is" in record.detail for record in rejected)


# -- terms ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "labels"),
    [
        ("Nucleus", {"Nucleus"}),
        ("Cytoplasm, cytoskeleton, microtubule organizing center, centrosome", {"Cytoplasm"}),
        ("Mitochondrion inner membrane", {"Mitochondrion"}),
        ("Cell membrane, sarcolemma, T-tubule", {"Cell membrane"}),  # the end of the path is new
        ("Plastid, chloroplast thylakoid membrane", {"Plastid"}),
        ("Secreted, extracellular space, extracellular matrix", {"Extracellular"}),
        ("Early endosome membrane", {"Lysosome/Vacuole"}),
        ("Nucleus outer membrane", {"Nucleus"}),
        ("Membrane", set()),
        ("Host nucleus", set()),
        ("Virion membrane", set()),
        ("Nowhere", set()),
    ],
)
def test_labels_of_terms(term, labels):
    assert Vocabulary().of_location(term) == labels


def test_the_hierarchy_is_whole():
    """Every parent is a term, and nothing is above itself."""
    table = pd.read_csv(TERMS, keep_default_na=False).set_index("id")
    parents = {name: set(filter(None, text.split(";"))) for name, text in table["parents"].items()}
    assert set().union(*parents.values()) <= set(parents)

    def above(name: str, path: tuple[str, ...]) -> None:
        assert name not in path
        for parent in parents[name]:
            above(parent, (*path, name))

    for name in parents:
        above(name, ())


def test_a_mapping_of_ones_own(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("location,label\nMembrane,membrane\nNucleus membrane,\nNucleolus,x\n")
    with pytest.raises(HaloError, match=r"mine\.csv: line 4: 'Nucleolus' is no subcellular"):
        Vocabulary(path)
    path.write_text(
        'location,label\nMembrane,membrane\nNucleus membrane,\n"Nucleus, nucleolus",x\n'
    )
    mine = Vocabulary(path)
    assert mine.labels == ("membrane", "x")
    assert mine.of_location("Golgi apparatus membrane") == {"membrane"}
    assert mine.of_location("Nucleus inner membrane") == set()
    assert mine.of_location("Nucleus, nucleolus") == {"x"}
    (tmp_path / "x.tsv").write_text(TSV)
    assert labelled(tmp_path / "x.tsv", mapping=str(path))["P00001"] == {"x": "1"}


NAME = st.sampled_from(
    ["Cytoplasm", "Nucleus, nucleolus", "Cell membrane", "Golgi apparatus lumen"]
)
CODES = st.lists(st.sampled_from([EXPERIMENT, SIMILARITY, "ECO:0000305"]), max_size=2, unique=True)


@given(
    st.lists(
        st.tuples(NAME, CODES, st.sampled_from(["", "Multi-pass membrane protein"])), max_size=5
    )
)
def test_texts_of_locations_are_read_as_they_are_written(found):
    """Against a writer of the format: no location is lost, none is made of notes or topologies."""

    def text(term: str, codes: list[str], topology: str) -> str:
        evidence = " {" + ", ".join(f"{code}|PubMed:12" for code in codes) + "}" if codes else ""
        return term + evidence + (f"; {topology}{evidence}" if topology else "") + "."

    written = " ".join(text(*each) for each in found)
    comment = f"SUBCELLULAR LOCATION: {written} Note=Seen in the nucleus. Vacuole. {{ECO:0000269}}."
    wanted = [Location(term, tuple(codes)) for term, codes, _ in found]
    assert list(text_locations(comment)) == wanted


def test_deeploc_2_labels_are_found_again(shared):
    """On the accessions of both; `agreement` lists the differences."""
    given = pd.read_csv(shared / "uniprot_labels/swissprot_with_deeploc_mapping.csv.gz")
    table = pd.read_csv(shared / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz")
    vocabulary = Vocabulary()
    ours: dict[str, set[str]] = {}
    for accession, term in zip(given["accession"], given["location"], strict=True):
        ours.setdefault(accession, set()).update(vocabulary.of_location(term))
    columns = table[list(vocabulary.labels)].to_numpy(bool)
    theirs = {
        accession: {n for n, has in zip(vocabulary.labels, row, strict=True) if has}
        for accession, row in zip(table["ACC"], columns, strict=True)
    }
    share, kinds = agreement(ours, theirs)
    print(f"{share:.4f}", kinds.most_common(12))
    assert len(ours.keys() & theirs.keys()) == 26_838
    assert share >= 0.94
    assert kinds.total() == pytest.approx((1 - share) * 26_838)


def test_agreement_tells_the_kinds():
    share, kinds = agreement(
        {"a": {"N"}, "b": {"N", "C"}, "c": {"G"}, "d": set()}, {"a": {"N"}, "b": {"N"}, "c": {"M"}}
    )
    assert share == pytest.approx(1 / 3)
    assert kinds == {"+C": 1, "+G -M": 1}


# -- the service ----------------------------------------------------------------------------


class Service:
    """UniProt's service on the loopback interface, two entries a page.

    `faults` are answers that come first: a status, ``cut``, ``noise``; `releases` those of the
    pages, the last one for all others.
    """

    def __init__(self, entries, faults=(), releases=("2026_01",), total=None):
        self.entries, self.faults, self.releases = entries, list(faults), list(releases)
        self.total = len(entries) if total is None else total
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(asked)
        if self.faults:
            fault = self.faults.pop(0)
            if fault == "noise":
                return 200, {}, b"<html>"
            if fault == "cut":
                return 200, {"Content-Length": "99999"}, b'{"results": ['
            return fault, {"Retry-After": "0"}, b'{"messages": ["query has an invalid syntax"]}'
        start = int(asked.get("cursor", 0))
        release = self.releases.pop(0) if len(self.releases) > 1 else self.releases[0]
        headers = {
            "X-UniProt-Release": release,
            "X-UniProt-Release-Date": "28-January-2026",
            "X-Total-Results": str(self.total),
        }
        if start + 2 < len(self.entries):
            link = f"{self.url}/uniprotkb/search?cursor={start + 2}&size=2"
            headers["Link"] = f'<{link}>; rel="next"'
        return 200, headers, json.dumps({"results": self.entries[start : start + 2]}).encode()


@contextmanager
def serving(service: Service):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = service.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield UniprotSettings(taxonomy=9606, query="kinase", base_url=service.url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(download, "_BACKOFF", lambda state: 0.0)


def test_all_pages_of_a_query(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="halo")
    file = tmp_path / "uniprot-x.jsonl.gz"
    service = Service(ENTRIES, faults=[503, "cut", 429, "noise"])
    with serving(service) as settings:
        download_entries(settings, file)
    assert service.asked[0]["query"] == "(kinase) AND (taxonomy_id:9606) AND (reviewed:true)"
    assert [asked.get("cursor") for asked in service.asked] == [None] * 5 + ["2"]
    assert [found.accession for found in read_entries(file)] == ["P00001", "P00002", "P00003"]
    assert labelled(file) == WANTED
    assert "release 2026_01" in caplog.text
    (noted,) = input_files([file])
    assert noted["uniprot"] == {
        "release": "2026_01",
        "date": "28-January-2026",
        "query": settings.search,
        "entries": 3,
    }
    (tmp_path / "x.csv").write_text("a\n")
    assert "uniprot" not in input_files([tmp_path / "x.csv"])[0]


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (Service(ENTRIES, faults=[400]), "query has an invalid syntax.*correct it"),
        (Service([]), "no entry fits to"),
        (Service(ENTRIES, total=7), "gave 3 of 7 entries"),
        (
            Service(ENTRIES, releases=["2026_01", "2026_02"]),
            "release changed from 2026_01 to 2026_02",
        ),
        (Service(ENTRIES, faults=[500] * 6), "status 500, 6 times; run again later"),
    ],
)
def test_errors_are_reported_and_leave_no_file(tmp_path, service, words):
    with serving(service) as settings, pytest.raises(HaloError, match=words):
        download_entries(settings, tmp_path / "x.jsonl.gz")
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_answer(tmp_path):
    settings = UniprotSettings(base_url="http://127.0.0.1:9")
    with pytest.raises(HaloError, match="cannot be asked"):
        download_entries(settings, tmp_path / "x.jsonl.gz")
