"""A local server that simulates AlphaFold DB, including errors.

The other tests of the structures take their models and their faults from here.
"""

import gzip
import io
import json
import random
import re
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gemmi
import numpy as np
import pytest

from halo.files import sha256_of_text
from halo.proteins.members import Member
from halo.store import BUCKETS, bucket_of
from halo.structures.afdb import AlphaFoldDb
from halo.structures.settings import TransportSettings
from halo.structures.transport import Client

LETTERS = {"A": "ALA", "C": "CYS", "D": "ASP", "E": "GLU", "G": "GLY", "K": "LYS", "L": "LEU"}


def model_pdb(sequence, plddt=90.0, seed=0):
    """A PDB file with a random walk as backbone and the sequence in its header.

    `plddt` is the mean of its pLDDT and that of all residues but the second and the third.
    """
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 2.2, (len(sequence), 3)), axis=0)
    names = [LETTERS[letter] for letter in sequence]
    b_factors = np.full(max(len(names), 3), float(plddt))
    b_factors[1:3] += 1, -1  # a constant would tell nothing
    lines = []
    for start in range(0, len(names), 13):
        part = " ".join(names[start : start + 13])
        lines.append(f"SEQRES {start // 13 + 1:3d} A {len(names):4d}  {part}")
    serial = 0
    residues = zip(names, walk, b_factors[: len(names)], strict=True)
    for number, (name, centre, b) in enumerate(residues, start=1):
        for atom, shift in (("N", -1.2), ("CA", 0.0), ("C", 1.2)):
            serial += 1
            x, y, z = centre + shift
            lines.append(
                f"ATOM  {serial:5d}  {atom:<3s} {name} A{number:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{b:6.2f}          {atom[0]:>2s}"
            )
    return "\n".join([*lines, "TER", "END", ""]).encode()


def model_cif(sequence, plddt=90.0, seed=0):
    """The same as mmCIF, as AlphaFold DB names it."""
    structure = gemmi.read_pdb_string(model_pdb(sequence, plddt, seed))
    structure.setup_entities()
    return structure.make_mmcif_document().as_string().encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class AlphaFoldServer:
    """Predictions and files of some sequences by accession, with faults on demand.

    ``records`` maps an accession to the records of its reply, ``files`` a path to its bytes,
    where they are other than one model of the sequence. ``faults`` maps a path to a list of
    handlers, taken one a request, before the honest answer; ``always`` is a handler for every
    request of a path. ``random_fault`` is a function of a path that returns a handler, or None
    for the honest answer.
    """

    def __init__(self, sequences, version=4):
        self.sequences = dict(sequences)
        self.version = version
        self.requests = []
        self.records = {}
        self.files = {}
        self.faults = {}
        self.always = {}
        self.random_fault = None
        self.times = []
        self.connections = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def do_GET(self):
                outer.handle(self)

            def log_message(self, *arguments):
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()

    def handle(self, handler):
        with self._lock:
            self.requests.append(handler.path)
            self.times.append(time.monotonic())
            queue = self.faults.get(handler.path, [])
            fault = queue.pop(0) if queue else self.always.get(handler.path)
            if fault is None and self.random_fault is not None:
                fault = self.random_fault(handler.path)
        if fault is not None:
            fault(handler, self.body(handler.path))
        else:
            respond(handler, self.body(handler.path))

    def body(self, path):
        if match := re.fullmatch(r"/api/prediction/([A-Z0-9-]+)", path):
            return self.reply(match[1])
        if path in self.files:
            return self.files[path]
        match = re.fullmatch(r"/files/AF-(.+)-F1-model_v(\d+)\.(cif|pdb)", path)
        if match is None or match[1] not in self.sequences or int(match[2]) != self.version:
            return None
        make = model_cif if match[3] == "cif" else model_pdb
        return make(self.sequences[match[1]], seed=zlib.crc32(match[1].encode()))

    def reply(self, accession):
        if accession in self.records:
            return json.dumps(self.records[accession]).encode()
        if accession not in self.sequences:
            return None
        return json.dumps([self.entry(accession)]).encode()

    def entry(self, accession):
        return self.record(accession, self.sequences[accession])

    def record(self, accession, sequence, name=None, start=1, **fields):
        """A record of AlphaFold DB for `sequence`, which begins at residue `start`."""
        name = name or f"AF-{accession}-F1"
        stem = f"{self.url}/files/{name}-model_v{self.version}"
        return {
            "toolUsed": "AlphaFold Monomer v2.0 pipeline",
            "providerId": "GDM",
            "entityType": "protein",
            "isComplex": False,
            "modelEntityId": name,
            "uniprotAccession": accession,
            "latestVersion": self.version,
            "sequenceStart": start,
            "sequenceEnd": start + len(sequence) - 1,
            "sequence": sequence,
            "cifUrl": f"{stem}.cif",
            "pdbUrl": f"{stem}.pdb",
            **fields,
        }

    def add(self, accession, sequence, name=None, start=1, plddt=90.0, **fields):
        """List a record with its model, beside those that are listed."""
        record = self.record(accession, sequence, name, start, **fields)
        self.records.setdefault(accession, []).append(record)
        path = f"/files/{record['modelEntityId']}-model_v{self.version}.cif"
        self.files[path] = model_cif(sequence, plddt)
        return record


