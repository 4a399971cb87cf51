"""Rules about keys of several sections of the configuration."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

from halo.config.fault import Fault, Path, suggestion
from halo.config.merge import merged
from halo.config.methods import methods_of
from halo.config.model import RunConfig
from halo.embeddings.published import PUBLISHED
from halo.methods import JOINING, NEIGHBOURS, NETWORKS
from halo.network.settings import NetworkSettings
from halo.proteins.settings import Columns, GroupLabels

Rule = Callable[[RunConfig], Iterator[Fault]]
# Keys of a method, the classes that take them, and their name in a message.
OF_CLASSES = {
    "network": (tuple(NETWORKS), "a network"),
    "training": (tuple(NETWORKS), "a network"),
    "neighbours": (tuple(NEIGHBOURS), "nearest_neighbour"),
    "embeddings": ((*NETWORKS, *NEIGHBOURS), "a network or nearest_neighbour"),
}
RULES: list[tuple[frozenset[str], Rule]] = []


def rule_faults(config: RunConfig, wrong: AbstractSet[str]) -> list[Fault]:
    """Faults by the rules that use none of the sections in `wrong`."""
    faults = list(_section_faults(config, (), wrong))
    for sections, rule in RULES:
        if not sections & wrong:
            faults += rule(config)
    return faults


def folds(config: Mapping[str, Any]) -> list[str]:
    """Names of the folds to train: all of the split, or those that ``folds`` chooses."""
    return list(config["folds"] or _all_folds(config["split"]["mode"], config["split"]["folds"]))


def _all_folds(mode: str, count: int) -> list[str]:
    return [str(number) for number in range(count if mode in ("kfold", "predefined") else 1)]


def _section_faults(node: Any, path: Path, wrong: AbstractSet[str]) -> Iterator[Fault]:
    """Faults within sections, and duplicate values in lists."""
    if hasattr(node, "faults"):
        for key, text in node.faults():
            yield Fault((*path, *key.split(".")), text)
    below: list[tuple[Any, Any]]
    if isinstance(node, RunConfig):
        below = [(name, getattr(node, name)) for name in type(node).model_fields]
    elif is_dataclass(node):
        below = [(f.name, getattr(node, f.name)) for f in fields(node)]
    elif isinstance(node, Mapping):
        below = list(node.items())
    elif isinstance(node, tuple):
        below = list(enumerate(node))
        for number, value in enumerate(node):
            if value in node[:number]:
                yield Fault((*path, number), f"{value!r} is in the list twice; remove one")
    else:
        return
    for key, value in below:
        if path or key not in wrong:
            yield from _section_faults(value, (*path, key), wrong)


def reads(*sections: str) -> Callable[[Rule], Rule]:
    """Declare a rule and the sections that it uses; it is skipped if one of them has faults."""

    def declared(rule: Rule) -> Rule:
        RULES.append((frozenset(sections), rule))
        return rule

    return declared


@reads("folds", "release", "split", "seeds")
def _folds_exist(config: RunConfig) -> Iterator[Fault]:
    known = _all_folds(config.split.mode, config.split.folds)
    for path, chosen in ((("folds",), config.folds), (("release", "folds"), config.release.folds)):
        trained = known if path == ("folds",) else config.folds or known
        for number, name in enumerate(chosen or ()):
            if name not in trained:
                yield Fault(
                    (*path, number), f"there is no fold {name!r}; there are {', '.join(trained)}"
                )
    if config.release.all_proteins and config.release.folds is not None:
        yield Fault(
            ("release", "folds"),
            "models of folds, but with all_proteins: true the bundle has models of all proteins; "
            "set one of them to null or false",
        )
    for number, seed in enumerate(config.release.seeds or ()):
        if seed not in config.seeds:
            yield Fault(
                ("release", "seeds", number),
                f"nothing is trained with the seed {seed}; seeds has {_list(config.seeds)}",
            )


@reads("dataset", "split")
def _test_set_and_mode(config: RunConfig) -> Iterator[Fault]:
    mode, dataset = config.split.mode, config.dataset
    if dataset.test is not None:
        if mode != "external":
            yield Fault(
                ("split", "mode"),
                f"{mode}, but there is a test set in dataset.test, which this mode would train on; "
                "set mode: external, or remove dataset.test",
            )
        if config.split.val is not None:
            yield Fault(
                ("split", "val"),
                "author partitions, which a run with dataset.test does not divide by; leave it out",
            )
        if config.split.test != ("test",):
            yield Fault(
                ("split", "test"),
                f"{_list(config.split.test)}, but with dataset.test all of that set is the test, "
                "and nothing else; leave it out",
            )
    elif mode in ("external", "predefined") and dataset.split is None:
        ways = ", or give a test set in dataset.test" if mode == "external" else ""
        yield Fault(
            ("split", "mode"),
            f"{mode} needs the partitions of the data's authors; name their column in "
            f"dataset.split{ways}",
        )


@reads("dataset")
def _query_or_file(config: RunConfig) -> Iterator[Fault]:
    """UniProt is asked for a part of it, and what selects entries there is not lost on a file."""
    dataset = config.dataset
    for path, section in ((("dataset",), dataset), (("dataset", "test"), dataset.test)):
        if section is None or section.uniprot is None:
            continue
        above, given = (*path, "uniprot"), section.uniprot
        name = "proteins" if section.proteins is not None else "url"
        if section.proteins is None and section.url is None:
            if not given.search:
                yield Fault(
                    (*above, "query"),
                    "all of UniProt is too much; give a query, a taxonomy or reviewed: true",
                )
            continue
        for key in ("query", "taxonomy"):
            if getattr(given, key) is not None:
                yield Fault(
                    (*above, key),
                    f"selects entries of a download, and {'.'.join(path)}.{name} is a file, of "
                    "which all entries are used; select them when you download the file, and "
                    f"leave out {key}, or leave out {name}",
                )


@reads("dataset")
def _columns(config: RunConfig) -> Iterator[Fault]:
    """No column has two meanings."""
    dataset = config.dataset
    for path, section in ((("dataset",), dataset), (("dataset", "test"), dataset.test)):
        if section is None:
            continue
        uses: dict[str, str] = {}
        named: list[tuple[str, str | None]] = [("id", section.id), ("sequence", section.sequence)]
        split = getattr(section, "split", None)  # may be kept as an annotation, too
        named += [("split", split)]
        named += [
            (f"annotations[{n}]", name)
            for n, name in enumerate(section.annotations)
            if name != split
        ]
        for place, of_labels in (("labels", section.labels), *_groups(section)):
            if of_labels.table is not None:
                continue
            columns = (of_labels.columns or ()) if of_labels.label is None else ()
            named += [(f"{place}.columns[{n}]", name) for n, name in enumerate(columns)]
            named += [
                (f"{place}.label", of_labels.label),
                (f"{place}.evidence", of_labels.evidence),
            ]
        for key, column in named:
            if column is None:
                continue
            if column in uses:
                yield Fault(
                    (*path, *_steps(key)),
                    f"the column {column!r} is {uses[column]} already; name another",
                )
            uses.setdefault(column, ".".join((*path, key)))


def _groups(section: Columns) -> list[tuple[str, GroupLabels]]:
    return [(f"groups.{name}", group) for name, group in (section.groups or {}).items()]


@reads("dataset")
def _groups_of_the_test_set(config: RunConfig) -> Iterator[Fault]:
    known = config.dataset.groups or {}
    for name, group in ((config.dataset.test and config.dataset.test.groups) or {}).items():
        path = ("dataset", "test", "groups", name)
        if name not in known:
            yield Fault(
                path,
                f"dataset.groups has no group {name!r}{suggestion(name, known)}; add it there, or "
                "remove it",
            )
        elif group.task != known[name].task:
            yield Fault(
                (*path, "task"),
                f"{group.task}, but that of dataset.groups.{name} is {known[name].task}; give both "
                "the same",
            )


def _steps(key: str) -> Path:
    name, _, number = key.removesuffix("]").partition("[")
    return (*name.split("."), *((int(number),) if number else ()))


@reads("methods", "network", "finetune")
def _methods(config: RunConfig) -> Iterator[Fault]:
    methods: Mapping[str, Any] = config.methods
    for name, method in methods.items():
        path, method_class, members = ("methods", name), method["class"], method.get("of")
        if (members is not None) != (method_class in JOINING):
            yield Fault(
                (*path, "of"),
                f"two methods to join belong to the classes {' and '.join(JOINING)}, and to no "
                "other; " + ("name them" if method_class in JOINING else "remove it"),
            )
        for member in members or ():
            if member not in methods or methods[member]["class"] in JOINING:
                yield Fault(
                    (*path, "of"),
                    f"{member!r} is not a method without members of its own"
                    f"{suggestion(member, methods)}",
                )
        for key, (takers, named) in OF_CLASSES.items():
            if method.get(key) and method_class not in takers:
                yield Fault(
                    (*path, key),
                    f"the class {method_class} takes none, only {named} does; remove it",
                )
        if method.get("embeddings") == "finetuned" and config.finetune.model != "finetuned":
            yield Fault(
                (*path, "embeddings"), "nothing is fine-tuned; set finetune.model: finetuned"
            )
        base = {f.name: getattr(config.network, f.name) for f in fields(config.network)}
        network = NetworkSettings(**merged(base, method.get("network", {})))
        for key, text in network.faults() if "network" in method else ():
            yield Fault((*path, "network", key), text)


@reads("methods", "finetune", "evaluation", "release")
def _chosen_methods(config: RunConfig) -> Iterator[Fault]:
    made = methods_of(config.methods, config.finetune.model == "finetuned")
    if not made.all:
        yield Fault(
            ("methods",),
            "none of them is made, since they need a fine-tuned language model; set "
            "finetune.model: finetuned, or add another",
        )
    main, method = config.evaluation.main, config.release.method
    if main is not None and main not in made.all:
        yield Fault(("evaluation", "main"), _no_method(main, made.all, config))
    if method is not None and method not in made.portable:
        yield Fault(("release", "method"), _no_method(method, made.portable, config))


@reads("methods", "network", "structures")
def _something_to_see(config: RunConfig) -> Iterator[Fault]:
    """A network that uses only the structure needs a source of structures."""
    if config.structures.sources:
        return
    seen: dict[Path, Sequence[str]] = {("network", "modalities"): config.network.modalities}
    methods: Mapping[str, Any] = config.methods
    for name, method in methods.items():
        if "modalities" in method.get("network", {}):
            seen["methods", name, "network", "modalities"] = method["network"]["modalities"]
    for path, modalities in seen.items():
        if set(modalities) == {"structure"}:
            yield Fault(
                path, "the structure alone, but structures.sources is empty; name a source there"
            )


@reads("embeddings", "release")
def _a_language_model_to_release(config: RunConfig) -> Iterator[Fault]:
    if config.embeddings.source == "file" and config.release.language_model:
        yield Fault(
            ("release", "language_model"),
            "true, but embeddings.source: file has no language model; set it to false",
        )


@reads("embeddings", "finetune")
def _something_to_fine_tune(config: RunConfig) -> Iterator[Fault]:
    if config.embeddings.source == "file" and config.finetune.model == "finetuned":
        yield Fault(
            ("finetune", "model"),
            "finetuned, but embeddings.source: file has no language model; set embeddings.source: "
            "model, or finetune.model: pretrained",
        )


@reads("embeddings", "finetune")
def _layers(config: RunConfig) -> Iterator[Fault]:
    """Layers of published models, by the number in their name; others are checked when loaded."""
    if config.embeddings.source == "file":
        return
    layers_in_name = re.search(r"_t(\d+)_", config.embeddings.model)
    if config.embeddings.model not in PUBLISHED or layers_in_name is None:
        return
    layers, finetune = int(layers_in_name[1]), config.finetune
    if not -layers <= config.embeddings.layer <= layers:
        yield Fault(
            ("embeddings", "layer"),
            f"{config.embeddings.layer}, but {config.embeddings.model} has {layers} layers; -1 is "
            "the last",
        )
    if finetune.model == "finetuned" and finetune.last_layers > layers:
        yield Fault(
            ("finetune", "last_layers"),
            f"{finetune.last_layers}, but {config.embeddings.model} has {layers} layers; lower it",
        )


@reads("dataset")
def _one_download(config: RunConfig) -> Iterator[Fault]:
    one, other = config.dataset, config.dataset.test
    if other is not None and one.url and one.url == other.url and one.sha256 != other.sha256:
        yield Fault(
            ("dataset", "test", "sha256"),
            "not that of dataset, though both have the same url; give both the same",
        )


def _no_method(name: str, known: Sequence[str], config: RunConfig) -> str:
    if name in config.methods and config.finetune.model != "finetuned":
        why = f"{name!r} cannot be chosen, or needs finetune.model: finetuned"
    else:
        why = f"{name!r} is not a method that can be chosen{suggestion(name, known)}"
    return f"{why}; there are {_list(known) or 'none'}"


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
