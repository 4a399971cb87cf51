"""Lists of packages agree: pyproject.toml, locks, conda environments, imports."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import halo
from halo import methods
from halo.embeddings.registry import ESM2, LANGUAGE_MODELS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "workflow"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DISTRIBUTIONS = {"Bio": "biopython", "esm": "fair-esm", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# Names on PyPI of packages that conda-forge calls otherwise.
PYPI_NAMES = {
    "matplotlib-base": "matplotlib",
    "parasail-python": "parasail",
    "pytorch": "torch",
    "pytorch_geometric": "torch-geometric",
    "msgpack-python": "msgpack",
    "python-isal": "isal",
}
# Packages that no module imports: the interpreter, readers of vocabularies that
# transformers imports, and a program.
NOT_IMPORTED = {"python", "pip", "protobuf", "sentencepiece", "mmseqs2"}
# The classes of language models that are loaded by their names in an environment.
MODEL_CLASSES = {
    "embeddings.yaml": (ESM2,),
    "predict.yaml": LANGUAGE_MODELS,
    "transformers.yaml": LANGUAGE_MODELS,
}
# The only stages that may import PyTorch: alone its import costs a job seconds.
WITH_TORCH = (
    "halo.device", "halo.embeddings", "halo.finetuning", "halo.network", "halo.predict",
    "halo.tensors", "halo.training", "halo.variants",
)  # fmt: skip


# What the workflow needs of the repository, in the wheel.
CARRIED = (
    "Snakefile",
    "LICENSE",
    "config",
    "envs",
    "profiles",
    "resources",
    "rules",
    "scripts",
    "slurm",
)

Bounds = dict[str, frozenset[str]]  # PyPI's name of a package to its comparisons


def bounds(texts: list[str]) -> Bounds:
    """Bounds of requirements, which are written as ``name >=1.2,<3`` here, for pip and conda.

    Extras and markers of pip are not part of them.
    """
    pairs = (re.sub(r"\[.*?\]", "", text.partition(" ; ")[0]).split() for text in texts)
    return {PYPI_NAMES.get(name, name): frozenset(spec.split(",")) for name, spec in pairs}


def conda_environment(path: Path) -> Bounds:
    """Bounds of an environment's packages, those that pip installs included."""
    by_conda, by_pip = by_installer(path)
    return bounds(by_conda + by_pip)


