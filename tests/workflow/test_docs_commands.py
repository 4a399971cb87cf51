"""Every command of the documentation, in a copy of the checkout.

What would take long is cut short: Snakemake makes a dry run, make prints what it would do, and
`halo predict` and `halo variants` download nothing. The commands of the tutorial run to the end
in test_tutorial.py.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doc_blocks import SHELL, blocks
from halo.store_upkeep import store_folders
from halo.users import register
from pipeline import ROOT, forks, snakemake_in
from predict_bundle import CHECKPOINT

COPIED = ("config", "envs")  # which commands change
LINKED = (
    "LICENSE", "Makefile", "Snakefile", "profiles", "requirements", "resources", "rules",
    "scripts", "slurm", "tools", "workflow",
)  # fmt: skip
TUTORIAL = "docs/tutorial.md"
EXTENSIONS = "docs/how-to/extend.md"  # followed by test_extend.py
HERE = "changes the shell that it is called in"
INSTALLS = "installs packages; tests/unit/test_commands.py does so with the wheel"
RUNS = "tests/unit/test_commands.py runs the workflow of an installed package"
HALO_RUNS = ("halo run -- --dry-run --quiet rules", "halo run", "halo run bundle")
PREDICT = "--no-download --page 0"
VARIANTS = "--no-download --regions 0 --random 1"
CONDA = "needs conda and its channels; `make test-envs` makes the environments"
CONTAINER = "needs Docker or Apptainer; `make check-container` builds the image's file system"
CONTAINERS = (
    "docker build --file containers/Dockerfile --build-arg BUILD=cpu --tag halo:cpu .",
    "docker build --file containers/Dockerfile --build-arg BUILD=cuda --tag halo:cuda .",
    "apptainer build --build-arg BUILD=cpu halo-cpu.sif containers/halo.def",
    "apptainer build --build-arg BUILD=cuda halo-cuda.sif containers/halo.def",
    'docker run --rm --volume "$PWD:$PWD" --workdir "$PWD" halo:cpu halo doctor',
    "apptainer exec --nv halo-cuda.sif halo doctor",
    "halo run -- --sdm apptainer --config container=halo-cpu.sif",
    "halo run -- --sdm apptainer --apptainer-args=--nv --config container=halo-cuda.sif",
)
ROOT_FOLDER = (
    "changes a folder of the root and needs a group; tests/faults/test_users.py shares one"
)
LEFT_OUT = {
    "source .venv/bin/activate": HERE,
    "pip install --no-deps -e .": INSTALLS,
    "pip install halo-localization": INSTALLS,
    "pip install 'halo-localization[workflow]'": INSTALLS,
    "pip install 'halo-localization[language-models]'": INSTALLS,
    "pip install --no-deps --require-hashes -r requirements/slurm.txt": INSTALLS,
    "hf download Rostlab/prot_t5_xl_half_uniref50-enc": "downloads 2.4 GB from Hugging Face",
    "snakemake --profile slurm --configfile config/mine.yaml --conda-create-envs-only": CONDA,
    **dict.fromkeys(HALO_RUNS, RUNS),
    "halo predict new.fasta --bundle results/prott5/bundle --embeddings new.h5 -o out/": (
        "tests/unit/test_predict_embeddings.py predicts with such a bundle"
    ),
    "bash .ci/run": "runs all tests, and this one among them",
    "pip install build && python -m build": INSTALLS,
    **dict.fromkeys(CONTAINERS, CONTAINER),
    "mkdir /project/store": ROOT_FOLDER,
    "chgrp lab /project/store": ROOT_FOLDER,
    "chmod 2775 /project/store": ROOT_FOLDER,
}
COMMANDS = {
    command: block.page
    for block in blocks(*SHELL)
    if block.page != TUTORIAL
    for command in block.commands
}
DRY_RUNS = [c for c in COMMANDS if c.startswith("snakemake ") and c not in LEFT_OUT]
# There is no conda in the tests: jobs use the Python of their environment.
NO_CONDA = ("--software-deployment-method", "env-modules")
[FOR_GPUS] = [c for c in COMMANDS if c.startswith("sed ")]
OTHERS = [c for c in COMMANDS if c not in {*LEFT_OUT, *DRY_RUNS, FOR_GPUS}]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, small_run, small_bundle) -> Path:
    """A folder like that of the repository, with the files that the pages suppose."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(small_run.folder / "store", folder / "store")
    for store in store_folders(folder / "store"):
        register(store, folder / "results/old/embeddings.json")  # a run that has been deleted
    (folder / "data").mkdir()
    table = (ROOT / "resources/demo/proteins.csv").read_text().splitlines()
    columns = table[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in table[1:41]]
    text = "".join(f"{r['id']},{r['sequence']},{r['Nucleus']},{r['Plastid']}\n" for r in rows)
    (folder / "data/mine.csv").write_text("id,sequence,Nucleus,Plastid\n" + text)
    (folder / "proteins.fasta").write_text(f">{rows[0]['id']}\n{rows[0]['sequence']}\n")
    wildtype = rows[0]["sequence"][:20]
    (folder / "wildtype.fasta").write_text(f">wildtype\n{wildtype}\n")
    (folder / "variants.txt").write_text(f"{wildtype[4]}5del\n")
    (folder / "config/mine.yaml").write_text(
        "run: mine\ndataset: {proteins: data/mine.csv}\nsplit: {folds: 3}\n"
    )
    for place in ("results/mine/bundle", "path/to/bundle", "bundle"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to(small_bundle)
    halo = folder / "bin/halo"
    halo.parent.mkdir()
    halo.write_text(
        f'#!/bin/sh\n[ "$1" != predict ] || set -- "$@" {PREDICT}\n'
        f'[ "$1" != variants ] || set -- "$@" {VARIANTS}\n'
        # That of the package has its language model.
        f'case "$*" in *--bundle*) set -- "$@" --language-model {CHECKPOINT};; esac\n'
        f'exec {forks().python} -m halo "$@"\n'
    )
    make = folder / "bin/make"
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --dry-run "$@"\n')
    for program in (halo, make):
        program.chmod(0o755)
    return folder


def with_marks(command: str) -> object:
    """A call with Slurm's profile needs Snakemake's plugin for it."""
    marks = [pytest.mark.cluster] if "--profile slurm" in command else []
    return pytest.param(command, marks=marks, id=command)


@pytest.mark.parametrize("command", list(map(with_marks, DRY_RUNS)))
def test_snakemake_plans_what_a_page_says(checkout, command):
    arguments = [*shlex.split(command)[1:], *NO_CONDA, "--dry-run"]
    outcome = snakemake_in(checkout, arguments, forks(), checkout / "bin")
    assert outcome.status == 0, f"{COMMANDS[command]}: {outcome.output}"
    jobs = re.search(r"^total +(\d+)$", outcome.output, re.MULTILINE)  # with --quiet rules, too
    assert outcome.rules or outcome.nothing_to_do or int(jobs[1])


@pytest.mark.parametrize("command", OTHERS)
def test_a_command_of_a_page_succeeds(checkout, command):
    path = f"{checkout / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=checkout,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{COMMANDS[command]}: {done.stdout}{done.stderr}"


def test_left_out_commands_are_in_the_documentation():
    assert set(LEFT_OUT) <= set(COMMANDS)


def test_the_python_of_a_page_runs(checkout):
    for block in blocks("python"):
        if block.page == EXTENSIONS:
            continue
        text = block.text.replace(
            "PredictSettings(", f"PredictSettings(language_model=Path({str(CHECKPOINT)!r}), "
        )
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block.page}: {done.stderr}"


def test_the_gpu_build_of_pytorch_is_asked_for(checkout):
    subprocess.run(["bash", "-c", FOR_GPUS], cwd=checkout, check=True)
    for name in ("embeddings", "finetune", "train", "predict", "transformers"):
        assert "- pytorch-gpu >=" in (checkout / f"envs/{name}.yaml").read_text()
