"""The proteins to predict: a FASTA, a table, or a list of UniProt accessions."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.files import write_text
from halo.job import Progress, log
from halo.proteins.accessions import parse_accession
from halo.proteins.ingest import (
    DatasetSettings,
    Rejected,
    core_table,
    identity_faults,
    sequence_faults,
)
from halo.proteins.readers import LINE, read_records
from halo.structures.afdb import AlphaFoldDb
from halo.structures.settings import TransportSettings
from halo.structures.transport import Client, FetchError
from halo.text import open_text

ASKED_AT_ONCE = 200  # accessions whose sequences are asked for before they are written


@dataclass(frozen=True)
class Queries:
    """Proteins to predict, in the order of the input.

    Attributes
    ----------
    table
        The columns of `halo.proteins.table.CORE_COLUMNS` and ``line``.
    rejected
        Records that cannot be predicted, and why.
    """

    table: pd.DataFrame
    rejected: list[Rejected]


def read_queries(path: Path, transport: TransportSettings | None, known: Path) -> Queries:
    """Read and check the proteins of `path`; one that cannot be used is no reason to stop.

    Parameters
    ----------
    path : FASTA, CSV or TSV with the columns id and sequence (and accession), or a text with a
        UniProt accession a line; plain or gzipped
    transport : how AlphaFold DB is asked for the sequences of accessions; None: it must not be
    known : FASTA in which such sequences are kept, for a call that goes on later

    HaloError where the file as a whole cannot be used.
    """
    path = Path(path)
    rejected: list[Rejected] = []
    accessions = _accessions(path)
    if accessions:
        records, rejected = _with_sequences(path, accessions, transport, known)
    else:
        records = read_records(path)
    if records.empty and not rejected:
        raise HaloError(f"{path}: holds no protein; give a FASTA with at least one")
    columns = [name for name in records.columns if name != LINE]
    for wanted in ("id", "sequence"):
        if wanted not in columns:
            raise HaloError(
                f"{path}: no column {wanted!r}, it has {', '.join(columns)}; rename the column, "
                "or give a FASTA"
            )
    settings = DatasetSettings(accession="accession" if "accession" in columns else None)
    table = core_table(records, settings).reset_index(drop=True)
    faults = sequence_faults(table, settings) | identity_faults(table)
    for row, (reason, detail) in faults.items():
        entry = table.iloc[row]
        rejected.append(Rejected(entry["id"], int(entry[LINE]), reason, detail))
    rejected.sort(key=lambda record: record.line)
    good = table[~table.index.isin(list(faults))].reset_index(drop=True)
    for record in rejected[:20]:
        log.warning("%s: %s", path, explained(record))
    if good.empty:
        raise HaloError(
            f"{path}: none of {len(rejected):,} proteins can be predicted; the first: "
            f"{explained(rejected[0])}. Mend the file"
        )
    if rejected:
        log.warning("%s proteins are not predicted: see rejected.csv", f"{len(rejected):,}")
    return Queries(good, rejected)


def explained(record: Rejected) -> str:
    """One line on why a record is not predicted."""
    detail = f" ({record.detail})" if record.detail else ""
    return f"line {record.line}, {record.id!r}: {record.reason}{detail}"


def _accessions(path: Path) -> list[tuple[int, str]] | None:
    """Line and accession of each line, or None where the file is something else."""
    found = []
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text:
                    continue
                accession = parse_accession(text)
                if accession is None and not found:
                    return None
                found.append((number, str(accession) if accession else text))
    except HaloError:
        return None  # reading it as a table or FASTA says what is wrong
    return found or None


def _with_sequences(
    path: Path,
    accessions: list[tuple[int, str]],
    transport: TransportSettings | None,
    known: Path,
) -> tuple[pd.DataFrame, list[Rejected]]:
    """The records of a list of accessions; those without a sequence are rejected."""
    sequences = _read_known(known)
    missing = [
        text
        for _, text in accessions
        if text not in sequences and parse_accession(text) is not None
    ]
    if missing and transport is None and not known.exists():
        raise HaloError(
            f"{path}: a list of accessions, whose sequences AlphaFold DB would have to be asked "
            "for; leave out --no-download, or give a FASTA"
        )
    if missing and transport is not None:
        sequences |= _ask(missing, transport, sequences, known)
    found, rejected = [], []
    for line, text in accessions:
        if parse_accession(text) is None:
            rejected.append(Rejected(text, line, "no UniProt accession", "mend or remove the line"))
        elif not sequences.get(text):
            detail = "AlphaFold DB does not have it in one piece; give its sequence in a FASTA"
            rejected.append(Rejected(text, line, "no sequence", detail))
        else:
            found.append((text, sequences[text], line))
    table = pd.DataFrame(found, columns=["id", "sequence", LINE])
    return table.astype({"id": str, "sequence": str}), rejected


def _ask(
    accessions: Iterable[str], transport: TransportSettings, sequences: dict[str, str], known: Path
) -> dict[str, str]:
    """Sequences of accessions, written to `known` now and then; empty where there is none."""
    accessions = list(dict.fromkeys(accessions))
    found = dict(sequences)
    progress = Progress(len(accessions), "sequences")
    with closing(Client(transport)) as client, ThreadPoolExecutor(transport.concurrency) as pool:
        server = AlphaFoldDb(client)
        for start in range(0, len(accessions), ASKED_AT_ONCE):
            some = accessions[start : start + ASKED_AT_ONCE]
            try:
                texts = list(pool.map(server.sequence, some))
            except FetchError as error:
                raise HaloError(
                    f"{transport.base_url}: sequences of accessions cannot be asked for ({error}); "
                    "run again where there is internet (what was found is kept), or give a FASTA"
                ) from None
            found |= {name: text or "" for name, text in zip(some, texts, strict=True)}
            write_text(known, "".join(f">{name}\n{text}\n" for name, text in found.items() if text))
            progress.add(len(some))
    return found


def _read_known(known: Path) -> dict[str, str]:
    if not known.exists():
        return {}
    records = read_records(known)
    return dict(zip(records["id"], records["sequence"], strict=True))