def by_installer(path: Path) -> tuple[list[str], list[str]]:
    """The requirements that conda fulfils, and those that pip does."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    by_pip = [text for entry in entries if isinstance(entry, dict) for text in entry["pip"]]
    return [entry for entry in entries if isinstance(entry, str)], by_pip


def unbounded(packages: Bounds) -> list[str]:
    """Packages that lack a lower or an upper bound."""
    sides = (r">=\d", r"<\d")
    return [
        name
        for name, spec in packages.items()
        if len(spec) != 2 or not all(any(re.match(side, s) for s in spec) for side in sides)
    ]


def locked(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Entries of a requirement file: the pin and its hashes."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    entries = re.split(r"\n(?=\S)", "\n".join(lines))
    split = (re.split(r" \\\n\s+--hash=sha256:", entry) for entry in entries)
    return [(Requirement(pin), hashes) for pin, *hashes in split]


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


PIPELINE = PROJECT["dependencies"] + EXTRAS["workflow"] + EXTRAS["language-models"]
DECLARED = bounds(PIPELINE)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_lock_pins_every_entry_with_hashes_and_names_no_index(path):
    for pin, hashes in locked(path):
        assert [s.operator for s in pin.specifier] == ["=="], pin
        assert hashes, pin
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes), pin
    text = path.read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)  # an option, such as an index


@pytest.mark.parametrize(
    ("declared", "files"),
    [
        (PIPELINE, ("lock", "torch")),
        (EXTRAS["test"], ("test", "lock")),  # PyTorch needs some of them, too
        (EXTRAS["slurm"], ("slurm",)),
        (EXTRAS["envs"], ("envs",)),
        (EXTRAS["engines"], ("engines",)),
        (EXTRAS["release"], ("release",)),
    ],
    ids=["pipeline", "test", "slurm", "envs", "engines", "release"],
)
def test_lock_is_within_the_bounds(declared, files):
    pins = [pin for name in files for pin, _ in locked(ROOT / "requirements" / f"{name}.txt")]
    for wanted in map(Requirement, declared):
        versions = [version(pin) for pin in pins if pin.name == wanted.name]
        assert versions, f"{wanted.name} is not locked: make lock"
        assert all(map(wanted.specifier.contains, versions)), wanted


def test_both_builds_of_pytorch_are_of_one_version():
    files = [ROOT / "requirements" / f"{name}.txt" for name in ("torch", "torch-cpu")]
    pins = [pin for file in files for pin, _ in locked(file) if pin.name == "torch"]
    assert len({version(pin).removesuffix("+cpu") for pin in pins}) == 1


@pytest.mark.parametrize("declared", [PROJECT["dependencies"], *EXTRAS.values()])
def test_dependencies_are_bounded_on_both_sides(declared):
    assert unbounded(bounds(declared)) == []


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environment_has_the_bounds_of_the_project(path):
    environment = yaml.safe_load(path.read_text())
    assert environment["channels"][-1] == "nodefaults"
    assert set(environment["channels"]) <= {"conda-forge", "bioconda", "nodefaults"}
    packages = conda_environment(path)
    assert "python" in packages
    assert unbounded(packages) == []
    shared = packages.keys() & DECLARED.keys()
    assert {n: packages[n] for n in shared} == {n: DECLARED[n] for n in shared}
    assert packages.keys() - DECLARED.keys() <= {"python", "pip", "mmseqs2"}


def test_environments_have_one_pytorch():
    """conda-forge's fair-esm requires torch-scatter, which is built for one PyTorch alone."""
    wanted = set()
    for path in ENVIRONMENTS:
        by_conda, by_pip = by_installer(path)
        assert not {"fair-esm", "pytorch_scatter"} & bounds(by_conda).keys(), path
        assert bounds(by_pip).keys() <= {"fair-esm", "mini3di"}, path
        wanted |= {text for text in by_conda if text.split()[0] == "pytorch"}
    assert len(wanted) == 1
    required = distribution("fair-esm").requires or ()
    assert [text for text in required if "extra ==" not in text] == []


