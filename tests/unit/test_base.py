"""Modules shared by all stages: atomic files, code digests, exit status, downloads."""

import gzip
import hashlib
import http.server
import re
import subprocess
import sys
import threading
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

import pytest

import halo.code_digest as code_digest_module
from halo.addresses import masked
from halo.cli import Progress
from halo.code_digest import code_digest
from halo.download import download, page_fault
from halo.errors import HaloError
from halo.files import atomic_path, sha256_of_file, write_json
from halo.proteins.plan import disk_bytes


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match=r"a\.json: .*; write None where"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    assert not list(tmp_path.iterdir())


def test_an_exception_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(file) as temporary:  # noqa: PT012
        temporary.write_text("new")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
    with atomic_path(file) as temporary:
        temporary.write_text("new")
    assert file.read_text() == "new"


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package of its own: a imports b, b imports c inside of a function, d stands alone."""
    folder = tmp_path / "halo"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("from halo.b import f\n")
    (folder / "b.py").write_text("def f():\n    import halo.c\n    import json\n")
    (folder / "c.py").write_text("X = 1\n")
    (folder / "d.py").write_text("X = 1\n")
    monkeypatch.setattr(code_digest_module, "PACKAGE", folder)
    return folder


@pytest.mark.parametrize(("name", "changes"), [("a", True), ("b", True), ("c", True), ("d", False)])
def test_a_digest_follows_imports(package, name, changes):
    before = code_digest("halo.a")
    (package / f"{name}.py").write_text((package / f"{name}.py").read_text() + "Y = 2\n")
    assert (code_digest("halo.a") != before) == changes


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("X = 1\n", "# why\nX  =  (1)\n", True),
        ('def f():\n    """One."""\n    return 1\n', "def f():\n    return 1\n", True),
        ('__version__ = "1.0"\n', '__version__ = "2.0"\n', True),
        ("X = 1\n", "X = 1.0\n", False),
        ("X = f(a, b)\n", "X = f(b, a)\n", False),
        ("X = a < b\n", "X = a <= b\n", False),
        ("def f(a, *, b): pass\n", "def f(a, b): pass\n", False),
        ('X = "a"\n', "X = b'a'\n", False),
        ("if a:\n    x()\ny()\n", "if a:\n    x()\n    y()\n", False),
        ("X[a:]\n", "X[:a]\n", False),
        ("{a: b, **c}\n", "{a: b, c: None}\n", False),
        ("def f(a, b=1): pass\n", "def f(a=1, b=1): pass\n", False),
    ],
)
def test_a_digest_is_of_what_the_code_does(package, before, after, same):
    (package / "a.py").write_text(before)
    first = code_digest("halo.a")
    (package / "a.py").write_text(after)
    assert (code_digest("halo.a") == first) == same


def test_a_digest_holds_the_data_that_a_module_reads(package):
    (package / "c.py").write_text('X = data_file("table.csv")\nY = data_file("web")\n')
    (package / "web").mkdir()
    files = (package / "table.csv", package / "web/page.css")
    for file in files:
        file.write_text("1")
    seen = {code_digest("halo.a")}
    for file in files:
        file.write_text("2")
        seen.add(code_digest("halo.a"))
    assert len(seen) == 3


def test_every_file_of_the_package_is_found_through_data_file(root):
    """Else a change of it would be in no digest."""
    package = root / "workflow/halo"
    knows_its_place = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if "__file__" in file.read_text() or "importlib.resources" in file.read_text()
    }
    assert knows_its_place <= {"code_digest.py", "data_files.py", "config/reference.py"}


def test_the_scales_of_the_amino_acids_are_in_the_digests_of_what_reads_them(monkeypatch, root):
    scripts = [root / "scripts" / name for name in ("train.py", "predict.py")]
    sources = [*scripts, "halo.network.features"]
    before = [code_digest(source) for source in sources]
    monkeypatch.setattr(code_digest_module, "_bytes_digest", lambda file: f"changed {file.name}")
    assert all(code_digest(s) != d for s, d in zip(sources, before, strict=True))


def test_a_digest_does_not_depend_on_the_place(package, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import halo.a\n")
    elsewhere = tmp_path / "deep" / "s.py"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(script.read_bytes())
    assert code_digest(script) == code_digest(elsewhere) != code_digest("halo.a")
    with pytest.raises(ModuleNotFoundError):
        code_digest("halo.none")


SCRIPT = """
import errno
import sys
from halo.errors import HaloError
from halo.cli import job_parser, run_job
def job(arguments):
    raise {error}