def respond(handler, body, status=200, headers=(), length=None):
    """Send `body`, or 404 where it is None."""
    if body is None:
        status, body = 404, b"{}"
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def status(code, *headers):
    return lambda handler, body: respond(handler, b"fault", code, headers)


def reset(handler, body):
    """Half of the body, then the connection is gone."""
    body = body or b"x" * 100
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def cut_gzip(handler, body):
    packed = gzip.compress(body or b"x" * 100)
    respond(handler, packed[: len(packed) // 2], headers=[("Content-Encoding", "gzip")])


def wrong_length(handler, body):
    """Says less than there is, and closes: the client sees a file that is truncated."""
    body = body or b"x" * 100
    respond(handler, body, length=len(body) * 2 // 3)
    handler.close_connection = True


def drip(handler, body):
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b"d")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def html(handler, body):
    respond(handler, b"<!DOCTYPE html><html><body>Maintenance</body></html>")


def empty(handler, body):
    respond(handler, b"")


def loop(handler, body):
    respond(handler, b"", 302, [("Location", handler.path)])


@cache
def bomb_content():
    """2 GB of mmCIF in 2 MB of gzip: a block of 16 MB, again and again."""
    packer = zlib.compressobj(wbits=31)
    first, block = (
        packer.compress(b"data_bomb\n" + b"#" * (16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
        for _ in range(2)
    )
    return first + block * 127


def bomb(handler, body):
    respond(handler, bomb_content(), headers=[("Content-Encoding", "gzip")])


PASSING = {
    "429": status(429, ("Retry-After", "0")),
    "500": status(500),
    "503": status(503),
    "reset": reset,
    "gzip": cut_gzip,
    "length": wrong_length,
    "html": html,
    "empty": empty,
}
ACCESSIONS = [f"P{number:05d}" for number in range(10000, 10040)]


def sequence_of(seed, length=60):
    rng = random.Random(seed)
    return "".join(rng.choice("ACDEGKL") for _ in range(length))


def random_faults(share, most=3):
    """A passing fault for `share` of the requests, at most `most` in a row for one path.

    Each path has draws of its own, for the order of the requests differs from run to run, and
    a client that asks six times must not meet six faults, once in some runs.
    """
    dice = {}
    row = Counter()
    faults = list(PASSING.values())

    def fault(path):
        draw = dice.setdefault(path, random.Random(path))
        if draw.random() >= share or row[path] == most:
            row[path] = 0
            return None
        row[path] += 1
        return draw.choice(faults)

    return fault


def quick(server, **changes):
    """Transport settings for the loopback: no politeness, small pauses."""
    settings = {"concurrency": 4, "requests_per_second": 1e4, "timeout": 2.0, "retries": 5}
    return TransportSettings(server.url, **{**settings, "backoff": 0.01, **changes})


@contextmanager
def database(server, version=None, **changes):
    client = Client(quick(server, **changes))
    try:
        yield AlphaFoldDb(client, version)
    finally:
        client.close()


def members_of(sequences):
    """Members by bucket, all buckets there, as a shard has them."""
    members = {bucket: [] for bucket in BUCKETS}
    for accession, sequence in sequences.items():
        seq_hash = sha256_of_text(sequence)
        members[bucket_of(seq_hash)].append(Member(seq_hash, (accession,), sequence))
    return members


def by_accession(members, notes):
    return {
        member.accessions[0]: notes[member.seq_hash]
        for bucket in members.values()
        for member in bucket
        if member.seq_hash in notes
    }


class RealServer(AlphaFoldServer):
    """Serves the models of a folder, ``AF-<accession>-F1-model_v4.pdb.gz``."""

    def __init__(self, folder):
        self.models = {
            path.name.split("-")[1]: path for path in sorted(folder.glob("AF-*-F1-model_v4.pdb.gz"))
        }
        super().__init__({})

    def body(self, path):
        if match := re.fullmatch(r"/api/prediction/([A-Z0-9]+)", path):
            return self.reply(match[1])
        match = re.fullmatch(r"/files/AF-([A-Z0-9]+)-F1-model_v4\.pdb", path)
        return gzip.decompress(self.models[match[1]].read_bytes()) if match else None

    def reply(self, accession):
        if accession not in self.models:
            return None
        url = f"{self.url}/files/AF-{accession}-F1-model_v4.pdb"
        entry = {"entryId": f"AF-{accession}-F1", "latestVersion": 4, "pdbUrl": url}
        return json.dumps([entry]).encode()


def test_the_models_are_what_another_parser_reads():
    biopython = pytest.importorskip("Bio.PDB")
    sequence = sequence_of(1)
    pdb = io.StringIO(model_pdb(sequence).decode())
    chain = next(biopython.PDBParser(QUIET=True).get_structure("x", pdb)[0].get_chains())
    names = {name: letter for letter, name in LETTERS.items()}
    assert "".join(names[residue.resname] for residue in chain) == sequence
