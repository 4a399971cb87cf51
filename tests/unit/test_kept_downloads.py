"""Downloads that a store keeps: fetched once, never removed for one run, compared with records."""

from pathlib import Path

import pytest

from halo.errors import HaloError
from halo.files import sha256_of_text, write_json
from halo.kept_downloads import is_outdated, kept_download, with_advice


def test_a_file_is_fetched_once(tmp_path):
    file, fetched = tmp_path / "a.csv", []

    def fetch():
        fetched.append(file)
        file.write_text("one")

    record = kept_download(file, sha256_of_text("one"), fetch)
    assert record == {"name": "a.csv", "bytes": 3, "sha256": sha256_of_text("one")}
    assert kept_download(file, None, fetch) == record
    assert fetched == [file]


def test_a_file_of_the_store_needs_the_sha256_and_stays_without_it(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("of another run")
    with pytest.raises(HaloError, match=r"a\.csv: the sha256 .* is expected; .*delete this one"):
        kept_download(file, "0" * 64, lambda: pytest.fail("fetched"))
    assert file.read_text() == "of another run"


def test_a_record_is_outdated_if_the_store_has_another_file_or_none(tmp_path):
    file, record, notes = tmp_path / "a.csv", tmp_path / "a.json", tmp_path / "notes"
    file.write_text("one")
    assert not is_outdated(record, file, notes)  # there is none yet
    write_json(record, kept_download(file, None, lambda: None))
    assert not is_outdated(record, file, notes)
    file.write_text("two")
    assert is_outdated(record, file, notes)
    file.unlink()
    assert is_outdated(record, file, notes)


def test_a_fault_of_a_download_says_how_to_get_it_again():
    file, error = Path("store/downloads/a.csv"), HaloError("store/downloads/a.csv: no column 'id'")
    assert "no column 'id'\nstore/downloads/a.csv was downloaded" in str(with_advice(error, [file]))
    assert with_advice(error, [Path("other.csv")]) is error
    assert with_advice(error, []) is error
