"""Read the proteins to predict: a FASTA, a table, or a list of UniProt accessions."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from halo.cli import Progress, log
from halo.errors import HaloError
from halo.files import write_text
from halo.predict.accession_list import HEADERS, SEQUENCES, Entry, accession_of, find_list
from halo.proteins.genes import COLUMNS, names_of
from halo.proteins.ingest import (
    DatasetSettings,
    Rejected,
    core_table,
    identity_faults,
    sequence_faults,
)
from halo.structures.afdb import AlphaFoldDb
from halo.structures.settings import TransportSettings
from halo.structures.transport import Client, FetchError
from halo.tables.fasta import read_fasta
from halo.tables.formats import refuse_other_formats
from halo.tables.readers import DESCRIPTION, FASTA, LINE, LOOKED_AT, read_records
from halo.tables.workbook import is_workbook
from halo.text import open_text

STANDARD_INPUT = Path("-")
ASKED_AT_ONCE = 200  # accessions whose sequences are downloaded before they are written to disk
IDS = ("id", *HEADERS)  # possible names of the column of ids
RECORD = ["id", "accession", "sequence", LINE]


@dataclass(frozen=True)
class Queries:
    """Proteins to predict, in the order of the input.

    Attributes
    ----------
    table
        The columns of `halo.proteins.table.CORE_COLUMNS` and `LINE`.
    rejected
        Records that cannot be predicted, with reasons.
    records
        The columns `RECORD` of all records, those of `table` and of `rejected`. Accessions without
        a sequence have "".
    genes
        Names by id of all records, see `halo.proteins.genes.names_of`; empty unless they were asked
        for.
    """

    table: pd.DataFrame
    rejected: list[Rejected]
    records: pd.DataFrame
    genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class KnownSequences:
    """File with downloaded sequences of accessions, from which a call can be resumed.

    `file` is read; `claim` returns the path for writing.
    """

    def __init__(self, file: Path, claim: Callable[[], Path] | None = None) -> None:
        self.file, self._claim = file, claim or (lambda: file)

    def read(self) -> dict[str, str]:
        """Known sequences by accession."""
        if not self.file.exists():
            return {}
        return {record.id: record.sequence for record in read_fasta(self.file)}

    def write(self, sequences: dict[str, str]) -> None:
        """Write the sequences that are not empty."""
        records = (f">{name}\n{text}\n" for name, text in sequences.items() if text)
        write_text(self._claim(), "".join(records))


def read_queries(
    path: Path,
    transport: TransportSettings | None,
    known: KnownSequences,
    max_length: int = DatasetSettings.max_length,
    with_genes: bool = False,
    listed_in: str = "rejected.csv",
) -> Queries:
    """Read and check the proteins of `path`.

    Parameters
    ----------
    path : file for `halo.proteins.readers.read_records` with the columns id and sequence (and
        accession), or a list of accessions (see `halo.predict.accession_list`); ``-`` is the
        standard input; pipes are supported
    transport : settings for downloading sequences of accessions from AlphaFold DB; None to forbid
        it
    known : file of downloaded sequences
    max_length : longer proteins are rejected (residues)
    with_genes : whether to return names of genes and transcripts
    listed_in : file that will list the rejected records, for messages

    Raises
    ------
    HaloError
        if the whole file cannot be used; single unusable proteins are rejected
    """
    with regular_file(Path(path)) as file:
        queries = _read_queries(file, transport, known, max_length, with_genes)
    if queries.rejected:
        count = f"{len(queries.rejected):,}"
        log.warning("%s proteins are not predicted: see %s", count, listed_in)
    return queries


@contextmanager
def regular_file(path: Path) -> Iterator[Path]:
    """`path`, or a copy of the content of a pipe or the standard input, to be read repeatedly."""
    if path != STANDARD_INPUT and (not path.exists() or path.is_file() or path.is_dir()):
        yield path
        return
    name = "standard input" if path == STANDARD_INPUT else str(path)
    with TemporaryDirectory(prefix="halo.") as folder:
        copy = Path(folder) / "standard input"
        with copy.open("wb") as target:
            if path == STANDARD_INPUT:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, target)
        try:
            yield copy
        except HaloError as error:
            raise HaloError(str(error).replace(str(copy), name)) from None


def _read_queries(
    path: Path,
    transport: TransportSettings | None,
    known: KnownSequences,
    max_length: int,
    with_genes: bool,
) -> Queries:
    records, listed = _records(path, transport, known)
    columns = [name for name in records.columns if name != LINE]
    settings = DatasetSettings(
        id=_column(path, columns, IDS),
        sequence=_column(path, columns, SEQUENCES),
        accession=None if records.attrs.get(FASTA) else _first(columns, ("accession",)),
        max_length=max_length,
    )
    table = core_table(records, settings).reset_index(drop=True)
    faults = sequence_faults(table, settings, "--max-length") | identity_faults(table)
    rejected = list(listed)
    for row, (reason, detail) in faults.items():
        entry = table.iloc[row]
        rejected.append(Rejected(entry["id"], int(entry[LINE]), reason, detail))
    rejected.sort(key=lambda record: record.line)
    good = table[~table.index.isin(list(faults))].reset_index(drop=True)
    for record in rejected[:20]:
        log.warning("%s: %s", path.name, explained(record))
    if good.empty and not rejected:
        raise HaloError(f"{path}: contains no protein; give a FASTA with at least one")
    if good.empty:
        raise HaloError(
            f"{path}: none of {len(rejected):,} proteins can be predicted; the first: "
            f"{explained(rejected[0])}. Correct the file"
        )
    others = [(one.id, "", "", one.line) for one in listed]
    everything = pd.concat([table[RECORD], pd.DataFrame(others, columns=RECORD)])
    genes = _genes(records, table["id"].tolist()) if with_genes else {}
    return Queries(good, rejected, everything, genes)


def _genes(records: pd.DataFrame, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names of the first record of each id; see `halo.proteins.genes.names_of`."""
    is_fasta = bool(records.attrs.get(FASTA))
    descriptions = records[DESCRIPTION].tolist() if is_fasta else [""] * len(ids)
    columns = [
        name for name in records.columns if name.strip().lower().replace(" ", "_") in COLUMNS
    ]
    cells = records[[] if is_fasta else columns].to_numpy().tolist()
    rows = zip(ids, descriptions, cells, strict=True)
    return {name: names_of(name, text, some) for name, text, some in reversed([*rows])}


