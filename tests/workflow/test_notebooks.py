"""The notebooks run from the first cell to the last."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline import ROOT, forks

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def run(name: str, folder: Path, parameters: str, python: Path, monkeypatch) -> str:
    """Run a notebook in `folder` with other parameters; the text of its outputs.

    Nothing is installed: `python` stands behind the command ``halo``.
    """
    book = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    book.cells = [cell for cell in book.cells if "install" not in tags(cell)]
    [own] = [cell for cell in book.cells if "parameters" in tags(cell)]
    own.source = parameters
    halo = folder / "bin/halo"
    halo.parent.mkdir()
    halo.write_text(f'#!/bin/sh\nexec {python} -m halo "$@"\n')
    halo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{halo.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    NotebookClient(book, timeout=1800, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    data = [output.get("data", {}) for output in outputs]
    assert any("image/png" in each for each in data)
    texts = [output.get("text", "") for output in outputs]
    return "\n".join([*texts, *(each.get("text/plain", "") for each in data)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_results(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert sum("install" in tags(cell) for cell in book.cells) == 1
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_the_notebook_that_predicts(tmp_path, monkeypatch):
    options = "--no-download --page 0"
    said = run("predict.ipynb", tmp_path, f"OPTIONS = {options!r}", forks().python, monkeypatch)
    assert "P60033" in said
    assert "Mitochondrion" in said
    assert (tmp_path / "predictions/predictions.csv").read_text().count("\n") == 11


@pytest.mark.notebook
def test_the_notebook_that_trains(tmp_path, monkeypatch):
    said = run("train.ipynb", tmp_path, "EPOCHS = 3", Path("python"), monkeypatch)
    assert "239 proteins can be used" in said
    assert "majority" in said
    assert (tmp_path / "results/mine/report.html").is_file()
    assert (tmp_path / "predictions/predictions.csv").read_text().count("\n") == 6
