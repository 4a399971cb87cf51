"""Each file of the user is compared by its content, whatever its time is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dry_runs import EmptyRun
from halo.config import merged
from halo.config.files import PATHS
from pipeline import forks
from reruns import CONFIG, LABELS, NAMES, TABLE, write_inputs

GROUPS = {name: {"table": f"{name}.csv", "id": "id"} for name in ("one", "two")}
TEST_GROUPS = {name: {"table": f"test_{name}.csv", "id": "id"} for name in GROUPS}
NAMED = {"table": "labels.csv", "label": "location", "separator": ";"}
# Two runs that have every file and folder of the user between them.
TABLES = merged(
    CONFIG,
    {
        "dataset": {
            "labels": {"columns": None, **NAMED},
            "groups": GROUPS,
            "regions": {"table": "regions.csv"},
            "test": {
                **TABLE,
                "proteins": "test.csv",
                "labels": {**NAMES, "table": "labels_2.csv"},
                "groups": TEST_GROUPS,
            },
        },
        "split": {"mode": "external"},
        "fasta": "queries.fasta",
        "variants": "variants.txt",
        "bundle": "given",
        "release": {"licence": "licence.txt", "notes": "notes.txt"},
        "predict": {"structures": "own_models", "embeddings": "vectors"},
    },
)
UNIPROT = merged(
    CONFIG,
    {
        "dataset": {
            "proteins": "uniprot.tsv",
            "accession": None,
            "annotations": [],
            "labels": {"columns": None},
            "uniprot": {"mapping": "mapping.csv"},
        },
        "split": {"base": "uniprot_base.csv"},
    },
)
PREDICTED = ("predict_fetch", "predict", "variants_fetch", "variants")
# Each key, its file, and the rules that read it.
OF_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "dataset.proteins": ("proteins.csv", ("ingest",)),
    "dataset.labels.table": ("labels.csv", ("ingest",)),
    "dataset.groups.one.table": ("one.csv", ("ingest",)),
    "dataset.regions.table": ("regions.csv", ("regions",)),
    "dataset.test.proteins": ("test.csv", ("ingest",)),
    "dataset.test.labels.table": ("labels_2.csv", ("ingest",)),
    "dataset.test.groups.two.table": ("test_two.csv", ("ingest",)),
    "structures.names": ("names.csv", ("structures",)),
    "structures.sequences": ("names.fasta", ("structures",)),
    "structures.sources": ("models/AF-P12345-F1-model_v4.pdb", ("structures",)),
    "embeddings.model": ("model.pt", ("language_model",)),
    "fasta": ("queries.fasta", PREDICTED),
    "variants": ("variants.txt", ("variants",)),
    "bundle": ("given/models/weights", PREDICTED),
    "release.licence": ("licence.txt", ("bundle",)),
    "release.notes": ("notes.txt", ("bundle",)),
    "predict.structures": ("own_models/DEMO0001.pdb", PREDICTED),
    "predict.embeddings": ("vectors/a/DEMO0001.npy", PREDICTED),
}
OF_UNIPROT: dict[str, tuple[str, tuple[str, ...]]] = {
    "dataset.uniprot.mapping": ("mapping.csv", ("ingest",)),
    "split.base": ("uniprot_base.csv", ("split",)),
}
# The bundle says which checkpoint it needs, and another is refused.
ELSEWHERE = {"predict.language_model", "dataset.test.uniprot.mapping"}
TARGETS = ("all", "bundle", "predict", "variants")


def test_every_path_of_the_configuration_is_tried():
    tried = {*OF_TABLES, *OF_UNIPROT, *ELSEWHERE}
    assert {".".join(map(str, path)) for path in PATHS} <= tried


def write_more(folder: Path) -> None:
    """What the runs read beside the files of `write_inputs`."""
    write_inputs(folder)
    for prefix, table in (("", "proteins.csv"), ("test_", "test.csv")):
        proteins = pd.read_csv(folder / table, dtype=str)
        for name, label in zip(GROUPS, LABELS, strict=False):
            renamed = proteins[["id", label]].rename(columns={label: f"{name} {label}"})
            renamed.to_csv(folder / f"{prefix}{name}.csv", index=False)
    base = pd.read_csv(folder / "base.csv", dtype=str)
    ids = pd.read_csv(folder / "uniprot.tsv", sep="\t")["Entry"]
    base.assign(id=ids).to_csv(folder / "uniprot_base.csv", index=False)
    for name, text in {
        "queries.fasta": ">a\nMKV\n", "variants.txt": "a M1V\n", "notes.txt": "Notes\n",
        "licence.txt": "Licence\n", "own_models/DEMO0001.pdb": "MODEL\n",
        "vectors/a/DEMO0001.npy": "x\n", "given/models/weights": "x\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def made(folder: Path, tools: Path, config: dict[str, Any], *targets: str) -> EmptyRun:
    """A run with all files, that Snakemake takes for complete."""
    write_more(folder)
    run = EmptyRun(forks(), folder, tools, config)
    run.make(*targets)
    return run


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> EmptyRun:
    make = tmp_path_factory.mktemp
    return made(make("tables"), make("tools"), TABLES, *TARGETS)


@pytest.fixture(scope="module")
def uniprot(tmp_path_factory) -> EmptyRun:
    make = tmp_path_factory.mktemp
    return made(make("uniprot"), make("tools"), UNIPROT)


@pytest.fixture
def file(run: EmptyRun, name: str) -> Iterator[Path]:
    """A file that is as it was, and of the same time, after the test."""
    path = run.folder / name
    content, status = path.read_bytes(), path.stat()
    yield path
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def run(request: pytest.FixtureRequest, of_run: str) -> EmptyRun:
    return request.getfixturevalue(of_run)


CASES = [
    pytest.param(of_run, name, rules, targets, id=key)
    for of_run, keys, targets in (("tables", OF_TABLES, TARGETS), ("uniprot", OF_UNIPROT, ()))
    for key, (name, rules) in keys.items()
]


@pytest.mark.parametrize(("of_run", "name", "rules", "targets"), CASES)
def test_an_older_file_with_another_content_repeats_its_jobs(run, file, rules, targets):
    """Such as a backup that is copied with its time into the place of the file."""
    content = file.read_bytes()
    other = file.with_name("other.pt")
    file.write_bytes(other.read_bytes() if file.suffix == ".pt" else content + b"\n")
    os.utime(file, (1e9, 1e9))
    planned = run.dry_run(run.config, *targets).rules
    assert set(rules) <= set(planned), planned


@pytest.mark.parametrize(("of_run", "name"), [("tables", "proteins.csv")])
def test_a_file_of_the_same_size_and_time_is_compared(run, file):
    status, text = file.stat(), file.read_text()
    file.write_text(text.replace("DEMO0001", "DEMO9001"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert "ingest" in run.dry_run(run.config, *TARGETS).rules


def test_a_newer_time_of_files_computes_nothing(tables):
    listed = {"structures.sources", "predict.structures", "predict.embeddings"}
    for key, (name, _) in OF_TABLES.items():
        if key not in listed:
            os.utime(tables.folder / name)
    assert tables.dry_run(TABLES, *TARGETS).nothing_to_do


def test_tables_of_groups_that_are_exchanged_are_other_data(tables):
    exchanged = {"one": {"table": "two.csv"}, "two": {"table": "one.csv"}}
    config = merged(TABLES, {"dataset": {"groups": exchanged}})
    assert "ingest" in tables.dry_run(config).rules


@pytest.mark.parametrize(("of_run", "name"), [("tables", "own_models/DEMO0001.pdb")])
def test_a_structure_that_moves_in_its_folder_is_seen(run, file):
    moved = file.parent / "more" / file.name
    moved.parent.mkdir()
    file.rename(moved)
    planned = run.dry_run(run.config, "predict").rules
    moved.rename(file)
    moved.parent.rmdir()
    assert {"predict_fetch", "predict"} <= set(planned)
    assert run.dry_run(run.config, "predict").nothing_to_do


def test_a_file_of_the_same_name_in_another_folder_is_warned_of(tables):
    """Their predictions have one folder."""
    (tables.folder / "more").mkdir()
    other = tables.folder / "more/queries.fasta"
    other.write_text(">b\nMKV\n")
    said = tables.dry_run(merged(TABLES, {"fasta": str(other)}), "predict", "variants").output
    for stage in ("predict", "variants"):
        text = f"results/small/{stage}/queries is of another file of that name, queries.fasta, and "
        assert said.count(text) == 1
    again = tables.dry_run(TABLES, "predict", "variants")
    assert "another file" not in again.output
    assert again.nothing_to_do


def test_a_second_option_of_keys_plans_nothing(tables):
    given = ("--dry-run", "--config", "run=other", "--config", "seeds=[5]")
    refused = tables.call(TABLES, *given)
    assert refused.status == 1
    assert "--config and --config are given" in refused.output


def test_snakemake_makes_its_own_report(tables):
    """It reads the workflow without settings of an execution."""
    made = tables.call(TABLES, "--report", "own.zip")
    assert made.status == 0, made.output
    assert (tables.folder / "own.zip").stat().st_size
