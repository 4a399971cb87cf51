"""Write predictions: finished chunks first, then the files of all chunks."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from halo import __version__
from halo.errors import HaloError
from halo.files import atomic_path, read_json, write_table, write_text
from halo.predict.explanation import Explanation, read_explanations, write_explanations
from halo.predict.folder import CSV_FILE, JSON_FILE, REJECTED_FILE, OutputFolder
from halo.proteins.ingest import Rejected, rejected_table

FORMAT = 4  # 4: thresholds of each protein, whose probabilities are not shifted to others
FORMAT_GROUPS = 5  # like 4, with further groups of labels
DECISION = ("labels", "set", "uncertainty", "decided_by", "homologue")  # of each group of labels


@dataclass(frozen=True)
class Chunk:
    """Predictions of the proteins of a chunk.

    Attributes
    ----------
    header
        Data common to all proteins: bundle, labels, thresholds.
    records
        One record for each protein; see ``predictions.schema.json``.
    rejected
        Proteins that could not be predicted.
    explanations
        Explanations of the proteins on the page, in the order of `records`; not read by
        `read_chunk`.
    """

    header: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]
    rejected: Sequence[Rejected]
    explanations: Sequence[Explanation] = ()


def write_chunk(file: Path, chunk: Chunk) -> None:
    """Write a finished chunk; it is finished if `file` exists."""
    if chunk.explanations:
        write_explanations(_beside(file), chunk.explanations)
    content = {
        "header": chunk.header,
        "records": chunk.records,
        "rejected": [asdict(record) for record in chunk.rejected],
    }
    write_text(file, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def read_chunk(file: Path) -> Chunk:
    """Read the file of `write_chunk`."""
    content = read_json(file)
    try:
        rejected = [Rejected(**record) for record in content["rejected"]]
        header, records = content["header"], content["records"]
        if not (isinstance(header, dict) and all(isinstance(one, dict) for one in records)):
            raise TypeError
        return Chunk(header, list(records), rejected)
    except (KeyError, TypeError):
        raise HaloError(f"{file}: damaged; delete it and run again") from None


def read_chunk_explanations(file: Path) -> Iterator[Explanation]:
    """The explanations of a chunk, one protein at a time."""
    if _beside(file).exists():
        yield from read_explanations(_beside(file))


def is_whole(file: Path, chunk: Chunk) -> bool:
    """Whether the explanations of a chunk exist."""
    explained = any(record["regions"] is not None for record in chunk.records)
    return not explained or _beside(file).exists()


def _beside(file: Path) -> Path:
    return file.with_suffix(".npz")


def write_predictions(
    out: OutputFolder, chunks: Sequence[Path], rejected: Sequence[Rejected]
) -> int:
    """Write all output files from the chunks, with one chunk in memory at a time.

    `rejected` are the records that were rejected when they were read. Returns the number of
    predicted proteins.
    """
    refused = list(rejected)
    counts = Counter(dict.fromkeys(("proteins", "similar", "not_similar", "far"), 0))
    for file in chunks:
        chunk = read_chunk(file)
        refused += chunk.rejected
        for record in chunk.records:
            counts["proteins"] += 1
            counts["similar"] += record["similar"] is True
            counts["not_similar"] += record["similar"] is False
            counts["far"] += record["far"] is True
    refused.sort(key=lambda record: record.line)
    write_table(out.claim(REJECTED_FILE), rejected_table(refused))
    common = read_chunk(chunks[0]).header
    header = {"format": format_of(common, FORMAT, FORMAT_GROUPS), "halo": __version__, **common}
    header["counts"] = dict(counts)
    sections = {"proteins": _records(chunks), "not_predicted": map(asdict, refused)}
    write_sections(out.claim(JSON_FILE), header, sections)
    return _write_csv(out.claim(CSV_FILE), header, chunks)


def format_of(header: Mapping[str, Any], plain: int, grouped: int) -> int:
    """Format of a file with this header: `grouped` if it has further groups of labels."""
    return grouped if header.get("groups") else plain


def table_of(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as the table of ``predictions.csv``."""
    rows = [_row(header, record) for record in records]
    return pd.DataFrame(rows, columns=_columns(header))


