"""Every rule in its conda environment, created by Snakemake from the files of the project."""

import functools
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from envs.local_conda import COMMANDS, Conda, local_conda
from envs.packages import PROGRAMS, named, with_requirements
from halo.config import merged
from halo.config.methods import DEFAULT
from pipeline import ROOT, SMALL
from serve import AlphaFoldServer
from test_packaging import rules
from test_uniprot import ENTRIES, Service, serving

pytestmark = pytest.mark.envs

HERE = Path(__file__).parent
FILES = {
    path.stem: named(yaml.safe_load(path.read_text()))
    for path in sorted((ROOT / "envs").glob("*.yaml"))
}
# By the name of an environment, the packages that its file names.
NAMED = {name: by_conda | by_pip for name, (by_conda, by_pip) in FILES.items()}
BY_PIP = set().union(*(by_pip for _, by_pip in FILES.values()))
RULES = rules()  # each with its environment's file and its script
# A run that takes every rule: with a download, and with a language model of each fold.
CONFIG = merged(
    SMALL,
    {
        "run": "small",
        "shards": 1,
        "fasta": "proteins.csv",
        "dataset": {
            "accession": "accession", "annotations": ["kingdom"], "split": "part",
            "regions": {"table": "regions.csv"},
        },
        "structures": {"transport": {"requests_per_second": 500}},
        "finetune": {
            "model": "finetuned", "epochs": 1, "rank": 2, "hidden": 16, "keep_embeddings": False
        },
        "training": {"epochs": 1},
        "methods": {**DEFAULT, "nearest_neighbour": {"class": "nearest_neighbour"}},
        "release": {"all_proteins": True},
    },
)  # fmt: skip
TARGETS = ("all", "results/small/audit/published.csv", "predict")
# The rules of a benchmark's run, whose names begin with its own, are those of a run.
BENCHMARK = {
    "benchmark": {"name": "bench", "runs": {"one": {"title": "One"}}},
    "finetune": {"model": "pretrained"},
    "structures": {"sources": []},
    "embeddings": {"model": "esmc"},  # of the package transformers
    "methods": {"halo": {"class": "network"}, "majority": {"class": "majority"}},
}


@pytest.fixture(scope="module")
def conda():
    """A conda whose channels have what the files of the project name."""
    with local_conda(set().union(*NAMED.values()), BY_PIP) as conda:
        yield conda


@dataclass(frozen=True)
class Run:
    """What Snakemake has said: in a first call, in a second one, and of other runs.

    The other ones are of UniProt, of a benchmark, of variants, and of a file of embeddings.
    """

    folder: Path
    first: str
    second: str
    uniprot: str
    benchmark: str
    variants: str
    file: str

    @property
    def prefixes(self) -> dict[str, Path]:
        """Where each environment lies."""
        said = self.first + self.benchmark
        made = re.findall(r"/envs/(\w+)\.yaml created \(location: (.+)\)", said)
        return {name: self.folder / place for name, place in made}

    @property
    def jobs(self) -> list[tuple[str, Path, str]]:
        """Rule, environment and script of each job; with one core they come one by one."""
        start = re.compile(r"^ *(?:local)?(?:rule|checkpoint) (\w+):$", re.MULTILINE)
        others = self.uniprot + self.benchmark + self.variants + self.file
        _, *parts = start.split(self.first + others)
        found = []
        for rule, said in zip(parts[::2], parts[1::2], strict=True):
            places = re.findall(r"^Activating conda environment: (.+)$", said, re.MULTILINE)
            scripts = re.findall(r"^Shell command: .* python \S+/scripts/(\w+\.py)", said, re.M)
            name = rule.removeprefix("one_")
            found += [(name, self.folder / p, s) for p, s in zip(places, scripts, strict=True)]
        return found


