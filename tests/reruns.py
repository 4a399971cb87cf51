"""The table of docs/reruns.md: which rules run again when one key of the configuration changes.

python tests/reruns.py        writes it
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dry_runs import EmptyRun, Forks
from halo.config import merged
from halo.config.model import RunConfig
from halo.config.schema import alternatives, resolved, schema_of
from halo.files import write_text
from pipeline import ROOT

PAGE = ROOT / "docs/reruns.md"
HEADING = "## Every key\n\n"
TARGETS = ("all", "bundle")
PIPELINE = (
    "ingest", "split", "structures", "structures_manifest", "language_model", "finetune",
    "embeddings", "join_embeddings", "graphs", "join_graphs", "train", "esm", "baseline",
    "join_methods", "evaluate", "provenance", "report", "bundle",
)  # fmt: skip
# A run in which every section has a part.
CONFIG: dict[str, Any] = {
    "run": "small",
    "shards": 1,
    "folds": ["0"],
    "dataset": {
        "proteins": "proteins.csv",
        "accession": "accession",
        "annotations": ["kingdom"],
    },
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
# Values that the type of a key does not give, or that it has to have.
VALUES: dict[str, Any] = {
    "dataset.labels.columns": ["Nucleus", "Cytoplasm"],
    "dataset.proteins": "other.csv",
    "dataset.sample": 30,
    "dataset.split": "kingdom",
    "embeddings.model": "other.pt",
    "embeddings.sha256": "0" * 64,
    "evaluation.main": "majority",
    "fasta": "names.fasta",
    "folds": ["1"],
    "methods": {**CONFIG["methods"], "other": {"class": "mean_embedding"}},
    "release.folds": ["0"],
    "release.licence": "names.csv",
    "release.method": "halo",
    "release.seeds": [1],
    "seeds": [2],
    "split.base": "names.csv",
    "structures.names": "other.csv",
    "structures.sequences": "other.fasta",
    "structures.sources": [{"kind": "afdb"}],
}
# Keys that need others, or whose change is another run.
LEFT_OUT = (
    "run", "pathvars", "bundle", "dataset.id", "dataset.accession", "dataset.annotations",
    "dataset.registry", "dataset.url", "dataset.sha256", "dataset.test", "dataset.uniprot",
    "dataset.labels.table", "dataset.labels.id", "dataset.labels.label", "dataset.sequence",
    "split.mode", "split.name", "split.repair", "split.test", "split.folds", "finetune.model",
    "predict.language_model", "predict.structures",
)  # fmt: skip


def write_inputs(folder: Path) -> None:
    """The files that the configuration names."""
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str).head(40)
    for name in ("proteins.csv", "other.csv"):
        table.to_csv(folder / name, index=False)
    (folder / "names.csv").write_text("name,accession\nDEMO0001,P12345\n")
    for name in ("names.fasta", "other.fasta"):
        (folder / name).write_text(">P12345\nMKV\n")
    (folder / "models").mkdir()
    (folder / "models/AF-P12345-F1-model_v4.pdb").write_text("MODEL\n")
    for name in ("model.pt", "other.pt"):
        (folder / name).write_bytes(b"weights")


def keys(part: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The keys of the configuration that have a value, and what the schema says of them."""
    root = schema_of(RunConfig)
    for name, below in part.get("properties", {}).items():
        below, path = resolved(below, root), f"{prefix}{name}"
        if path in LEFT_OUT or (path.startswith("dataset.labels.") and path not in VALUES):
            continue
        if "properties" in below and path not in VALUES:
            yield from keys(below, f"{path}.")
        else:
            yield path, below


def other_value(path: str, part: Mapping[str, Any]) -> Any:
    """A value of a key that is not its default; None where only other keys make one."""
    if path in VALUES:
        return VALUES[path]
    default = part.get("default")
    for each in alternatives(part, schema_of(RunConfig)):
        if "enum" in each:
            return next(value for value in each["enum"] if value != default)
        match each.get("type"):
            case "boolean":
                return not default
            case "integer":
                return (default or each.get("minimum", 1)) + 1
            case "number":
                return 0.5 * default if default else each.get("maximum", 2.0) / 2
            case "string":
                return f"{default or ''}1"
    return None


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def table() -> str:
    """The table, in Markdown, by a dry run for each key."""
    with tempfile.TemporaryDirectory() as name, Forks() as forks:
        folder, tools = Path(name, "run"), Path(name, "tools")
        folder.mkdir()
        tools.mkdir()
        write_inputs(folder)
        run = EmptyRun(forks, folder, tools, CONFIG)
        run.make(*TARGETS)
        lines = ["| key | jobs that run again |", "|---|---|"]
        for path, part in keys(schema_of(RunConfig)):
            value = other_value(path, part)
            outcome = run.call(merged(CONFIG, nested(path, value)), "--dry-run", "--", *TARGETS)
            if value is None or outcome.status:
                lines.append(f"| `{path}` | *not tried: it needs other keys* |")
                continue
            found = set(outcome.rules)
            again = ", ".join(rule for rule in PIPELINE if rule in found)
            lines.append(f"| `{path}` | {again or '–'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_text(PAGE, PAGE.read_text(encoding="utf-8").split(HEADING)[0] + HEADING + table())
