"""Member files: sequences of a run by bucket of the store."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from halo.files import write_json, write_text
from halo.store import BUCKETS, bucket_of

HEADER = ("seq_hash", "accession", "sequence")
SEPARATORS = set(";\t\r\n")  # ids with one of these are not used to look up structures


@dataclass(frozen=True)
class Member:
    """A distinct sequence of a run, with the names by which its structure is looked up.

    `accessions` are the UniProt accessions of its records, then their ids.
    """

    seq_hash: str
    accessions: tuple[str, ...]
    sequence: str


def members_of(table: pd.DataFrame) -> dict[str, list[Member]]:
    """The distinct sequences of `table` by bucket, sorted by hash.

    `table` has the columns of `halo.proteins.table.CORE_COLUMNS`. The result does not depend on
    the order of its records.
    """
    members: dict[str, list[Member]] = {}
    for seq_hash, rows in table.sort_values(["seq_hash", "id"]).groupby("seq_hash"):
        names = (*sorted(rows["accession"]), *sorted(rows["id"]))
        accessions = dict.fromkeys(name for name in names if name and not SEPARATORS & set(name))
        member = Member(seq_hash, tuple(accessions), rows["sequence"].iat[0])
        members.setdefault(bucket_of(seq_hash), []).append(member)
    return members


def write_members(directory: Path, digests: Path, table: pd.DataFrame) -> None:
    """Write one file per bucket, ``<bucket>.tsv``, and the digest of each to `digests`.

    `table` is as for `members_of`. A digest changes if and only if the members of its bucket do.
    """
    members = members_of(table)
    lines = {
        bucket: [
            "\t".join((member.seq_hash, ";".join(member.accessions), member.sequence))
            for member in members.get(bucket, ())
        ]
        for bucket in BUCKETS
    }
    contents = {bucket: "\n".join(("\t".join(HEADER), *rows, "")) for bucket, rows in lines.items()}
    for bucket, content in contents.items():
        write_text(Path(directory) / f"{bucket}.tsv", content)
    write_json(
        digests,
        {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in contents.items()},
    )


def read_hashes(directory: Path, buckets: Iterable[str]) -> set[str]:
    """Sequence hashes of the members of `buckets`, without reading their sequences."""
    hashes: set[str] = set()
    for bucket in buckets:
        with (Path(directory) / f"{bucket}.tsv").open(encoding="utf-8", newline="\n") as file:
            next(file)
            hashes.update(line.partition("\t")[0] for line in file)
    return hashes


def read_names(directory: Path) -> set[str]:
    """Ids and accessions of the members of all buckets."""
    names: set[str] = set()
    for path in Path(directory).glob("*.tsv"):
        with path.open(encoding="utf-8", newline="\n") as file:
            next(file)
            for line in file:
                names.update(filter(None, line.split("\t")[1].split(";")))
    return names


def read_members(directory: Path, buckets: Iterable[str]) -> dict[str, list[Member]]:
    """Members of each of `buckets`, sorted by hash."""
    members = {}
    for bucket in buckets:
        with (Path(directory) / f"{bucket}.tsv").open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            members[bucket] = [
                Member(
                    row["seq_hash"],
                    tuple(filter(None, row["accession"].split(";"))),
                    row["sequence"],
                )
                for row in rows
            ]
    return members
