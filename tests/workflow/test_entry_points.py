"""The workflow runs identically from any working directory and entry point."""

import random

import pytest
import yaml

from pipeline import ROOT, SMALL, forks, snakemake, snakemake_in

RANDOM = random.Random(1)
TABLE = "id,sequence,A,B\n" + "".join(
    f"p{i},{''.join(RANDOM.choices('ACDEFGHIKLMNPQRSTVWY', k=50))},{i % 2},{1 - i % 2}\n"
    for i in range(40)
)


def call(*arguments: str, cwd) -> str:
    outcome = snakemake_in(cwd, ("--cores", "1", *arguments), forks())
    assert outcome.status == 0, outcome.output
    return outcome.output


def dry_run(*arguments: str, cwd) -> str:
    return call("-n", *arguments, cwd=cwd)


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_the_demo_is_the_default_from_any_folder(tmp_path, snakefile):
    output = dry_run("--snakefile", str(ROOT / snakefile), cwd=tmp_path)
    assert "report" in output
    assert str(ROOT / "resources/demo/proteins.csv") in output


def test_a_configuration_of_the_command_line_inherits_nothing_of_the_demo(tmp_path):
    (tmp_path / "mine.csv").write_text(TABLE)
    config = {"run": "mine", "dataset": {"proteins": "mine.csv"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    arguments = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "mine.yaml"]
    output = dry_run(*arguments, cwd=tmp_path)
    assert "demo" not in output.replace(str(ROOT), "")


def test_as_a_module_of_another_workflow(tmp_path):
    (tmp_path / "mine.csv").write_text(TABLE)
    config = {**SMALL, "run": "mine", "dataset": {"proteins": "mine.csv"}}
    (tmp_path / "Snakefile").write_text(
        "module halo:\n"
        f"    snakefile: {str(ROOT / 'Snakefile')!r}\n"
        f"    config: {config!r}\n\n"
        "use rule * from halo as halo_*\n\n"
        "rule all:\n    default_target: True\n    input: rules.halo_all.input\n"
    )
    assert "halo_train" in dry_run(cwd=tmp_path)
    call("results/mine/proteins.csv", cwd=tmp_path)
    assert (tmp_path / "results/mine/proteins.csv").is_file()


def test_a_long_table_of_labels_and_a_single_label_run(tmp_path):
    """FASTA, labels of their own, one per protein: by configuration alone."""
    rows = [line.split(",") for line in TABLE.splitlines()[1:]]
    (tmp_path / "in.fasta").write_text("".join(f">{row[0]} x\n{row[1]}\n" for row in rows))
    (tmp_path / "labels.tsv").write_text(
        "id\tclass\n" + "".join(f"{row[0]}\t{'AB'[int(row[3])]}\n" for row in rows)
    )
    config = {
        **SMALL,
        "run": "single",
        "dataset": {
            "proteins": "in.fasta",
            "labels": {"table": "labels.tsv", "label": "class"},
            "task": "singlelabel",
            "duplicates": "keep",
        },
        "structures": {"sources": []},
        "split": {"mode": "fractions", "val_fraction": 0.2},
    }
    outcome = snakemake(tmp_path, config)
    assert outcome.status == 0, outcome.output
    results = tmp_path / "results/single"
    assert (results / "labels.csv").is_file()
    assert (results / "fractions/0/1/halo/model.safetensors").is_file()
    assert (results / "report.html").is_file()
