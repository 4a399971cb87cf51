"""Find the files and folders of a configuration."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from halo.config.fault import Fault
from halo.config.fault import Path as KeyPath
from halo.config.merge import Config
from halo.embeddings.checkpoint_file import checkpoint_fault
from halo.embeddings.hub import cache_folder, cached, model_class_of, model_folder
from halo.embeddings.pattern import split_pattern
from halo.embeddings.published import PUBLISHED
from halo.embeddings.registry import ESM2, LANGUAGE_MODELS
from halo.errors import HaloError

LARGEST = 20 << 20  # bytes; larger data are not read before the first job

FILE, FOLDER, FILES, EITHER = "file", "folder", "files by wildcards", "either"
EMBEDDINGS = "a file, or a folder that may be followed by a pattern of file names"
SOURCE_KINDS = {"afdb": EITHER, "folder": FOLDER, "archive": FILES, "contacts": EITHER}
# Keys that name a file or folder of the user, and which of the two.
PATHS: dict[KeyPath, str] = {
    ("dataset", "proteins"): FILE,
    ("dataset", "labels", "table"): FILE,
    ("dataset", "uniprot", "mapping"): FILE,
    ("dataset", "regions", "table"): FILE,
    ("dataset", "test", "proteins"): FILE,
    ("dataset", "test", "uniprot", "mapping"): FILE,
    ("dataset", "test", "labels", "table"): FILE,
    ("split", "base"): FILE,
    ("structures", "names"): FILE,
    ("structures", "sequences"): FILE,
    ("fasta",): FILE,
    ("variants",): FILE,
    ("bundle",): FOLDER,
    ("release", "licence"): FILE,
    ("release", "notes"): FILE,
    ("predict", "structures"): FOLDER,
    ("predict", "language_model"): EITHER,
    ("predict", "embeddings"): EMBEDDINGS,
}


def with_found_files(config: Mapping[str, Any], base: Path) -> tuple[Config, list[Fault]]:
    """The configuration with resolved paths, and faults for missing files and folders.

    A relative path is resolved from the working directory, then from the workflow's folder `base`,
    so that the demo runs anywhere. ``~`` is the user's home directory.
    """
    resolved = deepcopy(dict(config))
    faults = _data_faults(resolved)
    for path, kind in PATHS.items():
        section: Any = resolved
        for name in path[:-1]:
            section = section and section[name]
        faults += _find(section, path, kind, base)
    for above in (("dataset",), ("dataset", "test")):
        dataset = resolved["dataset"] if above == ("dataset",) else resolved["dataset"]["test"]
        for name, group in ((dataset or {}).get("groups") or {}).items():
            faults += _find(group, (*above, "groups", name, "table"), FILE, base)
    for number, source in enumerate(resolved["structures"]["sources"]):
        if source["path"]:
            path = ("structures", "sources", number, "path")
            faults += _find(source, path, SOURCE_KINDS[source["kind"]], base)
    if resolved["embeddings"]["source"] == "file":
        faults += _find(resolved["embeddings"], ("embeddings", "path"), EMBEDDINGS, base)
    elif resolved["embeddings"]["model"] not in PUBLISHED:
        faults += _language_model_faults(resolved, base)
    if "://" not in (resolved["container"] or "://"):
        faults += _find(resolved, ("container",), EITHER, base)
    bundle = resolved["bundle"] and Path(resolved["bundle"])
    if bundle and bundle.is_dir() and not (bundle / "bundle.json").is_file():
        text = f"{resolved['bundle']!r} has no bundle.json; name the folder of a model bundle"
        faults.append(Fault(("bundle",), text))
    faults += _home_faults(resolved)
    resolved["store"] = _at_home(resolved["store"])
    if Path(resolved["store"]).exists() and not Path(resolved["store"]).is_dir():
        faults.append(Fault(("store",), f"{resolved['store']!r} is a file; name a folder"))
    return resolved, faults


def _home_faults(config: Config) -> list[Fault]:
    """Faults of folders to write with a ``~`` that stays one: the run would make a folder ``~``.

    Snakemake has read the path variables before this, and as they are.
    """
    faults = [
        Fault(
            ("pathvars", name),
            f"{value!r} begins with ~, which Snakemake does not replace by the home directory; "
            f"write {_at_home(value)!r}",
        )
        for name, value in (config["pathvars"] or {}).items()
        if value.startswith("~")
    ]
    store: str = config["store"]
    if store.startswith("~") and _at_home(store) == store:
        text = f"{store!r} is in the home directory of no user; write ./{store} for that folder"
        faults.append(Fault(("store",), text))
    return faults


def _at_home(path: str) -> str:
    """The path with the home directory in place of ``~``, or as it is if there is no such user."""
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path


def _language_model_faults(config: Config, base: Path) -> list[Fault]:
    """Faults of ``embeddings.model`` where it is no published name; the file is not read whole."""
    path, section = ("embeddings", "model"), config["embeddings"]
    try:
        folder = None if Path(section["model"]).exists() else cached(section["model"])
        if folder is None:
            missing = _find(section, path, EITHER, base)
            if missing:
                names = (
                    f"; or give a published name, one of {', '.join(PUBLISHED)}, or a model in the "
                    f"cache of Hugging Face ({cache_folder()}) as organization/name"
                )
                return [Fault(fault.path, fault.text + names) for fault in missing]
            folder = Path(section["model"])
            folder = model_folder(folder) if folder.is_dir() else folder
        fault = checkpoint_fault(folder, whole=False)
        model_class = ESM2 if fault else model_class_of(folder) or ESM2
    except (HaloError, OSError, ValueError) as error:
        return [Fault(path, str(error))]
    if fault:
        return [Fault(path, f"{section['model']}: {fault}")]
    if model_class != ESM2 and config["finetune"]["model"] == "finetuned":
        title = LANGUAGE_MODELS[model_class].title
        text = f"finetuned, but HALO fine-tunes ESM-2 alone, and embeddings.model is {title}"
        return [Fault(("finetune", "model"), f"{text}; set it to pretrained")]
    return []


def _data_faults(config: Config) -> list[Fault]:
    """Data sets without a path, a URL, or a query."""
    dataset = config["dataset"]
    return [
        Fault(
            path,
            f"no data; give the path of a table or FASTA in {'.'.join(path)}.proteins, a name of "
            f"resources/datasets.yaml in {'.'.join(path)}.registry, or a query in "
            f"{'.'.join(path)}.uniprot",
        )
        for path, section in ((("dataset",), dataset), (("dataset", "test"), dataset["test"]))
        if section is not None
        and section["proteins"] is None
        and section["url"] is None
        and section["uniprot"] is None
    ]


def own_split_faults(config: Mapping[str, Any], written: Path) -> list[Fault]:
    """A fault for a `split.base` that the run would overwrite: the file that it writes."""
    base = config["split"]["base"]
    if base is None or Path(base).resolve() != written.resolve():
        return []
    return [Fault(("split", "base"), f"{base!r} is what this run writes; copy it elsewhere first")]


def _find(section: dict[Any, Any] | None, path: KeyPath, kind: str, base: Path) -> list[Fault]:
    """Set the resolved path in the section, or return a fault."""
    if section is None or section[path[-1]] is None:
        return []
    value: str = section[path[-1]]
    if value.startswith(("http://", "https://")):
        hint = " in url" if path[-1] == "proteins" else "; download it, and give the path"
        return [Fault(path, f"{value!r} is an address, and a path is expected; give it{hint}")]
    for place in (Path(_at_home(value)), Path(base) / value):
        if _exists(place, kind):
            section[path[-1]] = value if place == Path(value) else str(place)
            return _other_kind(place, value, path, kind)
    return [
        Fault(
            path,
            f"there is no file or folder {value!r}; correct the path (relative to {Path.cwd()})",
        )
    ]


def _exists(place: Path, kind: str) -> bool:
    try:
        if kind == FILES:
            return any(place.parent.glob(place.name))
        if kind == EMBEDDINGS:
            place, _ = split_pattern(place)
        return place.exists()
    except (OSError, ValueError):  # not a valid file name
        return False


def _other_kind(place: Path, value: str, path: KeyPath, kind: str) -> list[Fault]:
    if kind == FILE and place.is_dir():
        return [Fault(path, f"{value!r} is a folder, and a file is expected; name one in it")]
    if kind == FOLDER and not place.is_dir():
        return [Fault(path, f"{value!r} is a file, and a folder is expected; name that")]
    if kind == FILE and place.is_file() and place.stat().st_size == 0:
        return [Fault(path, f"the file {value!r} is empty; give another, or make it again")]
    return []


def worth_reading(files: Iterable[Path], result: Path | None) -> bool:
    """Whether data are checked before the first job: available, small, and newer than `result`."""
    try:
        stats = [Path(file).stat() for file in files]
    except OSError:  # a file that has not been downloaded yet
        return False
    made = result.stat().st_mtime if result is not None and result.exists() else 0.0
    newest = max(stat.st_mtime for stat in stats)
    return sum(stat.st_size for stat in stats) <= LARGEST and newest >= made
