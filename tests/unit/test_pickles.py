"""Files of PyTorch that it would take hours to refuse, in each place where one is read."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from halo.embeddings.checkpoint_file import checkpoint_fault
from halo.embeddings.files import EmbeddingFile, UnusableEmbedding
from halo.embeddings.pickles import import_fault

LONG = b"c" + b"a" * 200_000 + b"\nb\n."  # imports a name of that length
START = b"\x80\x02"


def archive(path: Path, pickled: bytes) -> Path:
    """A zip archive as PyTorch writes it."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", pickled)
    return path


def legacy(path: Path, *pickles: bytes) -> Path:
    path.write_bytes(b"".join(pickles))
    return path


def damaged(folder: Path) -> list[Path]:
    """In the format of today, and where each of the pickles of the earlier one begins."""
    magic, version = (pickle.dumps(n, protocol=2) for n in (0x1950A86A20F9469CFC6C, 1001))
    return [
        archive(folder / "1.pt", START + LONG),
        archive(folder / "2.pt", START + b"i" + LONG[1:]),
        legacy(folder / "3.pt", LONG),
        legacy(folder / "4.pt", START + LONG),
        legacy(folder / "5.pt", magic, version, START + LONG),
        legacy(folder / "6.pt", magic, version, START + LONG[:-4]),  # ends within the name
    ]


def test_long_names_are_found(tmp_path):
    for path in damaged(tmp_path):
        assert import_fault(path) == "damaged, it imports a name of no program", path.name


def test_an_archive_that_cannot_be_read_is_damaged(tmp_path):
    path = archive(tmp_path / "a.pt", START)
    assert import_fault(path).startswith("damaged (")
    torch.save(torch.zeros(3, 4), path)
    assert import_fault(path) is None
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert import_fault(path).startswith("damaged (")
    path.write_bytes(whole[:4] + whole[60:])  # the first record would begin before the file
    assert import_fault(path).startswith("damaged (")


def test_an_archive_behind_a_pickle_is_not_read_as_one(tmp_path):
    """PyTorch goes by the first bytes, and zipfile by the last."""
    path = archive(tmp_path / "a.pt", START + b"N.")
    path.write_bytes(START + LONG + path.read_bytes())
    assert import_fault(path) == "damaged, it imports a name of no program"


@pytest.mark.parametrize("zipped", [True, False])
def test_what_pytorch_writes_is_whole(tmp_path, zipped):
    path = tmp_path / "a.pt"
    content = {"representations": {6: torch.zeros(3, 4)}, "label": "a" * 5000}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert import_fault(path) is None


def test_embeddings_and_weights_are_refused(tmp_path):
    for path in damaged(tmp_path):
        folder = tmp_path / path.stem
        folder.mkdir()
        (folder / "P12345.pt").write_bytes(path.read_bytes())
        file = EmbeddingFile(folder)
        with pytest.raises(UnusableEmbedding, match="it imports a name of no program"):
            file.read(file.entries[0])
        (folder / "config.json").write_text('{"model_type": "t5"}')
        path.rename(folder / "pytorch_model.bin")
        fault = checkpoint_fault(folder)
        assert fault.startswith("pytorch_model.bin is damaged, it imports a name"), fault
