"""The output folder: one prediction at a time; other files are not replaced or removed."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from halo.errors import HaloError
from halo.predict.folder import CHUNKS, LOCK, MARK, NAMES, OutputFolder, output_folder

HOLDER = """
import sys, pathlib
from halo.predict.folder import output_folder
with output_folder(pathlib.Path(sys.argv[1])):
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
    words = rf"another prediction is running here \(process {holder.pid} on .*since.*give another"
    with pytest.raises(HaloError, match=words), output_folder(tmp_path / "out"):
        pass
    holder.kill()  # however it ends
    holder.wait()
    with output_folder(tmp_path / "out"):
        assert f"process {os.getpid()}" in (tmp_path / "out" / LOCK).read_text()


def test_it_works_where_there_are_no_locks(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with output_folder(tmp_path):
        pass
    assert "No locks available" in caplog.text or not caplog.records


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_files_of_others_are_refused_and_kept(tmp_path, name):
    place = tmp_path / name
    if "." in name:
        place.write_text("mine")
    else:
        (place / "embeddings/0123/00").mkdir(parents=True)
        (place / "embeddings/0123/00/segment.h5").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(HaloError, match=rf"{name}: exists and was not written by a prediction"):
        output_folder(tmp_path).__enter__()
    assert content(tmp_path) == before


def test_what_a_prediction_has_made_is_its_own(tmp_path):
    with output_folder(tmp_path) as out:
        out.claim(CHUNKS).mkdir()
    with output_folder(tmp_path) as out:
        assert out.claim(CHUNKS).is_dir()
    # Another name is not, though the folder was written to.
    (tmp_path / "predictions.csv").write_text("mine")
    with pytest.raises(HaloError, match=r"predictions\.csv: exists"):
        output_folder(tmp_path).__enter__()


def test_what_appears_during_a_prediction_is_kept(tmp_path):
    with output_folder(tmp_path) as out:
        (tmp_path / "rejected.csv").write_text("mine")
        with pytest.raises(HaloError, match="made by another program in the meantime"):
            out.claim("rejected.csv")


def test_a_scratch_folder_is_removed_and_no_other(tmp_path):
    (tmp_path / ".scratch.other").mkdir()
    with output_folder(tmp_path) as out, out.scratch() as scratch:
        (scratch / "embeddings").mkdir()
        mark = (tmp_path / MARK).read_text()
    assert not scratch.exists()
    # A call that was killed leaves it, and the next one removes it.
    scratch.mkdir()
    (tmp_path / MARK).write_text(mark)
    with output_folder(tmp_path):
        assert not scratch.exists()
    assert (tmp_path / ".scratch.other").exists()


def test_a_file_and_a_bundle_are_no_output_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HaloError, match="file: a file; give a folder"):
        output_folder(tmp_path / "file").__enter__()
    with pytest.raises(HaloError, match="Not a directory; give another path"):
        output_folder(tmp_path / "file/below").__enter__()
    (tmp_path / "bundle.json").write_text("{}")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(HaloError, match="a model bundle; give another folder"):
        output_folder(tmp_path).__enter__()


@pytest.mark.parametrize("name", ["structures", "chunks", "predictions.csv", "structures/models"])
def test_inputs_cannot_lie_in_the_output_folder(tmp_path, name):
    with pytest.raises(HaloError, match=r"the prediction would write \w+"):
        output_folder(tmp_path, [tmp_path / name]).__enter__()
    with output_folder(tmp_path, [tmp_path / "mine", tmp_path / "store"]):
        pass


HEX = "0123456789abcdef" * 2


def test_what_a_killed_call_has_left_is_removed(tmp_path, monkeypatch):
    out, left, kept = tmp_path / "out", [], []
    with output_folder(out) as folder:
        folder.claim(CHUNKS).mkdir()
        folder.claim("predictions.csv").write_text("whole")
        monkeypatch.setattr(OutputFolder, "_remove_scratch", lambda _: None)
        with folder.scratch() as scratch:
            left.append(scratch)
        monkeypatch.undo()
    for name in ("predictions.csv", MARK, f"{CHUNKS}/{HEX[:20]}.json", f"{CHUNKS}/{HEX[:20]}.npz"):
        path = (out / name).with_name(f".{Path(name).name}.{HEX}.tmp")
        path.write_text("half")
        left.append(path)
    for name in (f".notes.csv.{HEX}.tmp", ".predictions.csv.tmp", f"{CHUNKS}/.mine.{HEX}.tmp"):
        (out / name).write_text("mine")
        kept.append(out / name)
    (out / ".scratch.mine").mkdir()
    with output_folder(out):
        assert not [path for path in left if path.exists()]
        assert all(path.exists() for path in [*kept, out / ".scratch.mine", out / CHUNKS])


def test_a_scratch_folder_is_known_before_it_is_made(tmp_path, monkeypatch):
    class Killed(BaseException):
        """The process ends."""

    make = Path.mkdir

    def kill(path: Path, *arguments, **options) -> None:
        if not path.name.startswith(".scratch."):
            make(path, *arguments, **options)
            return
        assert path.name in (tmp_path / MARK).read_text()
        raise Killed

    with output_folder(tmp_path) as folder:
        monkeypatch.setattr(Path, "mkdir", kill)
        with pytest.raises(Killed), folder.scratch():
            pass


def test_without_locks_unfinished_files_may_be_of_another_call(tmp_path, monkeypatch):
    with output_folder(tmp_path) as folder:
        folder.claim("predictions.csv").write_text("whole")
    unfinished = tmp_path / f".predictions.csv.{HEX}.tmp"
    unfinished.write_text("half")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with output_folder(tmp_path):
        assert unfinished.exists()
