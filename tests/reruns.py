"""Write the table of docs/reference/reruns.md: jobs that run again when one key changes.

python tests/reruns.py        writes it
"""

import json
import pickle
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from dry_runs import EmptyRun
from halo.config import merged
from halo.config.model import RunConfig
from halo.config.schema import alternatives, resolved, schema_of
from halo.files import write_text
from pipeline import ROOT, close_forks, forks

PAGE = ROOT / "docs/reference/reruns.md"
HEADING = "## Every key\n\n"
HEAD = "| key | beside it | jobs that run again |\n|---|---|---|\n"
TARGETS = ("all", "bundle", "predict")
PIPELINE = (
    "download_dataset", "download_uniprot", "ingest", "regions", "split", "all_proteins",
    "structures", "structures_manifest", "embedding_file", "language_model", "finetune",
    "embeddings", "join_embeddings", "graphs", "join_graphs", "train", "esm", "drop_embeddings",
    "baseline", "nearest_neighbour", "join_methods", "evaluate",
    "provenance", "report", "bundle", "predict_fetch", "predict",
)  # fmt: skip
LABELS = ["Cytoplasm", "Nucleus", "Extracellular"]
TABLE = {"proteins": "proteins.csv", "accession": "accession", "annotations": ["kingdom"]}
NAMES = {"table": "labels.csv", "label": "location", "separator": ";"}
# A run in which every section has a part.
CONFIG: dict[str, Any] = {
    "run": "small",
    "shards": 1,
    "folds": ["0"],
    "fasta": "names.fasta",
    "dataset": {**TABLE, "labels": {"columns": LABELS}},
    "split": {"folds": 3},
    "structures": {
        "names": "names.csv",
        "sequences": "names.fasta",
        "sources": [{"kind": "folder", "path": "models"}],
    },
    "embeddings": {"model": "model.pt"},
    "finetune": {"model": "finetuned"},
    "methods": {
        "halo": {"class": "network"},
        "esm": {"class": "esm"},
        "cascade": {"class": "cascade", "of": ["esm", "halo"]},
        "majority": {"class": "majority"},
    },
}


GROUPS = {"membrane": {"columns": ["membrane"]}}
FROM_FILE = {"source": "file", "path": "embeddings.h5", "made_by": "model"}


@dataclass(frozen=True)
class Run:
    """A run that is complete before a key is changed; `beside` is what sets it apart."""

    config: Mapping[str, Any]
    beside: str = ""


RUNS = {
    "columns": Run(CONFIG),
    "fractions": Run({**CONFIG, "split": {"mode": "fractions"}}, "`split.mode: fractions`"),
    "partitions": Run(
        merged(CONFIG, {"split": {"mode": "external"}, "dataset": {"split": "partition"}}),
        "`split.mode: external`, `dataset.split`",
    ),
    "predefined": Run(
        merged(CONFIG, {"split": {"mode": "predefined"}, "dataset": {"split": "number"}}),
        "`split.mode: predefined`, `dataset.split`",
    ),
    "names": Run(
        {
            **CONFIG,
            "split": {"mode": "external"},
            "dataset": {
                **TABLE,
                "labels": NAMES,
                "test": {**TABLE, "proteins": "test.csv", "labels": NAMES},
            },
        },
        "labels by name in `labels.table`; in `dataset.test` too",
    ),
    "columns of the test": Run(
        {
            **CONFIG,
            "split": {"mode": "external"},
            "dataset": {
                **CONFIG["dataset"],
                "test": {**CONFIG["dataset"], "proteins": "test.csv"},
            },
        },
        "`split.mode: external`, `dataset.test`",
    ),
    "groups": Run(merged(CONFIG, {"dataset": {"groups": GROUPS}}), "`dataset.groups`"),
    "regions": Run(
        merged(CONFIG, {"dataset": {"regions": {"table": "regions.csv"}}}), "`dataset.regions`"
    ),
    "uniprot": Run(
        {
            **CONFIG,
            "split": {"mode": "external"},
            "dataset": {
                "proteins": "uniprot.tsv",
                "uniprot": {},
                "test": {"proteins": "uniprot_test.tsv", "uniprot": {}},
            },
        },
        "files of UniProt as data and test",
    ),
    "file": Run(
        {**CONFIG, "embeddings": FROM_FILE, "finetune": {"model": "pretrained"}},
        "`embeddings.source: file`",
    ),
}


