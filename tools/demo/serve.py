"""Serve a folder of models on this computer as AlphaFold DB serves its own, and run a command.

    python serve.py [--port 8642] [--folder afdb] -- COMMAND ...

The command runs while the server answers on 127.0.0.1; its exit status is passed on. Without a
command the server answers until Ctrl-C. The folder holds ``AF-<accession>-F<n>-model_v<k>`` as
``.cif.gz``, ``.pdb.gz``, ``.cif`` or ``.pdb``.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
PORT = 8642
MODEL = re.compile(
    r"AF-(?P<accession>[A-Z0-9]+(?:-[0-9]+)?)-F(?P<fragment>[0-9]+)"
    r"-model_v(?P<version>[0-9]+)\.(?P<format>cif|pdb)(?:\.gz)?"
)
ONE_LETTER = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E",
    "GLY": "G", "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F",
    "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V",
}  # fmt: skip
FRAGMENT_STEP = 200  # AlphaFold DB's fragments of a long protein begin 200 residues apart


class AlphaFoldServer:
    """AlphaFold DB's prediction API and files, for a folder of models.

    It answers while it is used as a context manager.

    Attributes
    ----------
    url
        Where it answers, without a slash at the end.
    requests
        The paths asked for, in the order of their arrival.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._files, self._entries = _listing(Path(folder))
        self._http = _Server((HOST, port), _Handler)
        self._http.site = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://{HOST}:{self._http.server_port}"
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def predictions(self, accession: str) -> list[dict[str, Any]] | None:
        """What ``/api/prediction/<accession>`` answers, None if the accession is unknown.

        An object a fragment; the isoforms' follow those of the canonical sequence.
        """
        if accession not in self._entries:
            return None
        isoforms = [name for name in self._entries if name.startswith(f"{accession}-")]
        return [
            self._prediction(name, fragment, names)
            for name in (accession, *isoforms)
            for fragment, names in sorted(self._entries[name].items())
        ]

    def file(self, name: str) -> bytes | None:
        """The uncompressed content of ``/files/<name>``, None if there is none."""
        path = self._files.get(name)
        return None if path is None else _content(path)

    def _prediction(
        self, accession: str, fragment: int, names: dict[tuple[int, str], str]
    ) -> dict[str, Any]:
        latest = max(version for version, _ in names)
        urls = {
            kind: f"{self.url}/files/{names[latest, kind]}" if (latest, kind) in names else None
            for kind in ("cif", "pdb")
        }
        newest = next(names[latest, kind] for kind in ("cif", "pdb") if (latest, kind) in names)
        read = _read_cif if newest.endswith(".cif") else _read_pdb
        sequence, plddt, entry_name = read(_content(self._files[newest]).decode("utf-8"))
        first = 1 + FRAGMENT_STEP * (fragment - 1)
        last = first + len(sequence) - 1
        return {
            "entryId": f"AF-{accession}-F{fragment}",
            "uniprotAccession": accession,
            "uniprotId": entry_name,
            "sequence": sequence,
            "uniprotSequence": sequence,
            "sequenceStart": first,
            "sequenceEnd": last,
            "uniprotStart": first,
            "uniprotEnd": last,
            "globalMetricValue": round(sum(plddt) / len(plddt), 2),
            "latestVersion": latest,
            "allVersions": sorted({version for version, _ in names}),
            "cifUrl": urls["cif"],
            "pdbUrl": urls["pdb"],
            "bcifUrl": None,
            "paeDocUrl": None,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    site: AlphaFoldServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report faults of the server; a client that hangs up is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        site.requests.append(self.path)
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path == f"/api/prediction/{name}":
            predictions = site.predictions(name)
            if predictions is not None:
                return self._answer(200, "application/json", json.dumps(predictions).encode())
        elif path == f"/files/{name}":
            content = site.file(name)
            if content is not None:
                kind = "chemical/x-mmcif" if name.endswith(".cif") else "chemical/x-pdb"
                return self._answer(200, kind, content)
        error = json.dumps({"error": f"nothing is known of {name}"}).encode()
        return self._answer(404, "application/json", error)

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: `AlphaFoldServer.requests` is the log."""


Entries = dict[str, dict[int, dict[tuple[int, str], str]]]


def _listing(folder: Path) -> tuple[dict[str, Path], Entries]:
    """What `folder` holds.

    Gives the path of each name that is served, and for each accession and fragment the
    names by version and format.
    """
    files: dict[str, Path] = {}
    entries: Entries = {}
    for path in sorted(folder.iterdir()):
        if match := MODEL.fullmatch(path.name):
            name = path.name.removesuffix(".gz")
            files[name] = path
            fragments = entries.setdefault(match["accession"], {})
            names = fragments.setdefault(int(match["fragment"]), {})
            names[int(match["version"]), match["format"]] = name
    return files, entries


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _read_cif(text: str) -> tuple[str, list[float], str | None]:
    """Sequence, pLDDT a residue and entry name, from the C-alpha atoms of an mmCIF."""
    columns = re.findall(r"^_atom_site\.(\w+)\s*$", text, flags=re.MULTILINE)
    atom, residue, value = map(columns.index, ("label_atom_id", "label_comp_id", "B_iso_or_equiv"))
    rows = (line.split() for line in text.splitlines() if line.startswith("ATOM "))
    alphas = [(row[residue], float(row[value])) for row in rows if row[atom] == "CA"]
    name = re.search(r"^_struct_ref\.db_code\s+(\S+)", text, flags=re.MULTILINE)
    return *_unzipped(alphas), name and name[1]


def _read_pdb(text: str) -> tuple[str, list[float], str | None]:
    """The same from a PDB file."""
    alphas = [
        (line[17:20], float(line[60:66]))
        for line in text.splitlines()
        if line.startswith("ATOM  ") and line[12:16] == " CA "
    ]
    name = re.search(r"^DBREF .* UNP +\S+ +(\S+)", text, flags=re.MULTILINE)
    return *_unzipped(alphas), name and name[1]


def _unzipped(alphas: list[tuple[str, float]]) -> tuple[str, list[float]]:
    sequence = "".join(ONE_LETTER.get(residue, "X") for residue, _ in alphas)
    return sequence, [value for _, value in alphas]


def main() -> int:
    """Read the command line, serve, and give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).resolve().parents[2] / "resources/demo/afdb"
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--folder", type=Path, default=default)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    arguments = parser.parse_args()
    command = [word for index, word in enumerate(arguments.command) if index or word != "--"]
    if not arguments.folder.is_dir():
        parser.error(f"--folder: {arguments.folder} is no folder")
    try:
        server = AlphaFoldServer(arguments.folder, arguments.port)
    except (OSError, OverflowError) as error:
        parser.error(f"--port: cannot serve on {HOST}:{arguments.port} ({error}); give another")
    with server:
        print(f"AlphaFold DB's stand-in answers on {server.url}", file=sys.stderr, flush=True)
        return _run(command) if command else _wait()


def _run(command: list[str]) -> int:
    """Run `command` and give its exit status as a shell would."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        print(f"serve.py: cannot run {command[0]}: {error}", file=sys.stderr)
        return 127
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            continue  # the command has had the Ctrl-C as well, and ends in its own way
        return status if status >= 0 else 128 - status


def _wait() -> int:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
