"""Dry runs after a change: only affected jobs run again."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import yaml

import pipeline
from dry_runs import EmptyRun
from forks import Forks
from halo.config import merged
from pipeline import ROOT, TORCHRUN, Outcome, copy_workflow

RESULTS = ("evaluate", "provenance", "report", "all")
CONFIG = {
    "run": "small",
    "shards": 2,
    "seeds": [1, 2],
    "folds": ["0", "1"],
    "dataset": {
        "proteins": "proteins.csv",
        "simulated": True,
        "accession": "accession",
        "annotations": ["kingdom", "note"],
    },
    "split": {"folds": 3},
    "structures": {
        "names": "names.csv",
        "sources": [{"kind": "folder", "path": "models"}],
    },
    "embeddings": {"model": "model.pt"},
    "methods": {
        "halo": {"class": "network"},
        "light": {"class": "light_attention"},
        "cascade": {"class": "cascade", "of": ["halo", "light"]},
        "majority": {"class": "majority"},
    },
}


# Of two language models.
WEIGHTS = (ROOT / "resources/demo/esm2_demo.pt").read_bytes()
OTHER_WEIGHTS = (ROOT / "resources/language_model/esm2_offline.pt").read_bytes()


def write_inputs(folder: Path) -> None:
    """The files that the configuration names; the table has more than Snakemake's megabyte."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str).head(40)
    table.assign(note="x" * 40_000).to_csv(folder / "proteins.csv", index=False)
    (folder / "names.csv").write_text("name,accession\nDEMO0001,P12345\n")
    (folder / "models").mkdir()
    (folder / "models/AF-P12345-F1-model_v4.pdb").write_text("MODEL\n")
    (folder / "model.pt").write_bytes(WEIGHTS)