@dataclass(frozen=True)
class Change:
    """Another value of a key, in which run, and the keys that change with it."""

    value: Any
    run: str = "columns"
    also: Mapping[str, Any] | None = None

    @property
    def beside(self) -> str:
        """What the table says that the key needs beside it."""
        shown = [
            f"`{key}: {value if isinstance(value, str) else json.dumps(value)}`"
            for key, value in (self.also or {}).items()
        ]
        parts = [RUNS[self.run].beside, f"changed with {', '.join(shown)}" if shown else ""]
        return "; ".join(filter(None, parts))

    def config(self, path: str) -> dict[str, Any]:
        """The run's configuration, changed."""
        config = dict(RUNS[self.run].config)
        for key, value in {**(self.also or {}), path: self.value}.items():
            config = merged(config, nested(key, value))
        return config


def of_data(section: str, columns: str, names: str) -> dict[str, Change]:
    """Changes of a data set's keys; `columns` and `names` are runs."""
    no_file = {f"{section}.proteins": None}
    # The test's labels have to be among those of the other proteins.
    other = {"dataset": "dataset.test", "dataset.test": "dataset"}[section] + ".uniprot.mapping"
    address = no_file | {f"{section}.url": "http://localhost/a.csv"}
    asked = no_file | {f"{section}.uniprot.query": "kinase"}
    values = {
        "registry": Change("deeploc2", columns, no_file),
        "proteins": Change("test_2.csv" if section.endswith("test") else "other.csv", columns),
        "url": Change("http://localhost/a.csv", columns, no_file),
        "sha256": Change("0" * 64, columns, address),
        "id": Change("id2", columns),
        "accession": Change("accession2", columns),
        "sequence": Change("sequence2", columns),
        "annotations": Change(["kingdom", "note"], columns),
        "sample": Change(15, columns),
        "groups": Change(
            GROUPS, columns, {"dataset.groups": GROUPS} if section == "dataset.test" else None
        ),
        "labels.columns": Change(LABELS[:2], columns),
        "labels.positive": Change(["1", "yes"], columns),
        "labels.unknown": Change(["?"], columns),
        "labels.negative": Change(["0", "no"], columns),
        "labels.table": Change("labels_2.csv", names),
        "labels.id": Change("id2", names),
        "labels.label": Change("location2", names),
        "labels.separator": Change(",", names),
        "labels.evidence": Change("evidence", names, {f"{section}.labels.positive": ["EXP"]}),
        "labels.others": Change("unknown", names),
        "uniprot.query": Change("kinase", "uniprot", no_file),
        "uniprot.taxonomy": Change(9606, "uniprot", asked),
        "uniprot.reviewed": Change(None, "uniprot", asked),
        "uniprot.base_url": Change("http://localhost", "uniprot", asked),
        "uniprot.evidence": Change(["ECO:0000269", "ECO:0000305"], "uniprot"),
        "uniprot.go": Change(True, "uniprot"),
        "uniprot.go_evidence": Change(["EXP"], "uniprot", {f"{section}.uniprot.go": True}),
        "uniprot.mapping": Change("mapping.csv", "uniprot", {other: "mapping.csv"}),
    }
    return {f"{section}.{key}": change for key, change in values.items()}