@pytest.fixture(scope="module")
def run(conda):
    """A run of every rule, with the profile for conda as it is."""
    folder = conda.folder / "run"
    folder.mkdir()
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table = table.head(90)
    table["part"] = [str(number % 3) for number in range(len(table))]
    table.to_csv(folder / "proteins.csv", index=False)
    regions = pd.DataFrame({"id": table["id"], "start": 1, "end": 9, "kind": "start"})
    regions.to_csv(folder / "regions.csv", index=False)
    wildtype = table["sequence"].iat[0]
    (folder / "wildtype.fasta").write_text(f">wildtype\n{wildtype}\n")
    (folder / "variants.txt").write_text(f"{wildtype[4]}5del\n")
    write_esmc(folder / "esmc")
    with h5py.File(folder / "embeddings.h5", "w") as file:
        for name, text in zip(table["id"], table["sequence"], strict=True):
            file[name] = np.ones((len(text), 2), np.float16)
    with (
        web_server(folder) as url,
        AlphaFoldServer(ROOT / "resources/demo/afdb") as structures,
        serving(Service(ENTRIES)) as uniprot,
    ):
        addresses = {
            "dataset": {"url": f"{url}/proteins.csv"},
            "structures": {"transport": {"base_url": structures.url}},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(merged(CONFIG, addresses)))
        (folder / "benchmark.yaml").write_text(yaml.safe_dump(BENCHMARK))
        entries = {"uniprot": {"base_url": uniprot.base_url}}
        source = {"source": "file", "path": "embeddings.h5", "made_by": "ones"}
        of_file = {"run": "file", "embeddings": source, "finetune": {"model": "pretrained"}}
        (folder / "file.yaml").write_text(yaml.safe_dump(of_file))
        columns = {"accession": None, "annotations": [], "split": None, "regions": None}
        from_uniprot = {"run": "uniprot", "dataset": {**columns, **entries}}
        (folder / "uniprot.yaml").write_text(yaml.safe_dump(from_uniprot))
        call = functools.partial(
            conda.call,
            *(sys.executable, "-m", "snakemake", "--profile", "profiles/conda"),
            *("--directory", folder, "--cores", "1", "--printshellcmds"),
            *("--configfile", folder / "config.yaml"),
        )
        return Run(
            folder,
            call("--", *TARGETS),
            call("--", *TARGETS),
            call(folder / "uniprot.yaml", "--", "results/uniprot/proteins.csv"),
            call(folder / "benchmark.yaml", "--", "benchmark"),
            call("--config", "fasta=wildtype.fasta", "variants=variants.txt", "--", "variants"),
            call(folder / "file.yaml", "--", "results/file/language_model.json"),
        )


def write_esmc(folder: Path) -> None:
    """A small random ESM C."""
    from transformers import EsmcConfig, EsmcModel  # takes seconds, and all collect this module

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    EsmcModel(EsmcConfig(**shape, intermediate_size=16)).save_pretrained(folder)


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; gives the address."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_run_is_complete_and_a_second_call_has_nothing_to_do(run):
    assert (run.folder / "results/small/report.html").stat().st_size > 50_000
    assert "Nothing to be done" in run.second


def test_every_rule_ran_in_the_environment_of_its_file(run):
    assert run.prefixes.keys() == NAMED.keys()
    stages = {prefix: f"{name}.yaml" for name, prefix in run.prefixes.items()}
    assert {(rule, stages[place], script) for rule, place, script in run.jobs} == RULES


@dataclass(frozen=True)
class Probed:
    """What the probe has found in an environment."""

    name: str
    prefix: Path
    found: dict[str, Any]

    def owns(self, path: str) -> bool:
        """Whether a file is one of the environment."""
        return Path(path).resolve().is_relative_to(self.prefix)


@pytest.fixture(scope="module", params=NAMED)
def probed(request, conda, run):
    """The probe's findings in an environment, called as the rules call their scripts."""
    name, prefix = request.param, run.prefixes[request.param].resolve()
    asked = {
        "scripts": [f"{ROOT}/scripts/{s}" for _, env, s in RULES if env == f"{name}.yaml"],
        "modules": sorted(set().union(*(conda.modules.get(each, set()) for each in NAMED[name]))),
        "absent": sorted(modules_of_others(name, conda)),
        "programs": ["python", *PROGRAMS.values()],
    }
    command = (
        f"source {COMMANDS}/activate {prefix}; PYTHONNOUSERSITE=1 PYTHONPATH={ROOT / 'workflow'} "
        'python "$@"'
    )
    said = conda.call("bash", "-c", command, "bash", HERE / "probe.py", json.dumps(asked))
    return Probed(name, prefix, json.loads(said.splitlines()[-1]))


def modules_of_others(name: str, conda: Conda) -> set[str]:
    """Modules of all packages that neither the environment's file names nor these require."""
    others = conda.modules.keys() - with_requirements(NAMED[name]).keys()
    return set().union(*(conda.modules[each] for each in others))