def _records(chunks: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for file in chunks:
        yield from read_chunk(file).records


def write_sections(
    file: Path, header: Mapping[str, Any], sections: Mapping[str, Iterable[Any]]
) -> None:
    """Write JSON: the keys of `header`, then lists by name.

    Each key and each entry of a list is a line, so that large files can be viewed.
    """

    def line(content: Any) -> str:
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write("{\n" + "".join(f" {line(k)}: {line(v)},\n" for k, v in header.items()))
        for number, (name, entries) in enumerate(sections.items()):
            out.write((",\n" if number else "") + f" {line(name)}: [")
            separator = "\n  "
            for entry in entries:
                out.write(separator + line(entry))
                separator = ",\n  "
            out.write("\n ]")
        out.write("\n}\n")


def _write_csv(file: Path, header: Mapping[str, Any], chunks: Sequence[Path]) -> int:
    count = 0
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, _columns(header), lineterminator="\n")
        writer.writeheader()
        for record in _records(chunks):
            writer.writerow(_row(header, record))
            count += 1
    return count


def _columns(header: Mapping[str, Any]) -> list[str]:
    return [
        *("id", *DECISION),
        *(f"{name}:{group}" for group in header.get("groups", {}) for name in DECISION),
        *("structure", "structure_name", "structure_message"),
        *("nearest_training", "nearest_identity"),
        *("nearest_query_coverage", "nearest_training_coverage", "similar", "far", "remarks"),
        *("weight_embedding", "weight_structure", "weight_biochemistry", "predicted_regions"),
        *(f"p:{label}" for label in header["labels"]),
        *(f"threshold:{label}" for label in header["labels"]),
        *("halo", "bundle"),
    ]


def regions_text(regions: Sequence[Mapping[str, Any]] | None) -> str:
    """Predicted regions in one cell, such as ``signal peptide 1-23 (0.97)``."""
    return "; ".join(
        f"{region['kind']} {region['start']}-{region['end']} ({region['confidence']:.2f})"
        for region in regions or ()
    )


def _decision(content: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `DECISION` from a record, or its part of a further group of labels."""
    return {
        "labels": ";".join(content["labels"]),
        "set": ";".join(content["set"]) if content["set"] is not None else "",
        "uncertainty": content["uncertainty"],
        "decided_by": content["decided_by"],
        "homologue": content["homologue"] or "",
    }


def _truth(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def _row(header: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a row of the table; unknown values are empty."""
    near = record["nearest_training"] or {}
    bundle = header["bundle"]
    return {
        "id": record["id"],
        **_decision(record),
        **{
            f"{name}:{group}": value
            for group, decision in record.get("groups", {}).items()
            for name, value in _decision(decision).items()
        },
        "structure": record["structure"]["status"],
        "structure_name": record["structure"]["name"],
        "structure_message": record["structure"]["message"],
        "nearest_training": near.get("id", ""),
        "nearest_identity": near.get("identity", ""),
        "nearest_query_coverage": near.get("query_coverage", ""),
        "nearest_training_coverage": near.get("training_coverage", ""),
        **{name: _truth(record[name]) for name in ("similar", "far")},
        "remarks": "; ".join(record["remarks"]),
        "predicted_regions": regions_text(record["predicted_regions"]),
        **{f"weight_{k}": v for k, v in (record["modality_weights"] or {}).items()},
        **{f"p:{label}": value for label, value in record["probabilities"].items()},
        **{f"threshold:{label}": value for label, value in record["thresholds"].items()},
        "halo": __version__,
        "bundle": f"{bundle['name']} {bundle['version']} {bundle['sha256'][:12]}",
    }