def _records(
    path: Path, transport: TransportSettings | None, known: KnownSequences
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Id, sequence and line of each record, and the rejected entries of a list."""
    if not is_workbook(path):
        with open_text(path) as file:
            lines = file.readlines()
        refuse_other_formats(path, lines[:LOOKED_AT])
        entries = find_list(path, lines)
        if entries is not None:
            return _with_sequences(path, entries, transport, known)
    records = read_records(path)
    columns = [name for name in records.columns if name != LINE]
    accessions = _first(columns, HEADERS)
    if accessions is None or _first(columns, SEQUENCES) is not None:
        return records, []
    pairs = zip(records[LINE], records[accessions], strict=True)
    entries = [Entry(int(line), text, accession_of(text)) for line, text in pairs]
    column = _first(columns, ("id",))
    ids = records[column].tolist() if column is not None else None
    return _with_sequences(path, entries, transport, known, ids)


def _first(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column with the first existing name of `names`, ignoring case."""
    known = {column.strip().lower(): column for column in reversed(columns)}
    return next((known[name] for name in names if name in known), None)


def _column(path: Path, columns: Sequence[str], names: Sequence[str]) -> str:
    column = _first(columns, names)
    if column is None:
        raise HaloError(
            f"{path}: no column {names[0]!r}, it has {', '.join(columns)}; rename the column, "
            "or give a FASTA"
        )
    return column


def explained(record: Rejected) -> str:
    """One line about why a record is rejected."""
    detail = f" ({record.detail})" if record.detail else ""
    return f"line {record.line}, {record.id!r}: {record.reason}{detail}"


def _with_sequences(
    path: Path,
    entries: Sequence[Entry],
    transport: TransportSettings | None,
    known: KnownSequences,
    ids: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, list[Rejected]]:
    """The records of a list of accessions; those without a sequence are rejected.

    `ids` are those of a table; a protein without one is called by its accession.
    """
    sequences = known.read()
    wanted = dict.fromkeys(entry.accession for entry in entries if entry.accession)
    missing = [name for name in wanted if name not in sequences]
    if missing and transport is None and not known.file.exists():
        raise HaloError(
            f"{path}: a list of accessions, whose sequences have to be downloaded from AlphaFold "
            "DB; remove --no-download, or give a FASTA"
        )
    if missing and transport is not None:
        sequences = _ask(missing, transport, sequences, known)
    usable, rejected = [], []
    for entry, given in zip(entries, ids or [""] * len(entries), strict=True):
        name = given or entry.accession or entry.text
        if not entry.accession:
            rejected.append(Rejected(name, entry.line, *entry.fault))
        elif not sequences.get(entry.accession):
            rejected.append(Rejected(name, entry.line, "no sequence", _absent(transport)))
        else:
            usable.append((name, entry.accession, sequences[entry.accession], entry.line))
    table = pd.DataFrame(usable, columns=RECORD)
    return table.astype({"id": str, "accession": str, "sequence": str}), rejected


def _absent(transport: TransportSettings | None) -> str:
    """Why an accession has no sequence, and the fix."""
    if transport is None:  # those that AlphaFold DB does not have are not in the file, either
        return (
            "its sequence is not among the downloaded ones, and this call downloads none; repeat "
            "it with downloads, or give the sequence in a FASTA"
        )
    return "AlphaFold DB does not have it in one piece; give its sequence in a FASTA"


def _ask(
    accessions: Iterable[str],
    transport: TransportSettings,
    sequences: dict[str, str],
    known: KnownSequences,
) -> dict[str, str]:
    """Download sequences of accessions, and save them regularly; empty if there is none."""
    accessions = list(accessions)
    downloaded = dict(sequences)
    progress = Progress(len(accessions), "sequences")
    with closing(Client(transport)) as client, ThreadPoolExecutor(transport.concurrency) as pool:
        server = AlphaFoldDb(client)
        for start in range(0, len(accessions), ASKED_AT_ONCE):
            some = accessions[start : start + ASKED_AT_ONCE]
            try:
                texts = list(pool.map(server.sequence, some))
            except FetchError as error:
                raise HaloError(
                    f"{transport.base_url}: sequences of accessions cannot be downloaded ({error});"
                    " run again with internet access (downloads are kept), or give a FASTA"
                ) from None
            downloaded |= {name: text or "" for name, text in zip(some, texts, strict=True)}
            known.write(downloaded)
            progress.add(len(some))
    return downloaded
