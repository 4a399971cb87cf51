"""``halo predict`` on the command line: refused inputs, messages, and files that it keeps."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from halo.__main__ import main
from halo.embeddings import embed
from halo.errors import HaloError
from halo.predict import default_bundle
from halo.predict.folder import NAMES
from pipeline import forks
from predict_bundle import CHECKPOINT, DEMO, queries, write_fasta

OPTIONS = ("--no-download", "--language-model", str(CHECKPOINT), "--page", "1")


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    return write_fasta(tmp_path_factory.mktemp("fasta") / "q.fasta", queries(3))


@pytest.fixture
def halo(monkeypatch, capfd):
    """The command in this process: its status and its messages."""

    def call(*words) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["halo", *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
        return status, capfd.readouterr().err

    return call


def content(folder: Path) -> dict[str, bytes]:
    """The files below a folder but those of predictions themselves, by their paths."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".halo-predict")
    }


def another_users_store(folder: Path) -> Path:
    for kind in ("embeddings", "graphs", "structures", "language_models"):
        segment = folder / kind / "0123456789abcdef/00/00000000000000000001-aaaaaaaa.h5"
        segment.parent.mkdir(parents=True)
        segment.write_bytes(b"of another user")
    return folder


def test_without_a_bundle_that_of_the_package_is_used(
    halo, small_run, fasta, tmp_path, monkeypatch
):
    """With its language model, so that nothing else is needed."""
    folder = small_run.bundle(tmp_path / "data/bundle", "halo", language_model=True)
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", folder)
    options = ("--no-download", "--page", "0")
    status, messages = halo("predict", fasta, "-o", tmp_path / "out", *options)
    assert status == 0, messages
    assert len(pd.read_csv(tmp_path / "out/predictions.csv")) == 3


def test_without_any_bundle(halo, fasta, tmp_path, monkeypatch):
    monkeypatch.setattr(default_bundle, "DEFAULT_BUNDLE", tmp_path / "none")
    status, messages = halo("predict", fasta, "-o", tmp_path / "out")
    assert status == 1
    assert "--bundle: not given, and this installation has no bundle in" in messages


# ------------------------------------------------------------------ nothing of others is lost


@pytest.mark.parametrize("place", [".", "store", "chunks", "structures", "other", "store/store"])
def test_a_store_of_another_user_in_the_output_folder(
    halo, small_bundle, fasta, tmp_path, monkeypatch, place
):
    """Wherever it is in what -o points to: kept, and refused where it would be in the way."""
    out = tmp_path / "out"
    another_users_store(out / place)
    before = content(out)
    monkeypatch.chdir(out)
    status, messages = halo("predict", fasta, "--bundle", small_bundle, "-o", ".", *OPTIONS)
    after = content(out)
    assert before.items() <= after.items()
    in_the_way = any((out / name).exists() and name in Path(place).parts for name in NAMES)
    in_the_way |= place == "."  # its structures
    assert status == (1 if in_the_way else 0), messages
    if in_the_way:
        assert "exists and was not written by a prediction in this folder" in messages
        assert after == before


def test_a_store_of_another_user_after_a_prediction(halo, small_bundle, fasta, tmp_path):
    """In the very folder that an earlier prediction has made."""
    out = tmp_path / "out"
    words = ("predict", fasta, "--bundle", small_bundle, "-o", out, *OPTIONS)
    assert halo(*words)[0] == 0
    another_users_store(out / "store")
    another_users_store(out / "chunks")
    before = content(out)
    for more in ((), ("--chunk", "2"), ("--page", "0")):
        assert halo(*words, *more)[0] == 0
        kept = {name for name in before if "0123456789abcdef" in name}
        assert len(kept) == 8
        assert {name: before[name] for name in kept}.items() <= content(out).items()


@pytest.mark.parametrize("place", ["", "structures", "chunks", "store", "predictions.csv"])
def test_a_store_that_is_given(halo, small_bundle, fasta, tmp_path, place):
    """--store at, above and below what is written: nothing of it is lost."""
    out = tmp_path / "out"
    store = another_users_store(out / place)
    before = content(out)
    words = ("predict", fasta, "--bundle", small_bundle, "-o", out, "--store", store, *OPTIONS)
    status, messages = halo(*words)
    assert before.items() <= content(out).items()
    assert status == 1, messages
    assert "Traceback" not in messages


