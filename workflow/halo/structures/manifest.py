"""The manifest: results of the structure searches of all proteins."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from halo.errors import HaloError
from halo.files import read_text_table, write_table
from halo.proteins.table import Proteins
from halo.structures.layout import STATUSES, Note
from halo.structures.settings import StructureSettings
from halo.structures.unused import unused_files

log = logging.getLogger(__name__)

COLUMNS = (
    "status",
    "resolved",
    "source",
    "version",
    "sha256",
    "n_residues",
    "mean_plddt",
    "accession",
    "message",
)


def write_part(file: Path, notes: Mapping[str, Note]) -> None:
    """Write the manifest of some sequences, one row each, sorted by hash."""
    rows = [
        {"seq_hash": name} | {column: getattr(notes[name], column) for column in COLUMNS}
        for name in sorted(notes)
    ]
    write_table(file, pd.DataFrame(rows, columns=["seq_hash", *COLUMNS]))


def merge_parts(parts: Iterable[Path], proteins: pd.DataFrame) -> pd.DataFrame:
    """One row per record of `proteins` (id, seq_hash), in its order.

    HaloError if a sequence is in no part.
    """
    tables = [read_text_table(part) for part in parts]
    notes = pd.concat(tables).drop_duplicates("seq_hash")
    manifest = proteins[["id", "seq_hash"]].merge(notes, on="seq_hash", how="left")
    lost = manifest["status"].isna()
    if lost.any():
        raise HaloError(
            f"{lost.sum():,} proteins are in no part of the structures' manifest, the first is "
            f"{manifest.loc[lost, 'id'].iat[0]!r}; delete the results' folder structures and "
            "run again"
        )
    return manifest.drop(columns="seq_hash")


def summary_table(manifest: pd.DataFrame) -> str:
    """Number and share of the records by status and source, as text."""
    lines = [f"{'status':<10} {'source':<10} {'records':>9} {'share':>7} {'mean pLDDT':>11}"]
    plddt = pd.to_numeric(manifest["mean_plddt"], errors="coerce")
    for (status, source), rows in manifest.groupby(["status", "source"]).groups.items():
        mean = plddt[rows].mean()
        lines.append(
            f"{status:<10} {source or '-':<10} {len(rows):>9,} {len(rows) / len(manifest):>7.1%} "
            + (f"{mean:>11.1f}" if mean == mean else f"{'-':>11}")
        )
    return "\n".join([lines[0], *sorted(lines[1:], key=_status_order)])


def _status_order(line: str) -> int:
    return STATUSES.index(line.split()[0])


def join_manifest(
    parts: Sequence[Path],
    proteins: Proteins,
    settings: StructureSettings,
    manifest: Path,
    cache: Path | None = None,
) -> None:
    """Write the manifest of all records, and log how many have a structure.

    With a `cache` for the indexes of archives, files of the sources that belong to no protein are
    logged, too.
    """
    table = merge_parts(parts, proteins.table)
    write_table(manifest, table)
    for line in summary_table(table).splitlines():
        log.info("%s", line)
    if cache is None:
        return
    names = {*proteins.table["id"], *proteins.table["accession"], *table["accession"]} - {""}
    try:
        for line in unused_files(settings.sources, names, cache):
            log.info("%s", line)
    except (HaloError, OSError) as error:  # the structures are found; their source may be gone
        log.warning("%s", error)
