"""AlphaFold DB over HTTP/2 and TLS, with a different server implementation."""

import asyncio
import logging
import re
import threading
from contextlib import contextmanager

import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from halo.structures.fetch import fetch_structures, summary
from halo.structures.settings import StructureSettings

from .test_structures_server import ACCESSIONS, AlphaFoldServer, members_of, quick, sequence_of


class Http2Server(AlphaFoldServer):
    """The replies of `AlphaFoldServer`, over HTTP/2 where the client speaks it.

    ``cut`` are paths whose next answer is truncated in the middle by a reset of the stream;
    ``versions`` and ``clients`` are the versions of HTTP and the ports that requests came by.
    """

    def __init__(self, sequences):
        super().__init__(sequences)
        self._server.server_close()
        self.cut, self.versions, self.clients = set(), [], set()

    async def app(self, scope, receive, send):
        assert scope["type"] == "http"
        path = scope["path"]
        self.requests.append(path)
        self.versions.append(scope["http_version"])
        self.clients.add(tuple(scope["client"]))
        body = self.body(path)
        status = 404 if body is None else 200
        body = body or b"{}"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path in self.cut:
            self.cut.remove(path)
            await send({"type": "http.response.body", "body": body[:100], "more_body": True})
            raise ConnectionResetError("as the test wants it")
        await send({"type": "http.response.body", "body": body})


@contextmanager
def running(server, tmp_path, monkeypatch):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    files = [tmp_path / "ca.pem", tmp_path / "key.pem", tmp_path / "chain.pem"]
    authority.cert_pem.write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    certificate.cert_chain_pems[0].write_to_path(files[2])
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    monkeypatch.setenv("NO_PROXY", "localhost")
    config = Config()
    config.bind = ["localhost:0"]
    config.keyfile, config.certfile = str(files[1]), str(files[2])
    config.errorlog = logging.getLogger("hypercorn.silent")
    config.errorlog.disabled = True
    # The sockets are made here, so that the port is known before the server runs.
    sockets = config.create_sockets()
    config.create_sockets = lambda: sockets
    server.url = f"https://localhost:{sockets.secure_sockets[0].getsockname()[1]}"
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def run():
        loop.run_until_complete(serve(server.app, config, shutdown_trigger=stop.wait))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@pytest.mark.slow
def test_http2_is_used_where_it_is_served(tmp_path, monkeypatch):
    server = Http2Server({name: sequence_of(name) for name in ACCESSIONS})
    server.cut = {f"/files/AF-{name}-F1-model_v4.cif" for name in ACCESSIONS[:5]}
    wanted = {**server.sequences, "Q99999": sequence_of("Q99999")}
    with running(server, tmp_path, monkeypatch):
        store, notes = fetch_structures(
            members_of(wanted), tmp_path / "store", StructureSettings(), quick(server)
        )
    assert summary(notes.values()) == "40 ok, 1 missing"
    assert set(server.versions) == {"2"}
    assert len(server.clients) < 10, "81 requests share few connections"
    assert not server.cut
    files = [path for path in server.requests if re.match("/files/", path)]
    # A reset may take the streams beside it with it.
    assert len(set(files)) == 40
    assert 45 <= len(files) < 65
    assert len(store.missing(seq_hash for seq_hash in notes)) == 0


def test_a_server_with_an_unknown_certificate_is_refused(tmp_path, monkeypatch):
    server = Http2Server({name: sequence_of(name) for name in ACCESSIONS})
    with running(server, tmp_path, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Exception, match="certificate") as refused:
            fetch_structures(
                members_of(server.sequences), tmp_path / "store", StructureSettings(), quick(server)
            )
    assert "cannot be reached" in str(refused.value)
    assert not server.requests
