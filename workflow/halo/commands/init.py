"""``halo init``: a commented configuration for a user's table."""

import argparse
import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from halo.cli import given_path
from halo.commands.repository import packaged_file
from halo.commands.survey import SEPARATORS, Survey, survey
from halo.errors import HaloError
from halo.files import write_text
from halo.proteins.ingest import Rejected, ingest
from halo.proteins.labels import FEW
from halo.proteins.settings import DatasetSettings
from halo.proteins.table import Proteins
from halo.settings import RUN_NAME

log = logging.getLogger("halo.init")

DESCRIPTION = """\
Write a configuration for a table of labelled proteins, config.yaml, and the profile for a cluster
(slurm/profile.yaml) into a folder, which is made if it does not exist.

The table is read first: which columns hold ids, sequences, UniProt accessions and labels, how many
proteins each label has, and which records cannot be used. The comments of the configuration say
what was found; correct what is wrong.
"""
EPILOG = """\
Examples:
  halo init . --proteins mine.csv
  halo init project --proteins mine.fasta --labels labels.tsv
  halo init project --proteins mine.xlsx --id Name --label Compartment
"""
CONFIGURATION = "config.yaml"
DRY_RUN = "halo run -- --dry-run --quiet rules"
# Folders of profiles, in the repository and in the working folder.
PROFILES = {"slurm": "slurm", **{name: f"profiles/{name}" for name in ("kubernetes", "lsf", "pbs")}}
COMMENTS_AT = 34  # column at which comments begin
REASONS = 5  # of rejected records that are listed
ALL_SHOWN = 12  # values that a list in a comment shows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("folder", type=given_path, help="working folder of the runs")
    parser.add_argument(
        "--proteins", type=given_path, required=True, metavar="FILE",
        help="CSV, TSV, xlsx or FASTA, plain or compressed",
    )  # fmt: skip
    parser.add_argument(
        "--labels", type=given_path, metavar="FILE", help="a second table, if it has the labels"
    )
    parser.add_argument("--id", metavar="COLUMN", help="column of the ids (default: by its name)")
    parser.add_argument(
        "--sequence", metavar="COLUMN", help="column of the sequences (default: by its content)"
    )
    parser.add_argument(
        "--label", metavar="COLUMN",
        help="column with names of labels (default: columns of 0 and 1 or alike, or by its name)",
    )  # fmt: skip
    parser.add_argument(
        "--profile", choices=PROFILES, default="slurm", help="the cluster (default: slurm)"
    )
    parser.add_argument("--name", help="name of the run (default: that of the table)")