def imports(path: Path) -> tuple[set[Path], set[str]]:
    """Our modules that a file imports, and the packages of others, at the top and in functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    if "methods.load(" in path.read_text():  # registered classes are imported by their names
        registry = methods.NETWORKS if "methods.NETWORKS" in path.read_text() else methods.BASELINES
        names.update(methods.modules_of(registry))
    ours = {name for name in names if name.split(".")[0] == "halo"}
    files = {PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in ours}
    files |= {PACKAGE.joinpath(*name.split("."), "__init__.py") for name in ours}
    others = {name.split(".")[0] for name in names - ours} - sys.stdlib_module_names
    return {file for file in files if file.exists()}, others


def needed(path: Path) -> set[str]:
    """Distributions that a script and the modules behind it import."""
    todo, seen, found = [path], set(), set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            files, others = imports(file)
            todo += files
            found |= others
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in found}


def rule_texts() -> dict[str, str]:
    """The text of each rule of ``rules/*.smk``."""
    texts = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        _, *blocks = re.split(r"^ *(?=rule \w|checkpoint \w)", path.read_text(), flags=re.M)
        texts |= {block[: block.index(":")].split()[1]: block for block in blocks}
    return texts


def rules() -> set[tuple[str, str, str]]:
    """Rules with each of their environments and their script, as ``rules/*.smk`` name them."""
    found = set()
    for name, text in rule_texts().items():
        environments = re.findall(r'"\.\./envs/(\w+\.yaml)"', text)
        script = re.search(r"\{params\.run\}/(\w+\.py)", text)
        assert environments, f"rule {name} declares no environment"
        assert script, f"rule {name} runs no script"
        found |= {(name, environment, script[1]) for environment in environments}
    return found


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_holds_what_its_rules_import_and_no_more(path):
    files = [ROOT / "scripts" / script for _, used_by, script in rules() if used_by == path.name]
    for name in MODEL_CLASSES.get(path.name, ()):
        modules = LANGUAGE_MODELS[name].modules
        files += [PACKAGE.joinpath(*module.split(".")).with_suffix(".py") for module in modules]
    used = set().union(*map(needed, files))
    assert conda_environment(path).keys() - NOT_IMPORTED == used


def test_every_imported_package_is_declared():
    folders = ("scripts", "workflow", "tools/demo", "tools/language_model")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    beside = {path.stem for path in files}  # modules of the folder itself
    found = {name for path in files for name in imports(path)[1]} - beside
    declared = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in found}
    assert declared <= DECLARED.keys()


@pytest.mark.slow
def test_stages_without_pytorch_do_not_import_it():
    files = sorted((PACKAGE / "halo").rglob("*.py"))
    names = [".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in files]
    names = [name.removesuffix(".__init__") for name in names if not name.startswith(WITH_TORCH)]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={"PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel):
    """Modules, and the data that they ask `halo.data_files.data_file` for."""
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("halo/")}
        assert all(archive.getinfo(name).file_size for name in packed if not name.endswith(".py"))
    files = [path for path in (PACKAGE / "halo").rglob("*") if path.is_file()]
    modules = [path for path in files if path.suffix == ".py"]
    asked = set().union(
        *(re.findall(r"\bdata_file\(\s*\"([^\"]+)\"", path.read_text()) for path in modules)
    )
    assert {"data/amino_acids.csv", "predict/web", "report/template.html"} <= asked
    for name in asked:
        assert any(f"{found}/".startswith(f"halo/{name}/") for found in packed), name
    own = {
        path.relative_to(PACKAGE).as_posix() for path in files if path.parent.name != "__pycache__"
    }
    carried = {
        f"halo/repository/{path.relative_to(ROOT).as_posix()}"
        for place in CARRIED
        for path in (ROOT / place, *(ROOT / place).rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert packed == own | carried


def test_predictions_need_no_package_of_the_workflow():
    only = bounds(EXTRAS["workflow"]).keys()
    assert only & needed(ROOT / "scripts/predict.py") == set()
    assert bounds(PROJECT["dependencies"]).keys() & only == set()


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["dynamic"] == ["version"]  # taken from the package
    assert str(citation["version"]) == halo.__version__
    released = f"## [{halo.__version__}] - {citation['date-released']}\n"
    assert released in (ROOT / "CHANGELOG.md").read_text()


PROFILES = ["slurm", "profiles/lsf", "profiles/pbs", "profiles/kubernetes"]


@pytest.mark.parametrize("folder", PROFILES)
def test_profiles_of_clusters_name_rules_that_exist_and_all_with_a_gpu(folder):
    asked = yaml.safe_load((ROOT / folder / "profile.yaml").read_text())["set-resources"]
    texts = rule_texts()
    assert asked.keys() <= texts.keys()
    with_gpu = {name for name, text in texts.items() if re.search(r"^ +gpu=", text, re.M)}
    assert {"train", "predict", "variants"} <= with_gpu
    assert with_gpu <= asked.keys()
    kind = {"slurm": "gpu", "profiles/lsf": "lsf_extra", "profiles/pbs": "ngpus"}.get(
        folder, "gpus"
    )
    assert all(kind in asked[name] for name in with_gpu)


def test_no_large_job_has_the_default_resources_on_slurm():
    """They are of small jobs; one that uses several cores is large."""
    asked = yaml.safe_load((ROOT / "slurm/profile.yaml").read_text())["set-resources"]
    large = {name for name, text in rule_texts().items() if re.search(r"^ +threads:", text, re.M)}
    assert large <= asked.keys()


def test_memory_and_time_grow_with_each_try_on_slurm():
    profile = yaml.safe_load((ROOT / "slurm" / "profile.yaml").read_text())
    for asked in (profile["default-resources"], *profile["set-resources"].values()):
        for name in {"mem_mb", "runtime"} & asked.keys():
            first, second = (eval(asked[name], {"attempt": attempt}) for attempt in (1, 2))
            assert 0 < first < second, asked
