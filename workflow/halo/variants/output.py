"""Write the tables and the JSON of variants."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from halo import __version__
from halo.files import atomic_path

FORMAT = 1
FORMAT_GROUPS = 2  # like 1, with further groups of labels
BY_LABEL = ("p", "wildtype", "difference", "low", "high", "p_value")


def columns(labels: Iterable[str]) -> list[str]:
    """Columns of the tables."""
    return [
        *("id", "protein", "variant", "hgvs", "line", "position", "changed", "length"),
        *(
            "structure",
            "regions",
            "predicted_regions",
            "labels_wildtype",
            "labels",
            "gained",
            "lost",
        ),
        *("largest", "largest_difference", "p_value"),
        *(f"{kind}:{label}" for kind in BY_LABEL for label in labels),
        *("halo", "bundle"),
    ]


def row(header: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a variant as a row of the table; unknown values are empty."""
    bundle, labels = header["bundle"], header["labels"]
    lows, highs = record["interval"] or {}, record["p_values"] or {}
    by_label = {
        "p": record["probabilities"],
        "wildtype": record["wildtype"],
        "difference": record["difference"],
        "low": {label: bounds[0] for label, bounds in lows.items()},
        "high": {label: bounds[1] for label, bounds in lows.items()},
        "p_value": highs,
    }
    return {
        **{name: record[name] for name in ("id", "protein", "variant", "hgvs", "line")},
        **{name: record[name] for name in ("position", "changed", "length", "structure")},
        "regions": _ranges(record["regions"], "label"),
        "predicted_regions": _ranges(record["predicted_regions"], "kind"),
        **{
            name: ";".join(record[name]) for name in ("labels_wildtype", "labels", "gained", "lost")
        },
        "largest": record["largest"],
        "largest_difference": record["difference"][record["largest"]],
        "p_value": "" if record["p_value"] is None else record["p_value"],
        **{
            f"{kind}:{label}": by_label[kind].get(label, "")
            for kind in BY_LABEL
            for label in labels
        },
        "halo": __version__,
        "bundle": f"{bundle['name']} {bundle['version']} {bundle['sha256'][:12]}",
    }


def _ranges(regions: Iterable[Mapping[str, Any]] | None, name: str) -> str:
    return ";".join(f"{one[name]} {one['start']}-{one['end']}" for one in regions or ())


def write_rows(file: Path, header: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as a CSV."""
    names = columns(header["labels"])
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerow(row(header, record))