def test_a_store_of_another_user_is_added_to(halo, small_bundle, fasta, tmp_path):
    store = another_users_store(tmp_path / "store")
    before = content(store)
    words = ("--bundle", small_bundle, "-o", tmp_path / "out", "--store", store, *OPTIONS)
    assert halo("predict", fasta, *words)[0] == 0
    assert before.items() < content(store).items()


@pytest.mark.parametrize("place", ["structures", "structures/models", "store", "models", "chunks"])
def test_structures_that_are_given(halo, small_bundle, fasta, tmp_path, place):
    """--structures at, above and below what is written, with an index and a store beside them."""
    out = tmp_path / "out"
    folder = out / place
    shutil.copytree(DEMO / "afdb", folder)
    name = next(folder.glob("AF-*")).name
    (folder / "index.csv").write_text(f"file,id,label\n{name},a,Nucleus\n")
    another_users_store(folder / "store")
    before = content(out)
    words = ("--bundle", small_bundle, "-o", out, "--structures", folder, *OPTIONS)
    status, messages = halo("predict", fasta, *words)
    assert before.items() <= content(out).items()
    assert status == (0 if place == "models" else 1), messages


def test_files_with_the_names_of_ours(halo, small_bundle, fasta, tmp_path):
    for name in ("predictions.csv", "rejected.csv"):
        (tmp_path / name).write_text("mine")
    words = ("--bundle", small_bundle, "-o", tmp_path, *OPTIONS)
    status, messages = halo("predict", fasta, *words)
    assert status == 1
    assert "predictions.csv, rejected.csv: exists" in messages
    assert (tmp_path / "predictions.csv").read_text() == "mine"


def test_a_bundle_as_output_folder(halo, small_bundle, fasta, tmp_path):
    bundle = shutil.copytree(small_bundle, tmp_path / "bundle")
    before = content(bundle)
    words = ("predict", fasta, "--bundle", bundle, "-o", bundle, *OPTIONS)
    status, messages = halo(*words)
    assert status == 1
    assert "bundle: a model bundle; give another folder" in messages
    assert content(bundle) == before


def test_a_log_takes_the_place_of_a_log_alone(halo, small_bundle, fasta, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    words = ("predict", fasta, "--bundle", small_bundle, "-o", tmp_path / "out", "--log")
    status, messages = halo(*words, mine)
    assert (status, mine.read_text()) == (2, "mine")
    assert "mine.txt exists and is not a log" in messages
    status, messages = halo(*words, tmp_path)
    assert status == 2
    assert "Is a directory" in messages


# ------------------------------------------------------------------ messages, no tracebacks


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--threads", "0"), 2, "argument --threads: 0 is below 1"),
        (("-o", ""), 2, "argument -o/--out: empty; give a value"),
        (("--store", " "), 2, "argument --store: empty; give a value"),
        (("--embeddings", ""), 2, "argument --embeddings: empty; give a value"),
        (("--chunk", "0"), 2, "argument --chunk: 0 is below 1"),
        (("--page", "-1"), 2, "argument --page: -1 is below 0"),
        (("--max-length", "x"), 2, "argument --max-length: invalid"),
        (("--max-length", "10"), 1, "too long .* above --max-length"),
        (("--device", "cuda"), 1, "cuda"),
        (("--stage", "predict"), 1, "--stage: needs a --store"),
        (("--structures", "gone"), 1, "--structures: there is no folder gone"),
        (("-o", "{file}"), 1, "a file; give a folder to write to"),
        (("-o", "{file}/below"), 1, "Not a directory"),
        (("-o", "/proc/nothing/below"), 1, "/proc.*; give another path"),
        (("--store", "{file}"), 1, "{file}.*; give another path"),
        (("--store", "/proc/nothing"), 1, "/proc.*; give another path"),
        (("--language-model", "gone.pt"), 1, "--language-model: there is no file gone.pt"),
        (("--language-model", "{folder}"), 1, ": a folder, not a checkpoint"),
        (("--language-model", "{file}"), 1, "{file}: "),
        (("--bundle", "gone"), 1, "gone: there is no such folder"),
        (("--bundle", "{file}"), 1, "there is no such folder"),
        (("--bundle", "{folder}"), 1, "bundle.json: missing"),
    ],
)
def test_wrong_options_are_named(halo, small_bundle, fasta, tmp_path, words, status, message):
    import re

    import torch

    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    given = [word.format(file=file, folder=folder) for word in words]
    out = tmp_path / "out"
    found = halo("predict", fasta, "--bundle", small_bundle, "-o", out, *OPTIONS, *given)
    assert found[0] == status, found[1]
    assert re.search(message.format(file=re.escape(str(file))), found[1])
    assert "Traceback" not in found[1]
    assert file.read_text() == "mine"


