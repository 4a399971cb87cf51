"""Compare parsing of real AlphaFold models with Bio.PDB, and measure downloads.

Parsing: both sides read the same gzipped PDB files one after the other in one thread, place the
residues in the protein's sequence and write the same arrays to a store of the same kind. The
sides take turns, in rounds, and the contents of their stores are compared. HALO's side is the
whole stage, with the source `folder`.

Download: the stage fetches the same models from a server on the loopback that is a process of
its own, answers from memory as AlphaFold DB's API and files do, and packs with gzip. What bounds
it is measured beside it: the same requests without parsing, and parsing without requests. The
last line is one JSON object.
"""

import argparse
import gzip
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from Bio.Data.PDBData import protein_letters_3to1
from Bio.PDB import PDBParser

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

from halo.files import sha256_of_text  # noqa: E402
from halo.proteins.members import Member  # noqa: E402
from halo.store import Store, bucket_of  # noqa: E402
from halo.structures.fetch import fetch_structures  # noqa: E402
from halo.structures.layout import LAYOUT, Fragment, Note, mean_plddt, pack  # noqa: E402
from halo.structures.parse import parse_structure  # noqa: E402
from halo.structures.settings import (  # noqa: E402
    SourceSettings,
    StructureSettings,
    TransportSettings,
)

MODELS = ROOT.parent / "shared/data/afdb"
GOAL, FILES_GOAL = 15.0, 200.0
ROUNDS = 3
BUCKETS = 8
CONNECTIONS = 4
JOBS = 2


def members_of(files: Sequence[Path]) -> dict[str, list[Member]]:
    """The proteins that `files` are models of, by bucket; their sequences are the models'.

    They are put into few buckets, so that one has as many as in a run of 12,000 proteins, and
    segments have the size that they have there.
    """
    members: dict[str, list[Member]] = {}
    for file in files:
        sequence = parse_structure(file.read_bytes(), file.name)[0].letters
        digest = sha256_of_text(sequence)
        seq_hash = f"{int(digest[:2], 16) % BUCKETS:02x}{digest[2:]}"
        member = Member(seq_hash, (file.name.split("-")[1],), sequence)
        members.setdefault(bucket_of(seq_hash), []).append(member)
    return members


def store_with_halo(members: Mapping[str, list[Member]], folder: Path, root: Path) -> Store:
    """The stage."""
    settings = StructureSettings(sources=(SourceSettings("folder", str(folder)),))
    return fetch_structures(members, root, settings, TransportSettings(concurrency=1))[0]


def store_with_biopython(members: Mapping[str, list[Member]], folder: Path, root: Path) -> Store:
    """The same arrays by way of Bio.PDB's objects."""
    store = Store(root / "biopython", LAYOUT)
    parser = PDBParser(QUIET=True)
    with store.writer() as writer:
        for member in (member for bucket in members.values() for member in bucket):
            accession = member.accessions[0]
            [file] = folder.glob(f"AF-{accession}-F1-model_v*.pdb.gz")
            with gzip.open(file, "rt") as text:
                chain = next(parser.get_structure(accession, text).get_chains())
            atoms = [[residue[name] for name in ("N", "CA", "C")] for residue in chain]
            letters = "".join(protein_letters_3to1[residue.get_resname()] for residue in chain)
            assert letters == member.sequence
            fragment = Fragment(
                np.array([[atom.coord for atom in row] for row in atoms], np.float32),
                np.array([row[1].bfactor for row in atoms], np.float16),
                np.frombuffer(letters.encode(), np.uint8),
                np.arange(len(letters), dtype=np.uint16),
            )
            note = Note("ok", n_residues=len(letters), mean_plddt=mean_plddt([fragment]))
            writer.add(member.seq_hash, pack([fragment]), {"manifest": note.to_json()})
    return store


def same_content(ours: Store, theirs: Store, members: Mapping[str, list[Member]]) -> bool:
    """Whether both stores have equal arrays of every protein."""
    return all(
        np.array_equal(array, theirs.read(member.seq_hash)[name], equal_nan=array.dtype.kind == "f")
        for bucket in members.values()
        for member in bucket
        for name, array in ours.read(member.seq_hash).items()
    )


def parse_and_store(files: Sequence[Path], scratch: Path) -> dict[str, float]:
    """Seconds of both sides for `files`, the least of `ROUNDS`."""
    members = members_of(files)
    seconds: dict[str, list[float]] = {"halo": [], "biopython": []}
    sides = {"halo": store_with_halo, "biopython": store_with_biopython}
    for number in range(ROUNDS):
        stores = {}
        for name, side in sides.items():
            start = time.perf_counter()
            stores[name] = side(members, files[0].parent, scratch / f"{name}{number}")
            seconds[name].append(time.perf_counter() - start)
        if not same_content(stores["halo"], stores["biopython"], members):
            raise SystemExit("the stores differ")
    return {name: min(taken) for name, taken in seconds.items()}