def test_interpreter_and_imports_are_of_the_environment(probed):
    found = probed.found
    assert all(map(probed.owns, [found["interpreter"], *found["prefixes"]]))
    assert probed.owns(found["programs"]["python"])
    project = (ROOT / "workflow", ROOT / "scripts", HERE)
    outside = {
        name: file
        for name, file in found["files"].items()
        if not probed.owns(file) and not any(map(Path(file).is_relative_to, project))
    }
    assert outside == {}
    assert {"os", "numpy", "pandas", "halo"} <= found["files"].keys()
    packages = [path for path in found["libraries"] if "-packages/" in path]
    assert packages
    assert [path for path in packages if not probed.owns(path)] == []


def test_packages_of_other_environments_are_absent(probed):
    assert probed.found["found"] == []
    assert ("torch" in probed.found["files"]) == ("pytorch" in NAMED[probed.name])
    for package, program in PROGRAMS.items():
        place = probed.found["programs"][program]
        assert (place is not None and probed.owns(place)) == (package in NAMED[probed.name])


def test_the_recipe_of_a_container_makes_every_environment(conda):
    """Its commands are run here, with another root.

    It is that of the demo, which uses no language model of transformers.
    """
    snakemake = (sys.executable, "-m", "snakemake", "--containerize")
    recipe = conda.call(*snakemake)
    root = conda.folder / "image"
    steps = re.findall(r"^(COPY|RUN) ((?:.*\\\n)*.*)$", recipe, re.MULTILINE)
    commands = [f"cp {words}" if step == "COPY" else words for step, words in steps]
    program = "\n".join(commands).replace("/conda-envs", str(root))
    conda.call("bash", "-euc", program)
    made = {path.parent.joinpath("environment.yaml").read_bytes() for path in root.glob("*/bin")}
    used = set((ROOT / "envs").glob("*.yaml")) - {ROOT / "envs/transformers.yaml"}
    assert made == {path.read_bytes() for path in used}


def test_pins_are_written_and_snakemake_takes_them(conda):
    folder = conda.folder / "pinned"
    (folder / "envs").mkdir(parents=True)
    shutil.copy(ROOT / "envs/split.yaml", folder / "envs")
    conda.call("make", "pins", f"CONDA_EXE={COMMANDS}/conda", f"ENVS={folder}/envs")
    pins = (folder / "envs/split.linux-64.pin.txt").read_text()
    alias = (conda.folder / "channels").as_uri()
    assert pins.startswith("@EXPLICIT\n")
    assert f"{alias}/bioconda/linux-64/mmseqs2-" in pins
    (folder / "Snakefile").write_text("rule:\n    conda: 'envs/split.yaml'\n    shell: 'mmseqs'\n")
    snakemake = (sys.executable, "-m", "snakemake", "--cores", "1", "--sdm", "conda")
    said = conda.call(*snakemake, folder=folder)
    assert "Using pinnings from" in said
    assert "Failed to install" not in said


def test_pins_leave_the_packages_of_pip_to_a_script(conda):
    """A list of conda's packages has none of pip's; Snakemake runs the script behind it."""
    folder = conda.folder / "pinned_pip"
    (folder / "envs").mkdir(parents=True)
    (folder / "envs/esm.yaml").write_text(
        "channels: [conda-forge, nodefaults]\ndependencies:\n"
        "  - python >=3.11\n  - pip\n  - pip:\n      - fair-esm >=2.0,<3\n"
    )
    conda.call("make", "pins", f"CONDA_EXE={COMMANDS}/conda", f"ENVS={folder}/envs")
    script = (folder / "envs/esm.post-deploy.sh").read_text()
    assert re.search(r"pip install --no-deps fair[-_]esm==2\.", script)
    (folder / "Snakefile").write_text(
        "rule:\n    conda: 'envs/esm.yaml'\n    shell: 'python -I -m pip show fair-esm'\n"
    )
    snakemake = (sys.executable, "-m", "snakemake", "--cores", "1", "--sdm", "conda")
    said = conda.call(*snakemake, folder=folder)
    assert "Using pinnings from" in said
    assert "Name: fair-esm" in said


def test_no_pins_without_conda(conda):
    said = conda.call("make", "pins", "CONDA_EXE=no-conda", "ENVS=/nowhere", fails=True)
    assert "no-conda is not on the PATH" in said
