"""Runs of several folders that share the downloads of a store."""

import http.server
import threading
from functools import partial
from pathlib import Path

import pytest

from halo.files import read_json, sha256_of_file
from pipeline import ROOT, Outcome, snakemake

TABLE = (ROOT / "resources/demo/proteins.csv").read_text()
OTHER = TABLE.replace("DEMO0001,", "OTHER001,")
PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.fixture
def place(tmp_path):
    """A folder with runs and their store, beside a server of the folder `web`."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web/table.csv").write_text(TABLE)
    (tmp_path / "web/page.csv").write_text(PAGE)
    (tmp_path / "web/error.csv").write_text('{"message": "try again"}\n')
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "url").write_text(f"http://127.0.0.1:{server.server_port}")
        yield tmp_path
        server.shutdown()


def call(
    place: Path, run: str, *arguments: str, file: str = "table.csv", sha256: str | None = None
) -> Outcome:
    """Call Snakemake in the folder of a run, for its ingest."""
    (place / run).mkdir(exist_ok=True)
    config = {
        "run": run,
        "store": str(place / "store"),
        "dataset": {
            "url": f"{(place / 'url').read_text()}/{file}",
            "sha256": sha256,
            "accession": "accession",
            "annotations": ["kingdom"],
        },
        "structures": {"sources": []},
        "embeddings": {"model": "resources/demo/esm2_demo.pt"},
        "methods": {"majority": {"class": "majority"}},
        "shards": 1,
    }
    return snakemake(place / run, config, *arguments, "--", "ingest")


def downloads(place: Path) -> list[Path]:
    return sorted((place / "store/downloads").iterdir())


def test_no_run_removes_or_ignores_the_download_of_another(place):
    assert call(place, "a").status == 0
    [file] = downloads(place)
    # Another run uses it, and demands its own sha256 of it.
    wrong = call(place, "b", sha256="0" * 64)
    assert wrong.status == 1
    assert f"but {'0' * 64} is expected" in wrong.output
    assert call(place, "b", sha256=sha256_of_file(file)).status == 0
    [record] = (place / "b/results/b/downloads").iterdir()
    assert read_json(record)["sha256"] == sha256_of_file(file)
    # A job that is repeated, a failure and the removal of all outputs leave it.
    (place / "web/table.csv").unlink()
    assert call(place, "a", "--forcerun", "download_dataset").status == 0
    assert call(place, "a", sha256="1" * 64).status == 1
    assert call(place, "a", "--delete-all-output").status == 0
    assert downloads(place) == [file]
    assert call(place, "b").status == 0
    assert call(place, "b", "--dry-run").nothing_to_do
    # It is fetched again where it is deleted, and every run sees that it has changed.
    (place / "web/table.csv").write_text(OTHER)
    file.unlink()
    assert call(place, "a").status == 0
    assert file.read_text() == OTHER
    planned = call(place, "b", "--dry-run")
    assert {"download_dataset", "ingest"} <= set(planned.rules)
    assert call(place, "b").status == 0
    assert "OTHER001" in (place / "b/results/b/proteins.csv").read_text()
    assert call(place, "b", "--dry-run").nothing_to_do


def test_a_page_is_not_kept_and_another_message_is_named(place):
    refused = call(place, "a", file="page.csv")
    assert refused.status == 1
    assert "it is a web page" in refused.output
    assert not downloads(place)
    for _ in range(2):  # by the ingest, and before the first job
        failed = call(place, "a", file="error.csv")
        assert failed.status == 1
        [file] = downloads(place)
        assert f"{file} was downloaded: if it is not the data set" in failed.output
