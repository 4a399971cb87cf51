"""The page of a prediction: one self-contained HTML file."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from halo import __version__
from halo.data_files import data_file
from halo.files import write_text
from halo.label_groups import all_groups, from_content
from halo.predict.description import Description
from halo.predict.explanation import Explanation
from halo.predict.folder import PAGE_FILE, STRUCTURES, OutputFolder
from halo.predict.mmcif import write_structures
from halo.predict.output import read_chunk, read_chunk_explanations
from halo.predict.performance import Performance
from halo.predict.regions import GAIN, SHARE, WINDOW, smoothed
from halo.report.formatting import count

WEB = data_file("predict/web")
SCRIPTS = ("sequence.js", "structure.js", "page.js")
# Baseline of the attribution (halo.predict.attribution), by the class of the explained method: what
# "a chain of the same length" is besides.
AVERAGED = "and contacts without other information: average residues, nothing else of a structure"
OWN = "in which every residue has the mean embedding of the protein"
BASELINES = {
    "esm": OWN,
    "mean_embedding": OWN,
    "light_attention": "of average residues",
    "reference": "and coordinates, of average amino acids with an embedding of zeros",
}
WITHOUT_EDGES = ("esm", "mean_embedding", "light_attention")
# Of a label's score, and of the uncertainty, by the task of the group of labels.
UNITS = {
    "multilabel": "+1 makes the odds about 2.7 times as high before calibration",
    "singlelabel": "+1 makes the probability about 2.7 times as high before calibration, relative "
    "to the geometric mean of those of all labels",
}
UNCLEAR = {"multilabel": "a label on its threshold", "singlelabel": "two labels equally probable"}
ANGSTROM = 10  # steps of a coordinate on the page


@dataclass(frozen=True)
class ExplainedMethod:
    """The method whose attributions the page has.

    `joined` is whether the bundle's method joins it with another one.
    """

    name: str
    method_class: str
    joined: bool = False


def explained_method(description: Description) -> ExplainedMethod:
    """The method of a bundle's models that is explained."""
    model = description.models[0]
    member = model.members[model.explained]
    return ExplainedMethod(member.method, member.method_class, len(model.members) > 1)


def write_page(
    out: OutputFolder,
    chunks: Sequence[Path],
    method: ExplainedMethod,
    performance: Performance | None = None,
) -> None:
    """Write the page and the structures from a run's chunks, and remove older structures.

    `method` and `performance` are those of the bundle. Only the content of the page is kept in
    memory.
    """
    header = read_chunk(chunks[0]).header
    summary: Counter[str] = Counter()
    proteins: list[dict[str, Any]] = []
    shown: list[Explanation] = []
    for file in chunks:
        chunk = read_chunk(file)
        summary += summarized(chunk.records)
        summary["rejected"] += len(chunk.rejected)
        records = [record for record in chunk.records if record["regions"] is not None]
        for record, explanation in zip(records, read_chunk_explanations(file), strict=True):
            proteins.append({**record, **_explained(explanation)})
            shown.append(explanation)
    accessions = [protein["accession"] for protein in proteins]
    files = write_structures(out.claim(STRUCTURES), shown, accessions)
    for protein, name in zip(proteins, files, strict=True):
        protein["file"] = f"{STRUCTURES}/{name}" if name else None
    text = render(header, summary, proteins, method, performance)
    write_text(out.claim(PAGE_FILE), text)


