"""The proteins that the offline language model learns from, and those kept away from it.

It learns from proteomes and from the training partitions of DeepLoc 2.0 and ProtGPS. The test
sets are DeepLoc 2.0's partition 4, the HPA set, and ProtGPS's dev and test. Whatever equals one
of their proteins, or is similar to one by the default rule of the split, is left out; so is what
is similar to a few validation proteins, by which the training is watched.
"""

import logging
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import read_json, sha256_of_file, write_json, write_table
from halo.split.alignment import align, pair_tasks, total_residues
from halo.split.audit_search import search
from halo.split.binary import mmseqs_version
from halo.split.settings import Rule
from halo.tables.readers import read_records

log = logging.getLogger("halo.pretrain")

TEST, VALIDATION, TRAINING = "test", "validation", "training"
SENSITIVITY = 5.7  # MMseqs2's -s, as the split's
# An E-value grows with the database that is searched. Ten times the default rule's 1e-3, because
# the proteins to learn from hold ten times the residues of the test sets: so a pair is also found
# if it is similar when searched the other way round.
RULE = Rule(evalue=1e-2)
VALIDATION_PROTEINS = 400
LONGEST_VALIDATED = 1022  # residues that ESM-2 takes at once
NO_RESIDUE = re.compile("[^A-Z]")


@dataclass(frozen=True)
class Table:
    """A labelled data set.

    Attributes
    ----------
    file : below the folder of data
    sequence : column of the sequences
    partition : column of the authors' partitions, or None
    test : the partitions that are test sets; None for all
    """

    file: str
    sequence: str
    partition: str | None
    test: tuple[str, ...] | None


TABLES = {
    "DeepLoc 2.0": Table(
        "deeploc2/Swissprot_Train_Validation_dataset.csv.gz", "Sequence", "Partition", ("4",)
    ),
    "HPA": Table("hpa/hpa_testset.csv.gz", "fasta", None, None),
    "ProtGPS": Table("protgps/protgps_dataset.csv.gz", "sequence", "split", ("dev", "test")),
}
PROTEOMES = "proteomes/*.fasta.gz"


def make_corpus(data: Path, folder: Path, threads: int) -> pd.DataFrame:
    """The proteins to train, validate and test with, from `folder` where they are there.

    Returns
    -------
    Columns ``part`` (training, validation or test), ``source``, ``labelled`` (whether it is from
    a labelled data set) and ``sequence``; no sequence twice. ``corpus.json`` beside the table
    holds the counts.
    """
    table, description = folder / "corpus.csv", folder / "corpus.json"
    inputs = _inputs(data)
    if table.exists() and description.exists() and read_json(description)["inputs"] == inputs:
        return pd.read_csv(table, keep_default_na=False)
    folder.mkdir(parents=True, exist_ok=True)
    records = read_data(data)
    corpus = choose(records, threads, folder)
    write_table(table, corpus)
    summary = counts(records, corpus)
    log.info("proteins by source and part:\n%s", summary.to_string())
    write_json(description, {"inputs": inputs, "counts": summary.to_dict("index")})
    return corpus


def _inputs(data: Path) -> dict[str, Any]:
    files = [data / table.file for table in TABLES.values()] + sorted(data.glob(PROTEOMES))
    missing = [file for file in files if not file.exists()]
    if missing:
        raise HaloError(f"{missing[0]}: there is no such file; --data names the folder of data")
    return {
        "sha256": {str(file.relative_to(data)): sha256_of_file(file) for file in files},
        "rule": asdict(RULE),
        "sensitivity": SENSITIVITY,
        "mmseqs": mmseqs_version(),
        "validation": VALIDATION_PROTEINS,
    }


def read_data(data: Path) -> pd.DataFrame:
    """Every record: columns ``source``, ``labelled``, ``test`` (bool) and ``sequence``."""
    records = []
    for name, table in TABLES.items():
        rows = read_records(data / table.file)
        in_test = True if table.test is None else rows[table.partition].isin(table.test)
        records.append(_records(name, True, in_test, rows[table.sequence]))
    for file in sorted(data.glob(PROTEOMES)):
        name = file.name.split("-", 1)[1].removesuffix(".fasta.gz")
        records.append(_records(name, False, False, read_records(file)["sequence"]))
    return pd.concat(records, ignore_index=True)


def _records(source: str, labelled: bool, test: Any, sequences: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {"source": source, "labelled": labelled, "test": test, "sequence": sequences.str.strip()}
    )


def choose(
    records: pd.DataFrame,
    threads: int,
    scratch: Path,
    n_validation: int = VALIDATION_PROTEINS,
    seed: int = 1,
) -> pd.DataFrame:
    """Give each distinct sequence its part, and leave out what is similar to a held-out one.

    `records` and the result are as in `read_data` and `make_corpus`. Validation proteins are drawn
    from the labelled ones. A sequence with a character that stands for no residue is not trained
    on; as a test sequence it is searched with without that character.
    """
    records = distinct(records)
    odd = records["sequence"].str.contains(NO_RESIDUE)
    test, candidates = records[records["test"]], records[~records["test"] & ~odd]
    short = candidates["sequence"].str.len() <= LONGEST_VALIDATED
    validation = candidates[candidates["labelled"] & short].sample(n_validation, random_state=seed)
    candidates = candidates.drop(validation.index)
    held_out = pd.concat([test, validation])["sequence"].str.replace(NO_RESIDUE, "", regex=True)
    similar = similar_to(list(held_out), list(candidates["sequence"]), threads, scratch)
    parts = {TRAINING: candidates[~similar], VALIDATION: validation, TEST: test}
    named = [rows.assign(part=part) for part, rows in parts.items()]
    return pd.concat(named, ignore_index=True)[["part", "source", "labelled", "sequence"]]


def distinct(records: pd.DataFrame) -> pd.DataFrame:
    """One record of each sequence: of a test set if it is in one, else of the first source."""
    return records.sort_values("test", ascending=False, kind="stable").drop_duplicates("sequence")


def similar_to(
    queries: list[str], targets: list[str], threads: int, scratch: Path, rule: Rule = RULE
) -> np.ndarray:
    """Which of `targets` are similar to any of `queries`; bool [n_targets].

    Proposed by a search like that of the split's audit, decided by exact alignment.
    """
    sequences = np.array(queries + targets, dtype=object)
    log.info("searching %s proteins among %s", f"{len(queries):,}", f"{len(targets):,}")
    asked = np.arange(len(queries))
    pairs = search(sequences, asked, SENSITIVITY, threads, scratch)
    aligned = align(sequences, pair_tasks(pairs), rule, total_residues(sequences), threads)
    similar = np.zeros(len(sequences), dtype=bool)
    similar[aligned.loc[aligned["similar"], "b"]] = True
    return similar[len(queries) :]


def counts(records: pd.DataFrame, corpus: pd.DataFrame) -> pd.DataFrame:
    """What became of each source's records: proteins by part, and residues to train on."""
    parts = pd.crosstab(corpus["source"], corpus["part"])
    training = corpus[corpus["part"] == TRAINING]
    table = pd.DataFrame(
        {
            "records": records["source"].value_counts(),
            "distinct": distinct(records)["source"].value_counts(),
            **{part: parts.get(part) for part in (TEST, VALIDATION, TRAINING)},
            "training_residues": training["sequence"].str.len().groupby(training["source"]).sum(),
        }
    )
    table = table.reindex(records["source"].unique()).fillna(0).astype(int)
    placed = table[[TEST, VALIDATION, TRAINING]].sum(axis=1)
    table.insert(5, "left_out", table["distinct"] - placed)
    return table
