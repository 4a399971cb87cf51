"""Two predictions in one folder: the second says who is there."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from halo.errors import HaloError
from halo.predict.lock import FILE, only_one

HOLDER = """
import sys, pathlib
from halo.predict.lock import only_one
with only_one(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_refused_until_the_first_has_ended(root, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": str(root / "workflow")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    words = rf"another prediction is at work here \(process {holder.pid} on .*since.*give another"
    with pytest.raises(HaloError, match=words), only_one(tmp_path / "out"):
        pass
    holder.kill()  # however it ends
    holder.wait()
    with only_one(tmp_path / "out"):
        assert f"process {os.getpid()}" in (tmp_path / "out" / FILE).read_text()


def test_it_works_where_there_are_no_locks(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with only_one(tmp_path):
        pass
    assert "No locks available" in caplog.text or not caplog.records