run_job(job_parser("x"), job)
"""


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        ("HaloError('fix it')", False),
        ("OSError(errno.ENOSPC, 'fix it')", False),
        ("PermissionError(errno.EACCES, 'fix it')", False),
        ("OSError(errno.ESTALE, 'fix it')", False),
        ("KeyError(1)", True),
    ],
)
def test_jobs_end_with_a_message_or_a_traceback(root, tmp_path, error, traceback):
    command = [sys.executable, "-c", SCRIPT.format(error=error), "--log", str(tmp_path / "log")]
    environment = {"PYTHONPATH": str(root / "workflow")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == traceback
    assert (tmp_path / "log").read_text() in done.stderr
    if not traceback:
        assert re.search("error: .*fix it", done.stderr)


def test_progress_counts_to_the_end(caplog):
    caplog.set_level("INFO", logger="halo")
    progress = Progress(100, "residues", every=1000)
    for _ in range(10):
        progress.add(10)
    (line,) = caplog.messages
    assert re.match(r"100 of 100 residues \(100 %\), [\d,]+ per second", line)


def test_progress_without_a_total_says_how_much(caplog):
    caplog.set_level("INFO", logger="halo")
    progress = Progress(0, "bytes", every=1000)
    progress.add(10)
    assert not caplog.messages
    progress.every = 0
    progress.add(10)
    (line,) = caplog.messages
    assert re.fullmatch(r"20 bytes, [\d,.e+]+ per second", line)


def test_disk_of_known_models():
    assert disk_bytes(1000, "esm2_t33_650M_UR50D")["embeddings"] == 2_560_000
    assert disk_bytes(1000, "esm2_t33_650M_UR50D", 5)["embeddings"] == 5 * 2_560_000
    assert disk_bytes(1000, "mine.pt")["embeddings"] is None


CONTENT = b"x" * 300_000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT after as many failures as the path says, such as ``/500/2`` or ``/cut/1``."""

    seen: dict[str, int]

    def do_GET(self):
        kind, count = self.path.split("/")[1:]
        self.seen[self.path] = self.seen.get(self.path, 0) + 1
        fails = self.seen[self.path] <= int(count)
        status = int(kind) if fails and kind.isdigit() else 200
        if kind in ANSWERS:
            return self.answer(*ANSWERS[kind])
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if fails else None])

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


PAGE = b"<!-- Portal -->\n<!DOCTYPE HTML><html><body>Sign in</body></html>"
# Answers of servers by the beginning of the path.
ANSWERS: dict[str, tuple] = {
    "page": (200, PAGE, ("Content-Length", str(len(PAGE)))),
    "empty": (200, b"", ("Content-Length", "0")),
    "nothing": (204, b""),
    "endless": (200, CONTENT),
    "packed": (
        200, gzip.compress(CONTENT), ("Content-Encoding", "gzip"),
        ("Content-Length", str(len(gzip.compress(CONTENT)))),
    ),
}  # fmt: skip


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)  # no waiting in a test
    Handler.seen = {}
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("path", ["/ok/0", "/500/2", "/429/1", "/cut/2"])
def test_passing_faults_are_retried(server, tmp_path, path):
    expected = hashlib.sha256(CONTENT).hexdigest()
    assert download(server + path, tmp_path / "file", expected, 10**6) == expected
    assert sha256_of_file(tmp_path / "file") == expected


@pytest.mark.parametrize(
    ("path", "sha256", "most", "words"),
    [
        ("/404/9", None, 10**6, "could not be downloaded"),
        ("/500/99", None, 10**6, "could not be downloaded"),
        ("/ok/0", "0" * 64, 10**6, "sha256"),
        ("/ok/0", None, 1000, "larger than the limit of 1,000 bytes"),
    ],
)
def test_other_faults_leave_no_file(server, tmp_path, path, sha256, most, words):
    with pytest.raises(HaloError, match=words):
        download(server + path, tmp_path / "file", sha256, most)
    assert not list(tmp_path.iterdir())
    if "404" in path:
        assert Handler.seen[path] == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/page/0", "rejected .it is a web page.*sign-in"),
        ("/empty/0", "the answer is empty .status 200"),
        ("/nothing/0", "the answer is empty .status 204"),
    ],
)
def test_what_is_no_data_set_is_not_kept(server, tmp_path, path, words):
    with pytest.raises(HaloError, match=words):
        download(server + path, tmp_path / "file", None, 10**6, page_fault)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["id,sequence\n<html>,MKV\n", ">p <html>\nMKV\n", "", "<p>,M\n"])
def test_a_table_is_no_web_page(tmp_path, text):
    (tmp_path / "file").write_text(text)
    assert page_fault(tmp_path / "file") is None


def test_a_file_whose_end_is_not_known_is_warned_of(server, tmp_path, caplog):
    words = "does not say how long the file is"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for path, given, warned in (
        ("/endless/0", None, True), ("/endless/0", sha256, False), ("/ok/0", None, False)
    ):  # fmt: skip
        caplog.clear()
        download(server + path, tmp_path / "file", given, 10**6)
        assert (words in caplog.text) == warned


def test_the_length_of_a_packed_answer_is_that_of_its_bytes(server, tmp_path, caplog):
    caplog.set_level("INFO", logger="halo")
    with patch.object(Progress, "__init__", partialmethod(Progress.__init__, every=0)):
        download(f"{server}/packed/0", tmp_path / "file", None, 10**6)
    assert "(100 %)" in caplog.text
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/ok/0", "/404/9", "/empty/0", "/endless/0"])
def test_no_message_has_the_secrets_of_an_address(server, tmp_path, caplog, path):
    caplog.set_level("INFO", logger="halo")
    url = server.replace("://", "://me:SECRET@") + path + "?token=SECRET"
    said = ""
    try:
        download(url, tmp_path / "file", None, 10**6)
    except HaloError as error:
        said = str(error)
    said += caplog.text
    assert "***@127.0.0.1" in said
    assert "SECRET" not in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a.csv", "https://example.org/a.csv"),
        ("https://example.org:8/a?secret#b", "https://example.org:8/a?***"),
        ("https://a:b@c@example.org/a?x=1;y=2", "https://***@example.org/a?x=***;y=***"),
        ("https://[example.org/a?x=1", "***"),
    ],
)
def test_addresses_are_shown_without_secrets(url, shown):
    assert masked(url) == shown