def summarized(records: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Numbers of proteins, of proteins with certain properties, and of proteins with each label."""
    counts: Counter[str] = Counter()
    for record in records:
        counts["proteins"] += 1
        counts["structure"] += record["structure"]["status"] == "ok"
        counts["no structure used"] += record["structure"]["status"] == "not used"
        counts["far"] += record["far"] is True
        counts["not similar"] += record["similar"] is False
        counts["far unknown"] += record["far"] is None
        counts["no label"] += not record["labels"]
        counts.update(f"label {label}" for label in given_labels(record))
    return counts


def given_labels(record: Mapping[str, Any]) -> list[str]:
    """The labels of all groups that a protein is given."""
    further = record.get("groups", {}).values()
    return [*record["labels"], *(label for group in further for label in group["labels"])]


def without_threshold(header: Mapping[str, Any]) -> list[str]:
    """Labels of groups of which a protein has exactly one."""
    return [label for label, task in _tasks(header).items() if task == "singlelabel"]


def _tasks(header: Mapping[str, Any]) -> dict[str, str]:
    """The task of each label's group."""
    further = from_content(header["labels"], header.get("groups"))
    groups = all_groups(header["labels"], header["task"], further)
    return {label: group.task for group in groups for label in group.labels}


def templates(folder: Path) -> Environment:
    """The templates of pages in `folder`, whose values are escaped."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = count
    # NaN is no JSON, and browsers would show an empty page.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}
    return environment


def render(
    header: Mapping[str, Any],
    summary: Mapping[str, int],
    proteins: Sequence[Mapping[str, Any]],
    method: ExplainedMethod,
    performance: Performance | None = None,
) -> str:
    """Render the HTML; `proteins` are records with the fields that `_explained` adds."""
    template = templates(WEB).get_template("page.html")
    return template.render(
        header=header,
        summary=summary,
        proteins=proteins,
        performance=performance,
        halo=__version__,
        given=given_labels,
        rules={"window": WINDOW, "share": SHARE, "gain": GAIN},
        style=(WEB / "page.css").read_text(encoding="utf-8"),
        scripts=[(WEB / name).read_text(encoding="utf-8") for name in SCRIPTS],
        data=page_data(header, proteins, method),
    )


def page_data(
    header: Mapping[str, Any], proteins: Sequence[Mapping[str, Any]], method: ExplainedMethod
) -> dict[str, Any]:
    """What the page's scripts draw and say."""
    return {
        "labels": header["labels"],
        "exclusive": without_threshold(header),
        "kinds": header["region_kinds"],
        "baseline": BASELINES.get(method.method_class, AVERAGED),
        "contacts": method.method_class not in WITHOUT_EDGES,
        "units": {label: UNITS[task] for label, task in _tasks(header).items()},
        "unclear": UNCLEAR[header["task"]],
        "alone": method.name if method.joined else None,
        "proteins": proteins,
    }


def _explained(explanation: Explanation) -> dict[str, Any]:
    """Fields of an explanation on the page, encoded compactly."""
    values = smoothed(explanation.attribution.values)
    attention = explanation.attribution.attention
    highest = np.abs(values).max(axis=1)
    return {
        "sequence": explanation.sequence,
        "tracks": [
            {"label": label, "change": round(float(change), 3), "highest": round(float(most), 5),
             "values": _bytes(np.round(127 * row / max(most, 1e-9)), "int8")}
            for label, change, most, row in zip(
                explanation.labels, explanation.attribution.change, highest, values, strict=True
            )
        ],
        "attention": _bytes(
            np.round(255 * attention / attention.max()),
            "uint8",
        ),
        "trace": _trace(explanation.structure) if explanation.structure is not None else None,
    }  # fmt: skip


def _trace(structure: Mapping[str, np.ndarray]) -> list[dict[str, str | bool]]:
    """Centred Cα coordinates and pLDDT of each fragment, for atoms with coordinates."""
    fragments: list[dict[str, str | bool]] = []
    for start, stop in structure["fragment"].astype(int):
        atoms = structure["coordinates"][start:stop, 1].astype(np.float64)
        there = np.isfinite(atoms).all(axis=1)
        atoms = atoms[there]
        if len(atoms) < 2:
            continue
        around = np.clip(laid_flat(atoms) * ANGSTROM, -32_000, 32_000)
        plddt = structure["plddt"][start:stop][there].astype(np.float64)
        fragments.append(
            {
                "position": _bytes(structure["position"][start:stop][there], "<u2"),
                "atoms": _bytes(np.round(around), "<i2"),
                "plddt": _bytes(np.nan_to_num(np.round(plddt), nan=255), "uint8"),
            }
        )
    return fragments


def laid_flat(atoms: np.ndarray) -> np.ndarray:
    """Centred atoms, rotated to their principal axes without reflection.

    The longest axis is horizontal, the shortest one is the viewing direction.
    """
    around = atoms - atoms.mean(axis=0)
    axes = np.linalg.eigh(around.T @ around)[1].T[::-1]  # eigh's values rise
    return around @ (axes * np.array([[1], [1], [np.linalg.det(axes)]])).T


def _bytes(array: np.ndarray, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode("ascii")
