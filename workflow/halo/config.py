"""The configuration: checked against its schema, defaults filled in, errors for people."""

import difflib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from halo.errors import HaloError
from halo.methods import JOINING, NETWORKS

Config = dict[str, Any]


def load_yaml(path: Path) -> Any:
    """Read a YAML file; a syntax error names the file and the line."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise HaloError(f"{path}: not readable as YAML: {error}") from None


def checked_config(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Config:
    """A copy of `config` with the schema's defaults, or a HaloError that lists every fault.

    Each fault names the key by its path (``split.identity``), what is wrong, and the mend.
    """
    filled = deepcopy(dict(config))
    _fill_defaults(filled, schema, schema)
    errors = sorted(Draft202012Validator(schema).iter_errors(filled), key=lambda e: e.json_path)
    faults = list(dict.fromkeys(text for error in errors for text in _explain(error)))
    if faults:
        raise HaloError("the configuration has errors:\n" + "\n".join(f"  - {f}" for f in faults))
    return filled


def completed_config(config: Mapping[str, Any], base: Path) -> Config:
    """A run's configuration with all defaults and found files, as the rules use it.

    `base` is the workflow's folder. HaloError lists the faults.
    """
    schema = load_yaml(Path(base) / "workflow/schemas/config.schema.yaml")
    registry = load_yaml(Path(base) / "resources/datasets.yaml")
    config = dict(config)
    if isinstance(config.get("dataset"), dict):
        config["dataset"] = with_registry_entry(config["dataset"], registry)
    return with_found_files(checked_methods(checked_config(config, schema)), base)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Config:
    """`base` with the values of `over`, mapping by mapping; neither is changed."""
    result = deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def with_registry_entry(dataset: Mapping[str, Any], registry: Mapping[str, Any]) -> Config:
    """The data set's section, completed by its entry of the registry if it names one.

    What the section says itself takes precedence; a local path in ``proteins`` takes the
    place of the entry's URL.
    """
    name = dataset.get("registry")
    given = {key: value for key, value in dataset.items() if value is not None}
    if isinstance(given.get("test"), Mapping):
        test = with_registry_entry(given["test"], registry)
        not_its_own = ("split", "task", "duplicates")
        given["test"] = {key: value for key, value in test.items() if key not in not_its_own}
    if name is None:
        return given
    if name not in registry:
        raise HaloError(
            f"dataset.registry: no data set {name!r} in resources/datasets.yaml"
            f"{_suggestion(name, registry)}"
        )
    keys = ("id", "accession", "sequence", "split", "annotations", "labels", "task", "duplicates")
    entry = {key: registry[name][key] for key in (*keys, "url", "sha256") if key in registry[name]}
    return merged(entry, given)


# Keys of the configuration that name a file or folder of the user.
PATHS = (
    ("dataset", "proteins"),
    ("dataset", "labels", "table"),
    ("dataset", "test", "proteins"),
    ("dataset", "test", "labels", "table"),
    ("embeddings", "model"),
    ("split", "base"),
    ("fasta",),
    ("bundle",),
    ("release", "licence"),
    ("predict", "structures"),
    ("predict", "language_model"),
)


def with_found_files(config: Mapping[str, Any], base: Path) -> Config:
    """The configuration with each of `PATHS` checked to be there.

    A relative path is sought from the working directory, then from the workflow's own
    folder `base`, so that the demo runs from anywhere. A HaloError names those not found.
    """
    found = deepcopy(dict(config))
    faults = []
    for *sections, key in PATHS:
        section = found
        for name in sections:
            section = section.get(name) or {}
        value = section.get(key)
        if value is None or (key == "model" and not Path(value).suffix):
            continue
        if not Path(value).exists() and (Path(base) / value).exists():
            section[key] = str(Path(base) / value)
        elif not Path(value).exists():
            faults.append(
                f"{'.'.join((*sections, key))}: there is no file {value!r}; mend the path "
                f"(relative paths are sought from {Path.cwd()})"
            )
    for name, table in (("dataset", found["dataset"]), ("dataset.test", found["dataset"]["test"])):
        if table is not None and table["proteins"] is None and table["url"] is None:
            faults.append(
                f"{name}: no data; give the path of a table or FASTA in {name}.proteins, or a name "
                f"of resources/datasets.yaml in {name}.registry"
            )
    if faults:
        raise HaloError("the configuration has errors:\n" + "\n".join(f"  - {f}" for f in faults))
    return found


def checked_methods(config: Mapping[str, Any]) -> Config:
    """The configuration, if its methods fit to each other and to the language model."""
    methods = config["methods"]
    faults = []
    for name, method in methods.items():
        members = method.get("of")
        if (members is not None) != (method["class"] in JOINING):
            faults.append(
                f"methods.{name}.of: two methods to join belong to the classes "
                f"{' and '.join(JOINING)}, and to no other"
            )
        for member in members or ():
            if member not in methods or methods[member]["class"] not in (*NETWORKS, "esm"):
                faults.append(
                    f"methods.{name}.of: {member!r} is no network and no method of the class esm"
                    f"{_suggestion(member, methods)}"
                )
        embeddings = method.get("embeddings")
        if embeddings and method["class"] not in NETWORKS:
            faults.append(f"methods.{name}.embeddings: only a network reads embeddings")
        elif embeddings == "finetuned" and config["finetune"]["model"] != "finetuned":
            faults.append(
                f"methods.{name}.embeddings: nothing is fine-tuned; set finetune.model: finetuned"
            )
    if faults:
        raise HaloError("the configuration has errors:\n" + "\n".join(f"  - {f}" for f in faults))
    return dict(config)


def folds(config: Mapping[str, Any]) -> list[str]:
    """Names of the folds to train: all of the split, or those that ``folds`` chooses."""
    count = config["split"]["folds"] if config["split"]["mode"] in ("kfold", "predefined") else 1
    names = [str(number) for number in range(count)]
    unknown = [name for name in config["folds"] or () if name not in names]
    if unknown:
        raise HaloError(
            f"folds: the split has no fold {', '.join(unknown)}; it has {', '.join(names)}"
        )
    return config["folds"] or names


def _fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        schema = _resolve(schema["$ref"], root)
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            target = _resolve(part["$ref"], root) | part if "$ref" in part else part
            if key not in value and "default" in target:
                value[key] = deepcopy(target["default"])
            if key in value:
                _fill_defaults(value[key], part, root)
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping):
            for key in value.keys() - schema.get("properties", {}).keys():
                _fill_defaults(value[key], others, root)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for item in value:
            _fill_defaults(item, schema["items"], root)


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def _explain(error: ValidationError) -> Iterator[str]:
    where = ".".join(str(part) for part in error.absolute_path)
    schema = error.schema
    match error.validator:
        case "additionalProperties":
            known = schema.get("properties", {})
            for key in sorted(set(error.instance) - set(known)):
                place = f"{where}.{key}" if where else key
                yield (
                    f"{place}: unknown key{_suggestion(key, known)}; "
                    f"known here: {', '.join(sorted(known))}"
                )
        case "required":
            key = error.message.split("'")[1]
            hint = schema.get("properties", {}).get(key, {}).get("description", "")
            yield f"{where}.{key}".lstrip(".") + f": missing; give it ({hint})"
        case "enum":
            choices = ", ".join(map(repr, error.validator_value))
            yield f"{where}: {error.instance!r} is not one of {choices}"
        case "type":
            wanted = error.validator_value
            wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
            kind = type(error.instance).__name__
            hint = schema.get("description", "")
            yield f"{where}: {error.instance!r} is a {kind}, but {wanted} is wanted ({hint})"
        case _:
            hint = schema.get("description", "")
            yield f"{where}: {error.message}" + (f" ({hint})" if hint else "")


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