# Values that the type of a key does not give, or that it has to have.
CHANGES: dict[str, Change] = {
    **of_data("dataset", "columns", "names"),
    **of_data("dataset.test", "columns of the test", "names"),
    "container": Change("docker://registry.example.org/halo"),
    "dataset.split": Change("partition"),
    "dataset.regions.table": Change("regions_2.csv", "regions"),
    "dataset.regions.id": Change("id2", "regions"),
    "dataset.regions.start": Change("start2", "regions"),
    "dataset.regions.end": Change("end2", "regions"),
    "dataset.regions.kind": Change("kind2", "regions"),
    "dataset.regions.kinds": Change(["SP"], "regions"),
    "dataset.regions.none": Change(["noTP"], "regions"),
    "dataset.regions.unknown": Change(["?"], "regions"),
    "dataset.regions.outside": Change("unknown", "regions"),
    "dataset.regions.letters": Change({"S": "SP"}, "regions"),
    "training.group_weight": Change(2.0, "groups"),
    "training.region_weight": Change(2.0, "regions"),
    "bundle": Change("given"),
    "embeddings.made_by": Change("other", "file"),
    "embeddings.model": Change("other.pt"),
    "embeddings.path": Change("other.h5", "file"),
    "embeddings.source": Change(
        "model",
        "file",
        {"embeddings.path": None, "embeddings.made_by": None, "embeddings.model": "model.pt"},
    ),
    "embeddings.sha256": Change("0" * 64),
    "evaluation.main": Change("majority"),
    "fasta": Change("other.fasta"),
    "finetune.model": Change("pretrained"),
    "finetune.projections": Change(["key"]),
    "folds": Change(["1"]),
    "methods": Change({**CONFIG["methods"], "other": {"class": "mean_embedding"}}),
    "network.heads": Change(2),
    "network.hidden": Change(64),
    "network.modalities": Change(["embedding"]),
    "pathvars": Change({"results": "results/elsewhere"}),
    "predict.embeddings": Change("other.h5", "file"),
    "predict.language_model": Change("other.pt"),
    "predict.structures": Change("models"),
    "release.folds": Change(["0"]),
    "release.all_proteins": Change(True),
    "release.licence": Change("names.csv"),
    "release.notes": Change("names.csv"),
    "release.method": Change("halo"),
    "release.seeds": Change([1]),
    "run": Change("other"),
    "seeds": Change([2]),
    "split.base": Change("base.csv"),
    "split.folds": Change(4),
    "split.fractions.cal": Change(0.1, "fractions", {"split.fractions.train": 0.65}),
    "split.fractions.test": Change(0.2, "fractions", {"split.fractions.train": 0.65}),
    "split.fractions.train": Change(0.65, "fractions", {"split.fractions.val": 0.15}),
    "split.fractions.val": Change(0.15, "fractions", {"split.fractions.train": 0.65}),
    "split.mode": Change("fractions"),
    "split.name": Change("other"),
    "split.repair": Change(True, "predefined"),
    "split.test": Change(["test", "dev"], "partitions"),
    "split.val": Change(["dev"], "partitions"),
    "structures.max_length": Change(1000),
    "structures.names": Change("others.csv"),
    "structures.sequences": Change("other.fasta"),
    "structures.sources": Change([{"kind": "afdb"}]),
    "variants": Change("names.csv"),
}