@pytest.fixture(scope="module")
def forks() -> Forks:
    return pipeline.forks()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the workflow, to be changed."""
    folder = tmp_path_factory.mktemp("checkout") / "halo"
    copy_workflow(folder)
    return folder


@pytest.fixture(scope="module")
def run(forks, tmp_path_factory) -> EmptyRun:
    folder = tmp_path_factory.mktemp("run")
    write_inputs(folder)
    made = EmptyRun(forks, folder, tmp_path_factory.mktemp("tools"), CONFIG)
    made.make()
    return made


def changed(run: EmptyRun, change: dict) -> set[str]:
    """The rules that run again after a change of the configuration."""
    return set(run.dry_run(merged(CONFIG, change)).rules)


SWAPPED = {"methods": {"cascade": {"class": "cascade", "of": ["light", "halo"]}}}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (SWAPPED, {"join_methods", *RESULTS}),
        ({"evaluation": {"main": "majority"}}, {*RESULTS}),
        ({"dataset": {"simulated": False}}, {"provenance", "report", "all"}),
    ],
    ids=["of", "main", "simulated"],
)
def test_the_order_of_methods_counts(run, change, rules):
    assert changed(run, change) == rules


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"workers": 3, "cache_gb": 1.0}},
        {"methods": {"halo": {"class": "network", "training": {"workers": 1}}}},
        {"embeddings": {"tokens_per_batch": 999}},
        {"graphs": {"radius": 10}},  # for 10.0
        {"split": {"fractions": {"train": 0.6, "test": 0.25}}},
        {"finetune": {"rank": 9, "refresh": 3}},
        {"structures": {"transport": {"concurrency": 2}}},
        {"release": {"version": "9"}, "predict": {"chunk": 7}},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_no_result_depends_on_computes_nothing(run, change):
    outcome = run.dry_run(merged(CONFIG, change))
    assert outcome.nothing_to_do, outcome.rules


def test_a_newer_time_of_a_table_computes_nothing(run):
    assert (run.folder / "proteins.csv").stat().st_size > 1_000_000
    for name in ("proteins.csv", "names.csv", "results/small/proteins.csv", "model.pt"):
        os.utime(run.folder / name)
    assert run.dry_run(CONFIG).nothing_to_do


def test_names_and_files_of_structures_are_inputs(run, tmp_path):
    stages = {"structures", "graphs", "join_graphs", "train", "join_methods", "structures_manifest"}
    names = run.folder / "names.csv"
    before = names.read_text()
    names.write_text(before + "DEMO0002,P12346\n")
    assert changed(run, {}) == {*stages, *RESULTS}
    names.write_text(before)
    assert changed(run, {}) == set()
    new = run.folder / "models/AF-P12346-F1-model_v4.pdb"
    new.write_text("MODEL\n")
    assert changed(run, {}) == {*stages, *RESULTS}
    new.unlink()
    assert changed(run, {}) == set()


def test_another_number_of_shards_repeats_no_dependent_job(forks, run, tmp_path):
    """A dry run cannot know that the joined files will be the same; the run itself does."""
    shutil.copytree(run.folder, tmp_path / "run")
    copy = replace(run, folder=tmp_path / "run")
    config = merged(CONFIG, {"shards": 1})
    assert {"train", "evaluate"} <= set(copy.dry_run(config).rules)
    copy.list_outputs(config)
    outcome = copy.call(config)
    assert outcome.status == 0, outcome.output
    shards = {"structures", "embeddings", "graphs"}
    joined = {"structures_manifest", "join_embeddings", "join_graphs"}
    assert set(outcome.rules) == {*shards, *joined, "all"}
    assert copy.dry_run(config).nothing_to_do


@pytest.fixture(scope="module")
def finetuned_run(forks, tmp_path_factory) -> EmptyRun:
    """A run with a fine-tuned language model; not to be changed."""
    folder = tmp_path_factory.mktemp("finetuned")
    write_inputs(folder)
    methods = {**CONFIG["methods"], "esm": {"class": "esm"}}
    change = {"folds": ["0"], "seeds": [1], "shards": 1, "finetune": {"model": "finetuned"}}
    config = merged(CONFIG, change | {"methods": methods})
    made = EmptyRun(forks, folder, tmp_path_factory.mktemp("tools"), config)
    made.make()
    return made


FROM_EMBEDDINGS = {"embeddings", "join_embeddings", "train", "esm", "join_methods", *RESULTS}


@pytest.mark.parametrize(
    ("model", "content", "computed"),
    [
        ("other.pt", WEIGHTS, {"finetune", *FROM_EMBEDDINGS}),
        ("model.pt", OTHER_WEIGHTS, {"finetune", *FROM_EMBEDDINGS}),
        ("moved/model.pt", WEIGHTS, {"provenance", "report", "all"}),
    ],
    ids=["another", "another content", "moved"],
)
def test_another_language_model_is_fine_tuned_in_the_same_call(
    finetuned_run, tmp_path, model, content, computed
):
    shutil.copytree(finetuned_run.folder, tmp_path / "run")
    copy = replace(finetuned_run, folder=tmp_path / "run")
    file = copy.folder / model
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    config = merged(copy.config, {"embeddings": {"model": model}})
    assert "finetune" in copy.dry_run(config).rules  # what the file holds is not known yet
    copy.list_outputs(config)
    outcome = copy.call(config)
    assert outcome.status == 0, outcome.output
    assert set(outcome.rules) == {"language_model", *computed}
    assert copy.dry_run(config).nothing_to_do


def test_embeddings_that_need_not_stay_are_no_reason_to_train(finetuned_run, tmp_path):
    shutil.copytree(finetuned_run.folder, tmp_path / "run")
    copy = replace(finetuned_run, folder=tmp_path / "run")
    dropped = merged(copy.config, {"finetune": {"keep_embeddings": False}})
    assert set(copy.dry_run(dropped).rules) == {"drop_embeddings", "all"}
    copy.list_outputs(dropped)
    assert copy.call(dropped).status == 0
    assert copy.dry_run(dropped).nothing_to_do
    assert copy.dry_run(copy.config).nothing_to_do
    evaluated = merged(dropped, {"evaluation": {"resamples": 500}})
    assert set(copy.dry_run(evaluated).rules) == set(RESULTS)
    trained = merged(dropped, {"training": {"gamma": 2.0}})
    again = {"embeddings", "join_embeddings", "train", "join_methods", "drop_embeddings", *RESULTS}
    assert set(copy.dry_run(trained).rules) - {"esm"} == again


def test_a_checkout_and_a_store_may_be_moved(run, checkout, tmp_path):
    moved = replace(run, snakefile=checkout / "Snakefile")
    assert moved.dry_run(CONFIG, "all", "bundle").rules == ["bundle"]
    assert moved.dry_run(merged(CONFIG, {"store": str(tmp_path / "elsewhere")})).nothing_to_do


def test_code_and_data_of_a_rule_count_and_their_comments_do_not(forks, run, tmp_path):
    folder = tmp_path / "halo"
    copy_workflow(folder)
    package = folder / "workflow/halo"

    def rules() -> set[str]:
        with Forks(folder) as fresh:  # modules are imported once a process
            copy = replace(run, forks=fresh, snakefile=folder / "Snakefile")
            return set(copy.dry_run(CONFIG).rules)

    for name in ("files.py", "__init__.py"):
        text = (package / name).read_text()
        text = re.sub('__version__ = ".*"', '__version__ = "99.0"', text)
        (package / name).write_text(f"# A comment\n{text}\n\n# Another\n")
    assert rules() == set()
    scales = package / "data/amino_acids.csv"
    scales.write_text(scales.read_text().replace("1.8", "1.9", 1))
    assert rules() == {"train", "join_methods", *RESULTS}


# ------------------------------------------------------------------ what a job reads


def jobs_of(outcome, rule: str) -> list[str]:
    """What a dry run says of each job of a rule."""
    jobs = re.split(r"\n(?=\[)", outcome.output)
    return [job for job in jobs if re.search(rf"^(local)?(rule|checkpoint) {rule}:", job, re.M)]


def inputs(job: str) -> list[str]:
    return re.search(r"^ +input: (.*)$", job, re.M)[1].split(", ")


def wildcard(job: str, name: str) -> str:
    return re.search(rf"\b{name}=(\w+)", job)[1]


@pytest.fixture(scope="module")
def first(forks, tmp_path_factory):
    """The dry run of a first call, with a language model of each fold."""
    folder = tmp_path_factory.mktemp("first")
    write_inputs(folder)
    methods = {
        **CONFIG["methods"],
        "esm": {"class": "esm"},
        "mixed": {"class": "average", "of": ["esm", "halo"]},
        "beside": {"class": "mean_embedding", "embeddings": "pretrained"},
    }
    config = merged(CONFIG, {"finetune": {"model": "finetuned", "gpus": 2}, "methods": methods})
    tools = tmp_path_factory.mktemp("tools")
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho A GPU\necho Another GPU\n")
    (tools / "nvidia-smi").chmod(0o755)
    run = EmptyRun(forks, folder, tools, config)
    outcome = run.call(config, "--dry-run", "--printshellcmds", "--", "all", "bundle")
    assert outcome.status == 0, outcome.output
    return outcome


def test_a_network_reads_the_embeddings_and_the_language_model_of_its_fold(first):
    jobs = jobs_of(first, "train")
    assert len(jobs) == 2 * 2 * 3  # folds, seeds, networks
    for job in jobs:
        own = f"results/small/kfold/{wildcard(job, 'fold')}"
        expected = {
            f"{own}/embeddings.json", f"{own}/finetune/language_model.json",
            f"{own}/finetune/training.csv",
        }  # fmt: skip
        if wildcard(job, "method") == "beside":
            expected = {"results/small/embeddings.json"}
            assert "--language-model" not in job
        else:
            assert f" --language-model {own}/finetune/language_model.json " in job
        names = ("proteins.csv", "split/assignments.csv", "graphs.json", "language_model.json")
        common = {f"results/small/{name}" for name in names}
        assert set(inputs(job)) == expected | common


def test_a_fold_is_embedded_by_its_own_language_model(first):
    found = {re.search(r"place=(\S*?),", job)[1]: job for job in jobs_of(first, "embeddings")}
    assert set(found) == {"", "kfold/0/", "kfold/1/"}
    for place, job in found.items():
        own = f"results/small/{place}{'finetune/' if place else ''}language_model.json"
        assert f" --language-model {own} " in job
        files = inputs(job)
        published = "results/small/language_model.json"
        assert {file for file in files if file.endswith("language_model.json")} == {own, published}


def test_esm_reads_the_files_of_its_fold(first):
    jobs = jobs_of(first, "esm")
    assert len(jobs) == 2
    for job in jobs:
        own = f"results/small/kfold/{wildcard(job, 'fold')}"
        expected = {
            f"{own}/embeddings.json", f"{own}/finetune/head.safetensors",
            f"{own}/finetune/language_model.json",
        }  # fmt: skip
        assert {file for file in inputs(job) if "/kfold/" in file} == expected


def test_a_joined_method_reads_its_own_seed_of_networks(first):
    jobs = jobs_of(first, "join_methods")
    assert len(jobs) == 2 * 2 * 2
    for job in jobs:
        members = {"cascade": ("halo", "light"), "mixed": ("esm", "halo")}
        fold, seed = wildcard(job, "fold"), wildcard(job, "seed")
        expected = {
            f"results/small/kfold/{fold}/{'1' if name == 'esm' else seed}/{name}/{file}"
            for name in members[wildcard(job, "method")]
            for file in ("predictions.csv", "model.json")
        }
        assert {
            file for file in inputs(job) if "/kfold/" in file and "/embeddings" not in file
        } == expected


def test_gpu_jobs_and_searches_of_structures_are_limited(first):
    for rule, count in (("embeddings", 1), ("train", 1), ("finetune", 2)):
        wanted = rf"resources: .*\bgpu={count}\b"
        assert all(re.search(wanted, job) for job in jobs_of(first, rule)), rule
    assert all("afdb=1" in job for job in jobs_of(first, "structures"))


def test_a_fine_tuning_on_two_gpus_is_started_by_torchrun(first):
    """With the words by which `test_finetuning` starts it."""
    jobs = jobs_of(first, "finetune")
    assert len(jobs) == 2
    for job in jobs:
        assert f" python {' '.join(TORCHRUN)} {ROOT}/scripts/finetune.py --" in job


def test_a_model_that_is_missing_is_trained_again_for_the_bundle(run):
    weights = run.folder / "results/small/kfold/1/2/light/model.safetensors"
    weights.rename(weights.with_suffix(".away"))
    outcome = run.dry_run(CONFIG, "bundle")
    weights.with_suffix(".away").rename(weights)
    [job] = jobs_of(outcome, "train")
    assert [wildcard(job, name) for name in ("fold", "seed", "method")] == ["1", "2", "light"]


def test_two_files_of_queries_have_two_folders(run):
    folders = set()
    for name in ("sample.1.fasta", "sample.2.fasta", "sample.1.faa.gz", "other/sample"):
        file = run.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(">a\nMKV\n")
        outcome = run.dry_run(merged(CONFIG, {"fasta": name}), "predict")
        folders.add(re.search(r"(results/small/predict/.*?)/predictions.csv", outcome.output)[1])
    assert folders == {f"results/small/predict/sample{end}" for end in (".1", ".2", "")}


# ------------------------------------------------------------------ where it lies


def test_a_folder_in_which_snakemake_itself_fails_is_refused(forks, tmp_path):
    """It takes the path of its working directory for a pattern."""
    folder = tmp_path / "a{1}b"
    write_inputs(folder)
    run = EmptyRun(forks, folder, tmp_path, CONFIG)
    outcome = run.call(CONFIG, "--dry-run")
    assert outcome.status == 1
    assert "rename it" in outcome.output


@pytest.mark.parametrize("odd", ["my data", "a:b{1}", "it's {x} $HOME"])
def test_odd_names_of_folders_and_files(forks, tmp_path, odd):
    """Each job's command has the names as they are, and the ingest runs with them."""
    folder = tmp_path / odd.replace("{1}", "") / "run"
    write_inputs(folder)
    shutil.move(folder / "proteins.csv", folder / f"{odd}.csv")
    shutil.move(folder / "names.csv", folder / f"names {odd}.csv")
    shutil.move(folder / "models", folder / f"models {odd}")
    change = {
        "store": f"{folder}/store {odd}",
        "dataset": {"proteins": f"{odd}.csv"},
        "structures": {
            "names": f"names {odd}.csv",
            "sources": [{"kind": "folder", "path": f"models {odd}"}],
        },
        "folds": ["0"],
        "seeds": [1],
        "shards": 1,
    }
    config = merged(CONFIG, change)
    tools = tmp_path / "tools"
    run = EmptyRun(forks, folder, tools, config)
    run.make()
    forced = run.call(config, "--dry-run", "--printshellcmds", "--forceall")
    commands = re.findall(r"^.*HALO_LATENCY_WAIT=\d.*$", forced.output, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        for option, value in pairwise(shlex.split(command)):
            if option == "--store":
                assert value == config["store"]
            if option == "--input":
                assert Path(folder, value).samefile(folder / f"{odd}.csv")
            if option == "--names":
                assert Path(folder, value).samefile(folder / f"names {odd}.csv")


def test_deployed_from_a_tag_of_a_git_repository(tmp_path):
    """By snakedeploy, as a module by `github(...)`: Snakemake takes files from a bare clone."""
    origin = tmp_path / "origin/org/halo"
    copy_workflow(origin)
    user = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "First"), ("tag", "v0.1.0")):
        subprocess.run(["git", *user, "-C", origin, *words], check=True)
    (origin / "Snakefile").write_text("the tag is older\n")
    subprocess.run(["git", *user, "-C", origin, "commit", "-qam", "Second"], check=True)
    folder = tmp_path / "run"
    folder.mkdir()
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/origin/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def call(*command: object) -> str:
        words = [str(Path(sys.executable).parent / command[0]), *map(str, command[1:])]
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    deploy = ("snakedeploy", "deploy-workflow", "https://github.com/org/halo", folder)
    call(*deploy, "--tag", "v0.1.0")
    assert 'tag="v0.1.0"' in (folder / "workflow/Snakefile").read_text()
    documented = (ROOT / "docs/how-to/extend.md").read_text()
    profile = (folder / "profiles/default/profile.yaml").read_text()
    assert re.search(r"max-checksum-file-size: \d+", documented)[0] in profile
    write_inputs(folder)
    config = merged(CONFIG, {"structures": {"names": None, "sources": []}})
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    snakemake = ("snakemake", "--cores", "1")
    call(*snakemake, "results/small/proteins.csv")
    assert (folder / "proteins.csv").stat().st_size > 1_000_000
    os.utime(folder / "proteins.csv")
    left = Outcome(0, call(*snakemake, "--dry-run")).rules
    assert "report" in left
    assert "ingest" not in left
    assert (folder / "results/small/proteins.csv").is_file()
    [package] = folder.glob(".snakemake/halo/*/workflow/halo")
    assert (package / "data/amino_acids.csv").is_file()