def test_a_language_model_that_cannot_be_loaded_is_no_protein_s_fault(
    halo, small_bundle, fasta, tmp_path, monkeypatch
):
    def make_encoder(*_):
        raise HaloError("the GPU's memory is too small for the language model")

    monkeypatch.setattr(embed, "make_encoder", make_encoder)
    out = tmp_path / "out"
    status, said = halo("predict", fasta, "--bundle", small_bundle, "-o", out, *OPTIONS)
    assert status == 1
    assert said.count("is too small for the language model") == 1
    assert not (out / "predictions.csv").exists()


@pytest.mark.parametrize("name", ["chunks", "predictions.json"])
def test_what_cannot_be_written(halo, small_bundle, fasta, tmp_path, monkeypatch, name):
    """A folder without permission, also of a prediction that is finished."""
    words = ("predict", fasta, "--bundle", small_bundle, "-o", tmp_path / "out", *OPTIONS)
    if name != "chunks":
        assert halo(*words)[0] == 0
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if name in (Path(target).name, Path(target).parent.name):
            raise PermissionError(13, "Permission denied", str(target))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    status, messages = halo(*words)
    assert status == 1, messages
    assert "Permission denied; give another path" in messages
    assert "Traceback" not in messages


def test_a_bundle_above_the_working_folder(halo, small_bundle, fasta, tmp_path, monkeypatch):
    shutil.copytree(small_bundle, tmp_path / "bundle")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    status, messages = halo("predict", fasta, "--bundle", "../bundle", "-o", "../out", *OPTIONS)
    assert status == 0, messages
    assert (tmp_path / "out/predictions.csv").exists()