def write_inputs(folder: Path) -> None:
    """The files that the configurations name."""
    demo = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str)
    demo = demo[["id", "accession", "kingdom", *LABELS, "sequence"]]
    demo = demo.assign(
        id2=demo["id"], accession2=demo["accession"], sequence2=demo["sequence"], note="a",
        membrane="1",
        partition=[("train", "dev", "test")[row % 3] for row in range(len(demo))],
        number=[str(row % 3) for row in range(len(demo))],
    )  # fmt: skip
    (folder / "models").mkdir()
    for name, rows in {
        "proteins.csv": demo[:40], "other.csv": demo[:40], "test.csv": demo[40:60],
        "test_2.csv": demo[41:60],
    }.items():  # fmt: skip
        rows.to_csv(folder / name, index=False)
    for name in ("regions.csv", "regions_2.csv"):
        pd.DataFrame({"id": demo["id"][:40], "start": 1, "end": 9, "kind": "SP"}).to_csv(
            folder / name, index=False
        )
    names = pd.DataFrame({"id": demo["id"][:60], "id2": demo["id"][:60], "evidence": "EXP"})
    names["location"] = [LABELS[row % 2] for row in range(60)]
    names["location2"] = [LABELS[1 - row % 2] for row in range(60)]
    for name in ("labels.csv", "labels_2.csv"):
        names.to_csv(folder / name, index=False)
    base = pd.DataFrame({"id": demo["id"][:40], "group": demo["id"][:40]})
    base["fold"] = demo["number"][:40]
    for fold in ("0", "1", "2"):
        base[f"part_{fold}"] = [
            "test" if own == fold else ("train", "val", "cal")[row % 3]
            for row, own in enumerate(base["fold"])
        ]
    base.to_csv(folder / "base.csv", index=False)
    for name, start in (("uniprot.tsv", 0), ("uniprot_test.tsv", 40)):
        entries = pd.DataFrame({"Entry": [f"P{start + row:05d}" for row in range(40)]})
        entries["Sequence"] = demo["sequence"][start : start + 40].to_list()
        place = "SUBCELLULAR LOCATION: Nucleus {ECO:0000269|PubMed:1}."
        entries["Subcellular location [CC]"] = place
        entries["Gene Ontology (cellular component)"] = "nucleus [GO:0005634]"
        entries.to_csv(folder / name, sep="\t", index=False)
    (folder / "mapping.csv").write_text("location,label\nNucleus,Core\n")
    for name in ("names.csv", "others.csv"):
        (folder / name).write_text("name,accession\nDEMO0001,P12345\n")
    for name in ("names.fasta", "other.fasta"):
        (folder / name).write_text(">P12345\nMKV\n")
    (folder / "models/AF-P12345-F1-model_v4.pdb").write_text("MODEL\n")
    for name in ("model.pt", "other.pt"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(f"{name}/data.pkl", pickle.dumps({}))
    for name, value in (("embeddings.h5", 1), ("other.h5", 2)):
        with h5py.File(folder / name, "w") as file:
            for own, text in zip(demo["id"][:40], demo["sequence"][:40], strict=True):
                file[own] = np.full((len(text), 2), value, np.float16)
    (folder / "given").mkdir()
    (folder / "given/bundle.json").write_text('{"language_model": {"name": "model"}}')


def keys(part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The keys of the configuration that have a value, and what the schema says of them."""
    root = schema_of(RunConfig)
    for name, below in part.get("properties", {}).items():
        below, path = resolved(below, root), f"{prefix}{name}"
        sections = [each for each in alternatives(below, root) if "properties" in each]
        if sections:
            yield from keys(sections[0], f"{path}.")
        else:
            yield path, below


def change_of(path: str, part: Mapping[str, Any]) -> Change:
    """A value of a key that is not its default."""
    if path in CHANGES:
        return CHANGES[path]
    default = part.get("default")
    for each in alternatives(part, schema_of(RunConfig)):
        if "enum" in each:
            return Change(next(value for value in each["enum"] if value != default))
        match each.get("type"):
            case "boolean":
                return Change(not default)
            case "integer":
                return Change((default or each.get("minimum", 1)) + 1)
            case "number":
                return Change(0.5 * default if default else each.get("maximum", 2.0) / 2)
            case "string":
                return Change(f"{default or ''}1")
    raise NotImplementedError(f"{path}: give another value in CHANGES")


CHANGE_OF = {path: change_of(path, part) for path, part in keys(schema_of(RunConfig))}


def nested(path: str, value: Any) -> dict[str, Any]:
    """A configuration of one key."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def rows(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """These keys and their lines of the table, each by a dry run; keys of one run after another."""
    wanted = set(paths)
    with tempfile.TemporaryDirectory() as name:
        for number, run in enumerate(RUNS):
            of_run = [path for path in CHANGE_OF if path in wanted and CHANGE_OF[path].run == run]
            if not of_run:
                continue
            folder, tools = Path(name, f"run{number}"), Path(name, f"tools{number}")
            folder.mkdir()
            tools.mkdir()
            write_inputs(folder)
            empty = EmptyRun(forks(), folder, tools, RUNS[run].config)
            empty.make(*TARGETS)
            for path in of_run:
                change = CHANGE_OF[path]
                outcome = empty.call(change.config(path), "--dry-run", "--", *TARGETS)
                assert outcome.status == 0, f"{path}: {change}\n{outcome.output}"
                rules = set(outcome.rules)
                assert rules <= {*PIPELINE, *TARGETS}, rules
                again = ", ".join(rule for rule in PIPELINE if rule in rules)
                yield path, f"| `{path}` | {change.beside} | {again or '–'} |"


def written() -> dict[str, str]:
    """The lines of the page by their keys."""
    text = PAGE.read_text(encoding="utf-8").split(HEADING + HEAD)[1]
    return {line.split("`")[1]: line for line in text.splitlines()}


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").split(HEADING)[0]
    lines: dict[str, str] = {}
    for key, line in rows(CHANGE_OF):
        print(line, flush=True)
        lines[key] = line
    close_forks()
    write_text(PAGE, before + HEADING + HEAD + "".join(f"{lines[key]}\n" for key in CHANGE_OF))