def serve(files: Sequence[Path], address: Connection) -> None:
    """Answer from memory, and tell the port through `address`."""
    answers = {}
    for file in files:
        accession = file.name.split("-")[1]
        path = f"/files/{file.name.removesuffix('.gz')}"
        entry = {"uniprotAccession": accession, "entryId": f"AF-{accession}-F1"}
        entry |= {"latestVersion": 4, "pdbUrl": path}
        answers[f"/api/prediction/{accession}"] = gzip.compress(json.dumps([entry]).encode())
        answers[path] = file.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = answers.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the requests are many."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address.send(server.server_port)
    server.serve_forever()


def download(files: Sequence[Path], scratch: Path) -> dict[str, float]:
    """Models a second of the stage, of its requests alone, and of its parsing alone.

    The stage runs as one job, and as the jobs of `JOBS` shards side by side.
    """
    members = members_of(files)
    mine, theirs = Pipe()
    server = Process(target=serve, args=(files, theirs), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{mine.recv()}"
    seconds: dict[str, list[float]] = {"one job": [], "two jobs": [], "requests": [], "parsing": []}
    for number in range(ROUNDS):
        for side, count in (("one job", 1), ("two jobs", JOBS)):
            shards = [sorted(members)[shard::count] for shard in range(count)]
            root = scratch / f"{side}{number}"
            jobs = [
                Process(target=fetch, args=({b: members[b] for b in shard}, root, url))
                for shard in shards
            ]
            start = time.perf_counter()
            for job in jobs:
                job.start()
            for job in jobs:
                job.join()
            seconds[side].append(time.perf_counter() - start)
            if any(job.exitcode for job in jobs):
                raise SystemExit("not every model has arrived")
        start = time.perf_counter()
        request_all(url, files)
        seconds["requests"].append(time.perf_counter() - start)
        start = time.perf_counter()
        for file in files:
            parse_structure(file.read_bytes(), file.name)
        seconds["parsing"].append(time.perf_counter() - start)
    server.terminate()
    return {name: len(files) / min(taken) for name, taken in seconds.items()}


def fetch(members: Mapping[str, Sequence[Member]], root: Path, url: str) -> None:
    """One job of the stage; ends the process with an error where a model does not arrive."""
    settings = StructureSettings(sources=(SourceSettings("afdb"),))
    transport = TransportSettings(url, concurrency=CONNECTIONS, requests_per_second=1e6)
    _, notes = fetch_structures(members, root, settings, transport)
    sys.exit(any(note.status != "ok" for note in notes.values()))


def request_all(url: str, files: Sequence[Path]) -> None:
    """The same requests over as many connections, the bodies thrown away."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    with httpx.Client(base_url=url, limits=limits) as client, ThreadPoolExecutor(4) as pool:

        def request(file: Path) -> None:
            client.get(f"/api/prediction/{file.name.split('-')[1]}").raise_for_status()
            with client.stream("GET", f"/files/{file.name.removesuffix('.gz')}") as response:
                for _ in response.iter_raw():
                    pass

        list(pool.map(request, files))


def main() -> None:
    """Both parts, and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of AF-*.pdb.gz")
    parser.add_argument("--number", type=int, help="of models; all by default")
    arguments = parser.parse_args()
    files = sorted(arguments.models.glob("AF-*-F1-model_v*.pdb.gz"))[: arguments.number]
    logging.disable(logging.INFO)
    with TemporaryDirectory() as name:
        seconds = parse_and_store(files, Path(name))
        rates = download(files, Path(name))
    ratio = seconds["biopython"] / seconds["halo"]
    parsed = {side: len(files) / taken for side, taken in seconds.items()}
    print(f"{len(files)} models, parsed and stored in one thread, the best of {ROUNDS} rounds:")
    for side, rate in parsed.items():
        print(f"  {side:10s} {rate:8.1f} models/s")
    print(f"Over HTTP on the loopback, {os.cpu_count()} cores, the server's work included:")
    for side, rate in rates.items():
        print(f"  {side:10s} {rate:8.1f} models/s")
    result = {
        "name": "structures",
        "ratio": round(ratio, 2),
        "goal": GOAL,
        "ok": ratio >= GOAL and rates["two jobs"] >= FILES_GOAL,
        "models": len(files),
        "models_per_second": {side: round(rate, 1) for side, rate in parsed.items()},
        "download_per_second": {side: round(rate, 1) for side, rate in rates.items()},
        "download_goal": FILES_GOAL,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
