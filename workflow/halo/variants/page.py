"""The page of variants: one self-contained HTML file."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from halo import __version__
from halo.data_files import data_file
from halo.files import write_text
from halo.predict.page import templates, without_threshold
from halo.proteins.ingest import Rejected
from halo.residues import STANDARD

WEB, STYLE = data_file("variants/web"), data_file("predict/web") / "page.css"
SIGNIFICANT = 0.05
DIGITS = 4
ANY = "del"  # the row of a heat map of deleted windows


class HeatMap:
    """Differences of the scan of a protein, which are added one by one.

    Parameters
    ----------
    about : the header of ``variants.json``
    sequence : of the wild type
    """

    def __init__(self, about: Mapping[str, Any], sequence: str) -> None:
        self._about, self._labels = about, about["labels"]
        kinds = {"substitutions": list(STANDARD), "alanine": ["A/G"], "deletions": [ANY]}
        self._rows = kinds[about["scan"]]
        # NaN where a residue is not changed to this one.
        shape = len(self._labels), len(self._rows), len(sequence)
        self._values = np.full(shape, np.nan, dtype=np.float32)

    @property
    def cells(self) -> int:
        """Number of cells of the maps of all labels."""
        return self._values.size

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the record of a variant."""
        row = self._rows.index(record["variant"][-1]) if len(self._rows) > 1 else 0
        difference = [record["difference"][label] for label in self._labels]
        self._values[:, row, record["position"] - 1] = difference

    def content(self) -> dict[str, Any]:
        """The maps, int8 [n_rows, length] for each label, as shares of the largest difference.

        -128 is a residue that is not changed to this one.
        """
        highest = np.nan_to_num(np.abs(self._values)).max(axis=(1, 2))
        shares = 127 * self._values / np.maximum(highest, 1e-9)[:, None, None]
        return {
            "kind": self._about["scan"],
            "window": self._about["window"] or 1,
            "rows": self._rows,
            "highest": highest.astype(float).round(5).tolist(),
            "values": [
                base64.b64encode(np.round(one).astype(np.int8).tobytes()).decode("ascii")
                for one in np.nan_to_num(shares, nan=-128)
            ],
        }


@dataclass(frozen=True)
class ShownProtein:
    """A wild type on the page: its sequence and record, those of its variants, and its scan."""

    sequence: str
    record: Mapping[str, Any]
    listed: Sequence[Mapping[str, Any]]
    scan: HeatMap | None


def counted(record: Mapping[str, Any]) -> Counter[str]:
    """What a record of a variant adds to the numbers on the page."""
    rare = record["p_value"] is not None and record["p_value"] <= SIGNIFICANT
    numbers = {"lost": bool(record["lost"]), "gained": bool(record["gained"]), "rare": rare}
    return Counter({"variants": 1, **{name: int(one) for name, one in numbers.items()}})


def write_page(
    file: Path,
    about: Mapping[str, Any],
    proteins: Sequence[ShownProtein],
    summary: Mapping[str, int],
    unusable: Sequence[Rejected],
) -> None:
    """Write the page; `about` is the header of ``variants.json``.

    `summary` has the sums of `counted`, and the numbers of ``rejected`` records and ``scanned``
    proteins. `unusable` are the wild types that cannot be used.
    """
    labels = about["labels"]
    shown = [_wildtype(protein, labels) for protein in proteins]
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
            unusable=unusable,
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
        "sequence": protein.sequence if protein.scan else "",
        "length": record["length"],
        "labels": record["labels"],
        "structure": record["structure"]["status"],
        "far": record["far"],
        "regions": record["regions"],
        "p": [round(record["probabilities"][label], DIGITS) for label in labels],
        "variants": [_variant(one, labels) for one in protein.listed],
        "scan": protein.scan.content() if protein.scan else None,
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
