"""Digests of the user's files: by content, and read once."""

import os

import pytest

from halo import content_digest as module
from halo.content_digest import content_digest
from halo.files import listing_digest, sha256_of_file


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []

    def reading(path):
        names.append(path.name)
        return sha256_of_file(path)

    monkeypatch.setattr(module, "sha256_of_file", reading)
    return names


def test_a_file_is_read_again_only_after_a_change(tmp_path, read):
    file, notes = tmp_path / "a.csv", tmp_path / "notes"
    file.write_text("one")
    digest = content_digest(file, notes)
    assert digest == content_digest(file, notes) == sha256_of_file(file)
    assert read == ["a.csv"]
    os.utime(file)
    assert content_digest(file, notes) == digest
    file.write_text("two, longer")
    assert content_digest(file, notes) == sha256_of_file(file) != digest
    assert len(read) == 3


def test_the_same_size_and_time_do_not_hide_another_content(tmp_path):
    file, notes = tmp_path / "a.csv", tmp_path / "notes"
    file.write_text("one")
    status, before = file.stat(), content_digest(file, notes)
    other = tmp_path / "other"
    other.write_text("two")
    other.replace(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert content_digest(file, notes) != before


def test_a_damaged_note_is_made_again(tmp_path, read):
    file, notes = tmp_path / "a.csv", tmp_path / "notes"
    file.write_text("one")
    digest = content_digest(file, notes)
    [note] = notes.iterdir()
    note.write_text('{"state": [')
    assert content_digest(file, notes) == digest
    assert content_digest(file, notes) == digest
    assert len(read) == 2


def test_a_folder_is_its_names_and_bytes_and_not_its_place(tmp_path):
    notes, folder = tmp_path / "notes", tmp_path / "bundle"
    (folder / "below").mkdir(parents=True)
    (folder / "below/a").write_text("one")
    digest = content_digest(folder, notes)
    os.utime(folder / "below/a", (1, 1))
    folder = folder.rename(tmp_path / "moved")
    assert content_digest(folder, notes) == digest
    (folder / "below/a").rename(folder / "a")
    assert content_digest(folder, notes) != digest


def test_a_listing_has_the_places_of_files_in_a_folder(tmp_path):
    folder = tmp_path / "models"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "a/x.pdb").write_text("x")
    before = listing_digest([folder])
    moved = folder.rename(tmp_path / "elsewhere")
    assert listing_digest([moved]) == before
    (moved / "a/x.pdb").rename(moved / "b/x.pdb")
    assert listing_digest([moved]) != before
