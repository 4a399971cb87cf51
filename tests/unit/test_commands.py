"""The subcommands of halo that prepare, start and check runs."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from halo import __main__ as command_line
from halo.commands import doctor, init, repository, run
from halo.commands.survey import survey
from halo.errors import HaloError

SEQUENCES = ("MKVLATTRDEWW", "MSTNPKPQRKTK", "MGSSHHHHHHSS", "MADEEKLPPGWE")
HEADER = "id,sequence,Nucleus,Golgi apparatus"


def table(folder: Path, text: str, name: str = "mine.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def halo(*words: object) -> None:
    """Call a subcommand in this process."""
    arguments = command_line.parser(str(words[0])).parse_args(list(map(str, words)))
    arguments.job(arguments)


def written(folder: Path) -> dict:
    return yaml.safe_load((folder / "config.yaml").read_text())


# ---------------------------------------------------------------------- halo init


def test_a_table_with_columns_of_labels(tmp_path, caplog):
    rows = [
        f"{name},{sequence},{i % 2},{int(i == 0)},{i},Fungi"
        for i, (name, sequence) in enumerate(
            zip(("P12345", "Q99999-2", "P53_HUMAN", "x"), SEQUENCES, strict=True)
        )
    ]
    path = table(tmp_path, "\n".join([f"{HEADER},Partition,kingdom", *rows]))
    caplog.set_level("INFO", "halo")
    halo("init", tmp_path, "--proteins", path)
    dataset = written(tmp_path)["dataset"]
    assert dataset == {
        "proteins": "mine.csv",
        "id": "id",
        "sequence": "sequence",
        "labels": {"columns": ["Nucleus", "Golgi apparatus"]},
    }
    text = (tmp_path / "config.yaml").read_text()
    assert f"`{init.DRY_RUN}`" in text
    assert "2 have a UniProt accession, 1 an entry name, 1 neither" in text
    assert "- Golgi apparatus             # 1 proteins: too few" in text
    assert "# annotations: [kingdom]" in text
    assert "# split: Partition" in text
    assert "4 proteins can be used, with 12 to 12 residues" in caplog.text
    assert "slurm" in (tmp_path / "slurm/profile.yaml").read_text()


def test_names_of_labels_other_columns_and_rejected_records(tmp_path):
    """Unusual names of columns; a cell with several labels; one label for each protein or not."""
    rows = [f"n{i}\t{s}\tP1234{i}\tNucleus; Cytosol" for i, s in enumerate(SEQUENCES)]
    rows.append("bad\tMKVLATTRDE*WW\t\tCytosol")
    path = table(tmp_path, "\n".join(["Protein ID\tAA seq\tUniProt\tLocation", *rows]))
    halo("init", tmp_path / "new", "--proteins", path, "--name", "second")
    config = written(tmp_path / "new")
    assert config["run"] == "second"
    assert config["dataset"] == {
        "proteins": str(path),
        "id": "Protein ID",
        "accession": "UniProt",
        "sequence": "AA seq",
        "labels": {"label": "Location", "separator": ";"},
    }
    text = (tmp_path / "new/config.yaml").read_text()
    assert "rejected, illegal residue letters: 1 (the first: line 6)" in text
    assert "# Nucleus: 4 proteins: too few" in text
    assert "singlelabel" not in text


def test_a_fasta_with_a_second_table_of_exclusive_labels(tmp_path):
    fasta = table(tmp_path, "".join(f">p{i}\n{s}\n" for i, s in enumerate(SEQUENCES)), "a.fasta")
    labels = table(
        tmp_path, "Entry,class\n" + "".join(f"p{i},{'ab'[i % 2]}\n" for i in range(4)), "l.csv"
    )
    halo("init", tmp_path, "--proteins", fasta, "--labels", labels)
    dataset = written(tmp_path)["dataset"]
    assert dataset["labels"] == {"table": "l.csv", "id": "Entry", "label": "class"}
    assert "# task: singlelabel" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("present", "absent", "values"),
    [
        ("yes", "No", {"positive": ["yes"], "negative": ["no"]}),
        ("x", "", {"positive": ["x"], "negative": [""]}),
        ("1", "", {"negative": [""]}),
        ("TRUE", "false", {}),
    ],
)
def test_other_values_than_0_and_1(tmp_path, caplog, present, absent, values):
    """The blanks of a table without negative values mean 0: 4 known proteins, 2 with the label."""
    rows = [
        f"p{i},{s},{(present, absent)[i % 2]},{(absent, present)[i % 2]}\n"
        for i, s in enumerate(SEQUENCES)
    ]
    path = table(tmp_path, f"{HEADER}\n{''.join(rows)}")
    caplog.set_level("INFO", "halo")
    halo("init", tmp_path, "--proteins", path)
    assert written(tmp_path)["dataset"]["labels"] == {
        "columns": ["Nucleus", "Golgi apparatus"],
        **values,
    }
    assert "4 proteins can be used" in caplog.text
    assert "- Nucleus                     # 2 proteins" in (tmp_path / "config.yaml").read_text()


def test_a_column_whose_name_contains_a_word_for_labels(tmp_path):
    rows = "".join(f'p{i},{s},"{("a", "a,b")[i % 2]}",z\n' for i, s in enumerate(SEQUENCES))
    path = table(tmp_path, f"id,sequence,GFP localisation,note\n{rows}")
    halo("init", tmp_path, "--proteins", path)
    assert written(tmp_path)["dataset"]["labels"] == {"label": "GFP localisation"}
    assert '# separator: ","' in (tmp_path / "config.yaml").read_text().replace("'", '"')
    two = table(tmp_path, f"id,sequence,GFP localisation,location (old)\n{rows}")
    with pytest.raises(HaloError, match="--label COLUMN"):
        survey(two)


def test_a_table_of_uniprot(tmp_path):
    text = (
        "Entry\tSequence\tSubcellular location [CC]\n"
        f"P12345\t{SEQUENCES[0]}\tSUBCELLULAR LOCATION: Nucleus {{ECO:0000269|PubMed:1}}.\n"
    )
    halo("init", tmp_path, "--proteins", table(tmp_path, text, "uniprot.tsv"))
    assert written(tmp_path)["dataset"] == {"proteins": "uniprot.tsv", "uniprot": {}}
    assert "1 proteins can be used" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (f"{HEADER}\n", (), "contains no record"),
        ("gene,sequence,A\nx,MKVLATTRDE,1\n", (), "--id COLUMN, one of gene, sequence, A"),
        ("id,A\nx,1\n", (), r"no sequences; .*--sequence COLUMN\. .*--labels .*mine\.csv"),
        ("id,sequence\nx,MKVLATTRDE\n", (), "--label COLUMN"),
        ("id,sequence,A\nx,MKVLATTRDE,1\n", ("--label", "B"), "--label: there is no column 'B'"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_found(tmp_path, text, options, message):
    with pytest.raises(HaloError, match=message):
        halo("init", tmp_path, "--proteins", table(tmp_path, text), *options)
    assert not (tmp_path / "config.yaml").exists()


def test_data_that_stop_the_run_are_an_error_beside_the_configuration(tmp_path):
    path = table(tmp_path, f"{HEADER}\nx,MKV*LATTRDEKKKK,1,0\ny,{SEQUENCES[0]},,\n")
    with pytest.raises(HaloError, match=r"config.yaml is written.*\n.*none of 2 records"):
        halo("init", tmp_path, "--proteins", path, "--sequence", "sequence")
    assert "# STOPS THE RUN: " in (tmp_path / "config.yaml").read_text()


def test_a_configuration_is_not_overwritten(tmp_path):
    path = table(tmp_path, f"{HEADER}\nx,{SEQUENCES[0]},1,0\n")
    (tmp_path / "config.yaml").write_text("run: mine\n")
    with pytest.raises(HaloError, match="exists; give another folder"):
        halo("init", tmp_path, "--proteins", path)
    assert written(tmp_path) == {"run": "mine"}


@pytest.mark.parametrize(
    ("name", "run_name"), [("mine.csv.gz", "mine"), ("a b(1).fasta", "a_b_1"), (".csv", "mine")]
)
def test_the_name_of_a_run(name, run_name):
    assert init.run_name(Path(name)) == run_name


def test_a_separator_other_than_the_semicolon(tmp_path):
    rows = "".join(f"p{i},{s},{'a|b' if i else 'a'}\n" for i, s in enumerate(SEQUENCES))
    found = survey(table(tmp_path, f"id,sequence,location\n{rows}"))
    assert found.labels.separator is None  # splitting makes as many names
    rows += f"q,{SEQUENCES[0]},b\nr,{SEQUENCES[1]},c|a\ns,{SEQUENCES[1]},c\n"
    found = survey(table(tmp_path, f"id,sequence,location\n{rows}"))
    assert found.labels.separator == "|"


# ---------------------------------------------------------------------- halo run


@pytest.fixture
def started(monkeypatch) -> list:
    """Programs that replace this process, with their words and PATH."""
    calls: list = []
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    monkeypatch.setattr(
        os, "execve", lambda program, words, environment: calls.append((words, environment["PATH"]))
    )
    return calls


def test_snakemake_gets_the_configuration_the_cores_and_the_options(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("run: mine\n")
    halo("run")
    halo("run", "--cores", "3", "bundle", "--", "--dry-run")
    halo("run", "--", "--profile", "slurm", "--", "report")
    (first, path), (second, _), (third, _) = started
    assert path.split(":")[0] == str(Path(sys.executable).parent)
    assert first[:3] == [sys.executable, "-m", "snakemake"]
    assert first[first.index("--configfile") + 1] == str(tmp_path / "config.yaml")
    assert first[-2:] == ["--cores", "all"]
    assert second[-4:] == ["--cores", "3", "bundle", "--dry-run"]
    assert third[-4:] == ["--profile", "slurm", "--", "report"]
    assert "--cores" not in third


@pytest.mark.parametrize(
    ("word", "says_jobs"),
    [
        ("-j4", True), ("-c4", True), ("-j", True), ("-pj4", True), ("-nkc1", True),
        ("--core=2", True), ("--jobs=2", True), ("--prof", True), ("--profile=slurm", True),
        ("--exec=slurm", True), ("-e", True),
        ("--dry-run", False), ("-n", False), ("--config", False), ("--configfile", False),
        ("-R", False), ("--", False), ("clean", False), ("--jobname", False), ("-qc", False),
    ],
)  # fmt: skip
def test_cores_are_all_unless_an_option_of_snakemake_says_how_many(
    tmp_path, monkeypatch, started, word, says_jobs
):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("run: mine\n")
    halo("run", "--", word)
    [(words, _)] = started
    assert (words[-3:-1] == ["--cores", "all"]) != says_jobs


def test_a_profile_of_the_environment_says_how_many_jobs(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("run: mine\n")
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    halo("run")
    halo("run", "--cores", "2")
    (without, _), (given, _) = started
    assert "--cores" not in without
    assert given[-2:] == ["--cores", "2"]


def test_a_run_without_a_configuration_or_snakemake(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HaloError, match=r"there is no configuration config.yaml.*halo init"):
        halo("run")
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HaloError, match=r"pip install 'halo-localization\[workflow\]'"):
        halo("run")
    assert not started


def test_a_configuration_that_is_no_yaml(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("run: mine\n\tfolds: 5\n")
    with pytest.raises(HaloError, match=r"config.yaml: not readable as YAML(.|\n)*line 2"):
        halo("run")
    assert not started


@pytest.mark.slow
def test_the_wheel_makes_a_configuration_and_runs_it(root, installed, tmp_path):
    """From an installation, in a folder elsewhere; jobs import the copy of the package there."""
    project = tmp_path / "project"
    rows = (root / "resources/demo/proteins.csv").read_text().splitlines()[:31]
    path = table(tmp_path, "\n".join(rows))
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def call(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, installed / "bin/halo", *map(str, words)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "30 proteins can be used" in call("init", project, "--proteins", path)
    configured = ("--configfile", project / "config.yaml", "--directory", project)
    said = call("run", *configured, "--cores", "1", "results/mine/proteins.csv")
    assert (project / "results/mine/proteins.csv").read_text().count("\n") == 31
    [copy] = [path.parent for path in (project / ".snakemake/halo").glob("*/Snakefile")]
    assert (copy / "workflow/halo/__init__.py").is_file()
    assert not (copy / "workflow/halo/repository").exists()
    assert str(root) not in said


def test_an_installation_without_the_workflow(tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "CHECKOUT", tmp_path)
    with pytest.raises(HaloError, match="no workflow files; install"):
        repository.workflow_folder(tmp_path)


# ---------------------------------------------------------------------- halo doctor


def states(findings) -> dict[str, str]:
    """The state of each subject; every line that is not in order says what to do."""
    found = list(findings)
    assert all(finding.fix for finding in found if finding.state != doctor.OK)
    return {finding.what: finding.state for finding in found}


@pytest.mark.parametrize(
    ("words", "argument"),
    [
        (("init", "", "--proteins", "mine.csv"), "folder"),
        (("init", "new", "--proteins", ""), "--proteins"),
        (("run", "--directory", ""), "--directory"),
        (("run", "--configfile", ""), "--configfile"),
        (("store", "check", "--store", ""), "--store"),
        (("store", "forget", "--run", ""), "--run"),
        (("doctor", "--store", ""), "--store"),
        (("check-model", ""), "model"),
        (("variants", "wt.fasta", "-o", ""), "-o/--out"),
        (("predict", "p.fasta", "-o", "out", "--afdb", ""), "--afdb"),
    ],
)
def test_a_variable_that_is_not_set_names_no_path(words, argument, capsys):
    with pytest.raises(SystemExit) as end:
        command_line.parser(words[0]).parse_args(words)
    assert end.value.code == 2
    assert f"argument {argument}: empty; give a value" in capsys.readouterr().err


def test_the_environment_of_the_tests_is_complete():
    assert states(doctor.packages()) == dict.fromkeys(
        ("Python", "HALO", "packages", "workflow"), doctor.OK
    )


def test_packages_that_are_missing_or_too_old(monkeypatch):
    versions = {"numpy": "1.26", "snakemake": None}

    def version(name: str) -> str:
        if (found := versions.get(name, "fits")) is None:
            raise doctor.PackageNotFoundError
        return real(name) if found == "fits" else found

    real = doctor.version
    monkeypatch.setattr(doctor, "version", version)
    assert list(doctor.unfulfilled("")) == ["numpy is 1.26, and not <3,>=2.1"]
    assert list(doctor.unfulfilled("workflow")) == ["snakemake is missing"]
    found = {finding.what: finding for finding in doctor.packages()}
    assert found["packages"].state == doctor.FAULT
    assert found["workflow"].state == doctor.NOTE
    assert "pip install --upgrade 'halo-localization[workflow]'" in str(found["workflow"])
    assert states(doctor.aligner()) == {"parasail": doctor.OK}
    versions["parasail"] = None  # a requirement on one platform only
    assert states(doctor.aligner()) == {"parasail": doctor.FAULT}
    assert "-c bioconda parasail-python" in str(next(doctor.aligner()))


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_programs_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "find_mmseqs", lambda: f"{tmp_path}/mmseqs")
    assert states([*doctor.conda(), *doctor.slurm(), *doctor.mmseqs()]) == {
        "conda": doctor.NOTE, "Slurm": doctor.NOTE, "MMseqs2": doctor.FAULT,
    }  # fmt: skip
    program(tmp_path, "conda", "echo conda 24.1.2")
    program(tmp_path, "mmseqs", "echo 18-8cc5c")
    program(tmp_path, "sbatch", "echo slurm 24.05")
    assert "Snakemake needs 24.7.1" in str(next(doctor.conda()))
    assert "18-8cc5c" in str(next(doctor.mmseqs()))
    assert "squeue does not answer" in str(next(doctor.slurm()))
    program(tmp_path, "conda", "echo conda 25.²")
    assert states(doctor.conda()) == {"conda": doctor.OK}
    program(tmp_path, "conda", "echo conda 25.3.0")
    program(tmp_path, "squeue", "echo JOBID")
    assert states(doctor.conda()) == {"conda": doctor.OK}
    assert "slurm 24.05" in str(next(doctor.slurm()))


def test_a_gpu_that_pytorch_cannot_use(monkeypatch):
    def no_gpu(wanted: str) -> str:
        raise HaloError("PyTorch is a build for CPUs: install one for CUDA")

    monkeypatch.setattr("halo.device.choose_device", no_gpu)
    monkeypatch.setattr(doctor, "gpus", lambda: [])
    assert states(doctor.pytorch()) == {"PyTorch": doctor.OK, "GPU": doctor.NOTE}
    monkeypatch.setattr(doctor, "gpus", lambda: ["NVIDIA A100"])
    *_, found = doctor.pytorch()
    assert found.state == doctor.FAULT
    assert "install one for CUDA" in found.fix


def test_a_file_system_without_locks_and_fsync_of_folders(tmp_path, monkeypatch):
    assert set(states(doctor.folder(tmp_path)).values()) == {doctor.OK}

    def unsupported(*arguments: object) -> None:
        raise OSError(errno.ENOTSUP, "Not supported")

    monkeypatch.setattr(doctor.fcntl, "flock", unsupported)
    monkeypatch.setattr(doctor.os, "fsync", unsupported)
    found = states(doctor.folder(tmp_path))
    assert found["file locks"] == found["fsync of folders"] == doctor.NOTE
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (httpx.Response(200), doctor.OK),
        (httpx.Response(503), doctor.NOTE),
        (httpx.ConnectError("no"), doctor.NOTE),
    ],
)
def test_alphafold_db(monkeypatch, answer, state):
    def get(*arguments: object, **options: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(doctor.httpx, "get", get)
    assert states(doctor.afdb("https://afdb.example.org")) == {"AlphaFold DB": state}


def test_a_fault_ends_with_status_1_and_every_line_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "find_mmseqs", lambda: f"{tmp_path}/mmseqs")
    with pytest.raises(HaloError, match="1 fault"):
        halo("doctor", "--offline", "--store", tmp_path / "not/yet")
    said = capsys.readouterr().out
    assert "FAULT    MMseqs2" in said
    assert f"GB free in {tmp_path}" in said
    assert "AlphaFold DB" not in said
