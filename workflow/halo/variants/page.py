"""The page of variants: one self-contained HTML file."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from halo import __version__
from halo.data_files import data_file
from halo.files import write_text
from halo.predict.page import templates, without_threshold
from halo.residues import STANDARD

WEB, STYLE = data_file("variants/web"), data_file("predict/web") / "page.css"
PAGE_VARIANTS = 1000  # of the input, on the page
PAGE_CELLS = 3_000_000  # of all heat maps, one for each label; a byte each
SIGNIFICANT = 0.05
DIGITS = 4
ANY = "del"  # the row of a heat map of deleted windows


@dataclass(frozen=True)
class ShownProtein:
    """A wild type on the page: its sequence and record, and those of its variants."""

    sequence: str
    record: Mapping[str, Any]
    listed: Sequence[Mapping[str, Any]]
    scanned: Sequence[Mapping[str, Any]]


def summarized(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Numbers of variants, and of variants with certain properties."""
    counts: Counter[str] = Counter()
    for record in records:
        counts["variants"] += 1
        counts["lost"] += bool(record["lost"])
        counts["gained"] += bool(record["gained"])
        counts["rare"] += record["p_value"] is not None and record["p_value"] <= SIGNIFICANT
    return counts


def write_page(
    file: Path,
    about: Mapping[str, Any],
    proteins: Sequence[ShownProtein],
    summary: Mapping[str, int],
) -> None:
    """Write the page; `about` is the header of ``variants.json``."""
    labels = about["labels"]
    shown, cells = [], 0
    for protein in proteins:
        cells += len(protein.scanned) * len(labels)
        scan = _heat_map(protein, about) if protein.scanned and cells <= PAGE_CELLS else None
        shown.append({**_wildtype(protein, labels), "scan": scan})
    data = {
        "labels": labels,
        "thresholds": [about["thresholds"][label] for label in labels],
        "exclusive": without_threshold(about),
        "proteins": shown,
        "random": about["random"],
    }
    text = (
        templates(WEB)
        .get_template("variants.html")
        .render(
            about=about,
            summary=summary,
            shown=sum(len(protein.listed) for protein in proteins),
            maps=sum(one["scan"] is not None for one in shown),
            halo=__version__,
            significant=SIGNIFICANT,
            style=STYLE.read_text(encoding="utf-8")
            + (WEB / "variants.css").read_text(encoding="utf-8"),
            script=(WEB / "variants.js").read_text(encoding="utf-8"),
            data=data,
        )
    )
    write_text(file, text)


def _wildtype(protein: ShownProtein, labels: Sequence[str]) -> dict[str, Any]:
    record = protein.record
    return {
        "id": record["id"],
        "sequence": protein.sequence if protein.scanned else "",
        "length": record["length"],
        "labels": record["labels"],
        "structure": record["structure"]["status"],
        "far": record["far"],
        "regions": record["regions"],
        "p": [round(record["probabilities"][label], DIGITS) for label in labels],
        "variants": [_variant(one, labels) for one in protein.listed],
    }


def _variant(record: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """A record with arrays in the order of the labels."""

    def numbers(values: Mapping[str, float] | None) -> list[float] | None:
        return None if values is None else [round(values[label], DIGITS) for label in labels]

    bounds = record["interval"]
    return {
        **{name: record[name] for name in ("id", "variant", "hgvs", "changed", "length")},
        **{name: record[name] for name in ("structure", "gained", "lost", "labels", "p_value")},
        "regions": record["regions"],
        "predicted": record["predicted_regions"],
        "largest": labels.index(record["largest"]),
        "p": numbers(record["probabilities"]),
        "difference": numbers(record["difference"]),
        "p_values": numbers(record["p_values"]),
        "interval": None
        if bounds is None
        else [[round(bound, DIGITS) for bound in bounds[label]] for label in labels],
    }


def _heat_map(protein: ShownProtein, about: Mapping[str, Any]) -> dict[str, Any]:
    """Differences of a scan, int8 [n_rows, length] for each label, as shares of the largest one.

    -128 is a residue that is not changed to this one.
    """
    kind = about["scan"]
    rows = list(STANDARD) if kind == "substitutions" else ["A/G"] if kind == "alanine" else [ANY]
    values = np.full((len(about["labels"]), len(rows), len(protein.sequence)), np.nan)
    for record in protein.scanned:
        row = rows.index(record["variant"][-1]) if kind == "substitutions" else 0
        difference = [record["difference"][label] for label in about["labels"]]
        values[:, row, record["position"] - 1] = difference
    highest = np.nan_to_num(np.abs(values)).max(axis=(1, 2))
    shares = np.nan_to_num(127 * values / np.maximum(highest, 1e-9)[:, None, None], nan=-128)
    return {
        "kind": kind,
        "window": about["window"] or 1,
        "rows": rows,
        "highest": highest.round(5).tolist(),
        "values": [
            base64.b64encode(np.round(one).astype(np.int8).tobytes()).decode("ascii")
            for one in shares
        ],
    }