def job(arguments: argparse.Namespace) -> None:
    """Look at the table, write the configuration, and report what was found."""
    file = arguments.folder / CONFIGURATION
    if file.exists():
        raise HaloError(f"{file} exists; give another folder, or move the file away")
    surveyed = survey(
        arguments.proteins, arguments.labels, arguments.id, arguments.sequence, arguments.label
    )
    checked = check(surveyed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    name = arguments.name or run_name(arguments.proteins)
    write_text(file, configuration(name, arguments.folder, surveyed, checked))
    profile = PROFILES[arguments.profile]
    if not (arguments.folder / profile).exists():
        shutil.copytree(packaged_file(profile), arguments.folder / profile)
    for text in (*facts(surveyed), *checked.facts()):
        log.info("%s", text)
    if checked.fault:
        raise HaloError(f"{file} is written, but these data stop the run:\n{checked.fault}")
    log.info("%s is written; read its comments, then call there: %s", file, DRY_RUN)


@dataclass(frozen=True)
class Checked:
    """What the run would make of the table: proteins and rejected records, or a fault."""

    proteins: Proteins | None = None
    rejected: tuple[Rejected, ...] = ()
    fault: str = ""

    def facts(self) -> list[str]:
        """Sentences about the usable and the rejected records."""
        if self.proteins is None:
            return []
        lengths = self.proteins.table["length"]
        texts = [
            f"{len(self.proteins):,} proteins can be used, with {lengths.min():,} to "
            f"{lengths.max():,} residues (median {int(lengths.median()):,})"
        ]
        reasons = Counter(record.reason for record in self.rejected)
        for reason, count in reasons.most_common(REASONS):
            first = next(record for record in self.rejected if record.reason == reason)
            place = f"line {first.line}" if first.line else first.id
            texts.append(f"rejected, {reason}: {count:,} (the first: {place})")
        return texts


def check(surveyed: Survey) -> Checked:
    """Read the proteins as the run does."""
    section = dataset_section(surveyed)
    settings = DatasetSettings.from_config({"labels": {}, **section})
    table = surveyed.labels.table if surveyed.labels else None
    try:
        proteins, rejected = ingest(surveyed.path, table, settings)
    except HaloError as error:
        return Checked(fault=str(error))
    return Checked(proteins, tuple(rejected))


def dataset_section(surveyed: Survey) -> dict[str, Any]:
    """The section ``dataset`` of the configuration, without the files."""
    if surveyed.labels is None:
        return {"uniprot": {}}
    section: dict[str, Any] = {"id": surveyed.id, "sequence": surveyed.sequence, "labels": {}}
    if surveyed.accession:
        section["accession"] = surveyed.accession
    of_labels = surveyed.labels
    for key in ("columns", "id", "label", "separator", "positive", "negative"):
        if value := getattr(of_labels, key):
            section["labels"][key] = value
    return section


def facts(surveyed: Survey) -> list[str]:
    """Sentences about the columns of the table."""
    texts = [f"{surveyed.path}: {surveyed.records:,} records, ids in {surveyed.id!r}"]
    others = surveyed.records - surveyed.with_accession - surveyed.with_entry_name
    texts.append(
        f"{surveyed.with_accession:,} have a UniProt accession"
        + (f" (column {surveyed.accession!r})" if surveyed.accession else "")
        + f", {surveyed.with_entry_name:,} an entry name, {others:,} neither"
    )
    return texts


def run_name(path: Path) -> str:
    """A name for a run, from that of the table."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.name.split(".")[0]).strip("_-")
    return name if re.fullmatch(RUN_NAME, name) else "mine"


def configuration(name: str, folder: Path, surveyed: Survey, checked: Checked) -> str:
    """The text of the configuration."""
    lines = [
        *(f"# {text}." for text in (*facts(surveyed), *checked.facts())),
        *(f"# STOPS THE RUN: {text}" for text in checked.fault.splitlines()),
        f"# In this folder, `{DRY_RUN}` checks the file and counts the jobs.",
        "",
        _line(f"run: {_scalar(name)}", "results are written to results/<run>/"),
        "",
        "dataset:",
        *(_line(f"  {text}", comment) for text, comment in _dataset(folder, surveyed, checked)),
        "",
        "split:",
        _line("  mode: kfold", "no similar proteins in different folds"),
        _line("  folds: 5", "each of which is trained and tested once"),
        "",
        "structures:",
        _line("  sources:", "in the order of preference; [] for no structures"),
        _line("    - kind: afdb", "AlphaFold DB, by accession, entry name or sequence"),
        _line("    # - kind: folder", "or your own models: <id>.pdb, <accession>.cif.gz"),
        "    #   path: models",
        "",
        "embeddings:",
        _line("  model: esm2_t33_650M_UR50D", "downloaded once; without a GPU rather"),
        _line("", "esm2_t12_35M_UR50D, or a path to a checkpoint"),
        "",
        _line("device: auto", "cuda: an error where no GPU can be used"),
        _line("store: store", "a folder that several runs and users can share"),
        _line(
            f"shards: {_shards(surveyed.records)}", "jobs of a stage that works protein by protein"
        ),
    ]
    return "\n".join(lines) + "\n"


def _dataset(folder: Path, surveyed: Survey, checked: Checked) -> Iterator[tuple[str, str]]:
    """Lines of the section ``dataset``, each with its comment."""
    yield f"proteins: {_scalar(_path_from(folder, surveyed.path))}", ""
    if surveyed.labels is None:
        yield "uniprot: {}", "a table of UniProt: its experimental locations are the labels"
        return
    yield f"id: {_scalar(surveyed.id)}", ""
    if surveyed.accession:
        share = f"{surveyed.with_accession:,} of {surveyed.records:,} records"
        yield f"accession: {_scalar(surveyed.accession)}", f"UniProt accessions of {share}"
    yield f"sequence: {_scalar(surveyed.sequence)}", ""
    yield "labels:", ""
    if surveyed.labels.table and surveyed.labels.id:
        yield f"  table: {_scalar(_path_from(folder, surveyed.labels.table))}", ""
        yield f"  id: {_scalar(surveyed.labels.id)}", ""
    counts = _counts(checked.proteins)
    if surveyed.labels.label:
        yield f"  label: {_scalar(surveyed.labels.label)}", "a column with names of labels:"
        yield from (("", f"{label}: {_number(count)}") for label, count in counts.items())
        if surveyed.labels.separator:
            yield f"  separator: {_scalar(surveyed.labels.separator)}", "of several names in a cell"
        elif within := [s for s in SEPARATORS if any(s in label for label in counts)]:
            yield f"# separator: {_scalar(within[0])}", "if a cell has several names"
    else:
        yield "  columns:", "delete the lines of columns that are no labels"
        for label in surveyed.labels.columns:
            yield f"    - {_scalar(label)}", _number(counts.get(label))
        if surveyed.labels.positive:
            yield f"  positive: {_flow(surveyed.labels.positive)}", "values that mean 1"
        if surveyed.labels.negative:
            blank = "a blank means 0; delete this line if it means unknown"
            comment = blank if "" in surveyed.labels.negative else "values that mean 0"
            yield f"  negative: {_flow(surveyed.labels.negative)}", comment
    if _exclusive(checked.proteins):
        yield "# task: singlelabel", "each protein has one label; if labels exclude each other"
    if surveyed.others:
        yield (
            f"# annotations: {_flow(surveyed.others)}",
            "other columns, to keep for the evaluation",
        )
    if surveyed.partition:
        yield (
            f"# split: {_scalar(surveyed.partition)}",
            "partitions? for split.mode predefined",
        )


def _counts(proteins: Proteins | None) -> dict[str, int]:
    """Number of proteins of each label."""
    if proteins is None:
        return {}
    totals = proteins.labels.sum(axis=0, dtype=int).tolist()
    return dict(zip(proteins.label_names, totals, strict=True))


def _number(count: int | None) -> str:
    if count is None:
        return ""
    few = ": too few to train and to test" if count < FEW else ""
    return f"{count:,} proteins{few}"


def _exclusive(proteins: Proteins | None) -> bool:
    """Whether every protein has exactly one label."""
    return proteins is not None and bool((proteins.labels.sum(axis=1) == 1).all())


def _shards(records: int) -> int:
    """One shard for each thousand proteins, but at least two, and at most 64."""
    return max(2, min(64, round(records / 1000)))


def _path_from(folder: Path, path: Path) -> str:
    """A path as it is written in a configuration of `folder`."""
    target, base = path.resolve(), folder.resolve()
    return str(target.relative_to(base)) if target.is_relative_to(base) else str(target)


def _line(text: str, comment: str) -> str:
    return f"{text.ljust(COMMENTS_AT)}  # {comment}" if comment else text


def _scalar(value: str) -> str:
    """A text as a YAML scalar."""
    return yaml.safe_dump(value, allow_unicode=True, width=1 << 30).removesuffix("...\n").strip()


def _flow(values: Iterable[str]) -> str:
    """A list of texts in one line of YAML."""
    shown = list(values)[:ALL_SHOWN]
    return yaml.safe_dump(shown, default_flow_style=True, allow_unicode=True, width=1 << 30).strip()