def test_structures_of_other_proteins(halo, small_bundle, fasta, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    model = next((DEMO / "afdb").glob("AF-*"))
    words = ("--bundle", small_bundle, "-o", tmp_path / "out", "--structures", folder, *OPTIONS)
    shutil.copy(model, folder / "another.cif.gz")
    status, messages = halo("predict", fasta, *words)
    assert status == 0, messages
    assert "warning: --structures: none is used, 1 files of" in messages
    assert "0 of 3 sequences have a structure" in messages
    known = [path for path in (DEMO / "afdb").glob("AF-*") if path.name.split("-")[1] in queries(3)]
    shutil.copy(known[0], folder)
    status, messages = halo("predict", fasta, *words)
    assert "1 of 3 sequences have a structure" in messages
    assert "none is used" not in messages


@pytest.mark.parametrize(
    "start", ["\n", "\r\n \t\r\n", "; a comment\n# and another\n", " ", "\t"],
    ids=["blank line", "blank lines", "comments", "blank", "tab"],
)  # fmt: skip
def test_a_fasta_that_begins_otherwise_with_nucleic_acids_in_it(
    halo, small_bundle, tmp_path, start
):
    """Its proteins are predicted; DNA and RNA are not, and a message says so."""
    fasta, out = tmp_path / "q.fasta", tmp_path / "out"
    [(name, sequence)] = queries(1).items()
    dna = "ATGGCTAGCTAAGCTTGCATGC"
    others = {"dna": dna, "rna": dna.replace("T", "U"), "part": dna.lower() + "N"}
    with fasta.open("w", newline="") as file:
        file.write(start + "".join(f">{n}\n{s}\n" for n, s in ({name: sequence} | others).items()))
    words = ("--bundle", small_bundle, "-o", out, *OPTIONS[:-1], "0")
    status, messages = halo("predict", fasta, *words)
    assert status == 0, messages
    predicted = pd.read_csv(out / "predictions.csv")
    assert predicted["id"].tolist() == [name]
    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected["id"].tolist() == list(others)
    assert set(rejected["reason"]) == {"DNA or RNA"}
    for other in others:
        assert f"'{other}': DNA or RNA (not a protein; translate it)" in messages


@pytest.mark.parametrize("bases", ["ACGT", "ACGU"])
def test_nucleic_acids_alone(halo, small_bundle, tmp_path, bases):
    fasta, out = tmp_path / "q.fasta", tmp_path / "out"
    write_fasta(fasta, {"one": 5 * bases, "two": 9 * bases})
    status, messages = halo("predict", fasta, "--bundle", small_bundle, "-o", out, *OPTIONS)
    assert status == 1
    assert "none of 2 proteins" in messages
    assert "DNA or RNA (not a protein; translate" in messages
    assert "Traceback" not in messages
    assert not (out / "predictions.csv").exists()


def test_left_over_variables_of_a_launcher_do_no_harm(
    halo, small_bundle, fasta, tmp_path, monkeypatch
):
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "log"
    words = ("predict", fasta, "--bundle", small_bundle, "-o", tmp_path / "out", *OPTIONS)
    status, messages = halo(*words, "--log", log)
    assert status == 0, messages
    assert "proteins predicted" in log.read_text()


def test_interrupted(halo, small_bundle, fasta, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("halo.predict.run.write_chunk", interrupt)
    out = tmp_path / "out"
    status, messages = halo("predict", fasta, "--bundle", small_bundle, "-o", out, *OPTIONS)
    assert status == 130
    assert "interrupted" in messages
    assert "Traceback" not in messages
    assert not list(out.glob(".scratch*"))


# ------------------------------------------------------------------ as processes of their own


@pytest.mark.slow
def test_from_a_pipe_and_interrupted(root, small_bundle, fasta, tmp_path):
    """``cat q.fasta | halo predict - …``, and Ctrl-C while it waits for more."""
    environment = {**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"}
    words = ["-m", "halo", "predict", "-", "--bundle", small_bundle, "-o"]

    def heed_interrupts() -> None:
        """A shell ignores Ctrl-C for tests in the background, and so would their children."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start(python: str, out: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [*map(str, (python, *words, out, *OPTIONS, "--log", out / "log"))], env=environment,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, preexec_fn=heed_interrupts,
        )  # fmt: skip

    waiting = start(sys.executable, tmp_path / "waiting")
    piped = start(forks().python, tmp_path / "piped")
    _, messages = piped.communicate(fasta.read_bytes())
    assert piped.returncode == 0, messages.decode()
    assert (tmp_path / "piped/predictions.csv").read_text().count("\n") == 4
    waiting.stdin.write(b">a\n" + b"MKV" * 100_000)  # more than a pipe holds: it is being read
    waiting.stdin.flush()
    waiting.send_signal(signal.SIGINT)
    try:
        waiting.wait(20)
    except subprocess.TimeoutExpired:
        # Python ignores what is raised in a callback of an import or of the garbage collection.
        waiting.send_signal(signal.SIGINT)
    _, messages = waiting.communicate()
    assert waiting.returncode == 130, messages.decode()
    assert b"interrupted" in messages
    assert b"Traceback" not in messages


# Notes, beside itself, which files of the checkout's package a process opens.
WATCH = """
import atexit, pathlib, sys
opened = []
def note(event, arguments):
    if event == "open" and str(arguments[0]).startswith({package!r}):
        opened.append(str(arguments[0]))
sys.addaudithook(note)
seen = pathlib.Path(__file__).with_name("opened")
atexit.register(lambda: seen.write_text("\\n".join(opened)))
"""


@pytest.mark.slow
def test_the_wheel_predicts_from_another_folder(root, installed, small_bundle, fasta, tmp_path):
    """Installed by pip into an empty folder, called by its command; of the checkout it has nothing.

    The packages that it requires are those of the environment of the tests.
    """
    watch, elsewhere = tmp_path / "watch", tmp_path / "elsewhere"
    elsewhere.mkdir()
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(WATCH.format(package=str(root / "workflow")))
    words = [installed / "bin/halo", "predict", fasta, "--bundle", small_bundle, "-o", "out"]
    paths = os.pathsep.join(map(str, (installed, watch)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, (*words, *OPTIONS, "--structures", DEMO / "afdb"))],
        cwd=elsewhere, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "out/predictions.csv").read_text().count("\n") == 4
    assert (elsewhere / "out/predictions.html").read_text().count("<tr data-row=") == 1
    assert (watch / "opened").read_text() == ""
