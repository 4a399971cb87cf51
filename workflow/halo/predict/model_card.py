"""The model card: what a bundle is, how good it is, and what it is not for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS = ("f1", "precision", "recall", "mcc", "auroc")
OVERALL = {
    "macro_f1": "macro-F1",
    "macro_mcc": "macro-MCC",
    "exact_match": "exact match",
    "jaccard": "Jaccard",
    "calibration_error": "calibration error",
}


def model_card(description: Mapping[str, Any], metrics: Mapping[str, Any], licence: Path) -> str:
    """The card in Markdown.

    Parameters
    ----------
    description : content of ``bundle.json``
    metrics : content of ``evaluation/metrics.json``
    licence : text of the licence; its first line is named
    """
    found = metrics["methods"][description["method"]]
    title = licence.read_text(encoding="utf-8").strip().splitlines()[0]
    sections = (
        _head(description, title),
        _overall(found, metrics, description),
        _labels(found, metrics),
        _conformal(found),
        _data(description, metrics),
        _use(description),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(description: Mapping[str, Any], licence: str) -> str:
    folds = ", ".join(dict.fromkeys(model["fold"] for model in description["models"]))
    models = len(description["models"])
    told = "one model" if models == 1 else f"the mean of {models} models"
    lines = [
        f"# {description['name']}, version {description['version']}",
        "",
        f"A model bundle of HALO {description['halo']}: {told}, method `{description['method']}` "
        f"({description['class']}), fold {folds}.",
        f"Language model: {description['language_model']['name']} "
        f"(sha256 {description['language_model']['sha256']}), not in the bundle"
        + (", but its adapters are." if description["models"][0]["adapter"] else "."),
        f"Licence: {licence} (`LICENSE`).",
        "",
        "    halo predict proteins.fasta --bundle this/folder -o out/",
    ]
    if description["simulated"]:
        lines += ["", "**Trained on simulated data: what it says of real proteins means nothing.**"]
    return "\n".join(lines)


def _overall(
    found: Mapping[str, Any], metrics: Mapping[str, Any], description: Mapping[str, Any]
) -> str:
    lines = [
        "## How good it is",
        "",
        f"Measured on {metrics['proteins']:,} test proteins in {metrics['groups']:,} homology "
        "groups, each by a model that was trained on none similar to it (MMseqs2, identity "
        f"≥ {description['search']['identity']:g} over {description['search']['coverage']:g} of "
        "the sequence). In brackets 95 % bootstrap intervals over homology groups.",
    ]
    if len(description["models"]) > 1:
        lines.append("The bundle's mean of several models was not measured itself.")
    lines += ["", "| metric | value |", "|---|---|"]
    lines += [f"| {name} | {_text(found['overall'].get(key))} |" for key, name in OVERALL.items()]
    return "\n".join(lines)


def _labels(found: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    lines = [
        f"| label | test proteins | {' | '.join(METRICS)} |",
        "|---|---|" + "---|" * len(METRICS),
    ]
    for label in metrics["labels"]:
        values = " | ".join(_text(found["labels"][label].get(name)) for name in METRICS)
        lines.append(f"| {label} | {metrics['support'][label]:,} | {values} |")
    return "\n".join(lines)


def _conformal(found: Mapping[str, Any]) -> str:
    sets = found.get("conformal")
    if not sets:
        return ""
    return (
        f"The conformal sets promise {sets['promised']:.0%} of a protein's labels and had "
        f"{sets['found']:.1%} on the test, with {sets['size']:.1f} labels in a set."
    )


def _data(description: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = description["data"]
    training = description["training"]
    where = (
        "They are in `training.fasta.gz`."
        if training["sequences"]
        else "They are not in the bundle, so the nearest training protein is not given."
    )
    lines = [
        "## Data",
        "",
        data["title"]
        + (f"; cite {data['citation']}" if data.get("citation") else "")
        + (f"; licence of the data: {data['licence']}" if data.get("licence") else "")
        + ".",
        f"{training['proteins']:,} distinct training sequences. {where}",
        f"Labels ({metrics['task']}): {', '.join(metrics['labels'])}.",
    ]
    return "\n".join(lines)


def _use(description: Mapping[str, Any]) -> str:
    longest = description["structures"]["max_length"]
    return f"""## Intended use and limits

For hypotheses about where a protein is, as a help to choose experiments; not for decisions about
patients. What the data do not have it cannot say: other labels, other organisms than those of the
data, the cell's state, the tissue. A label that is not given is not shown to be absent.

- A protein that resembles no training protein (`far`) is outside of what it has seen most of. The
  figures above are of proteins that are not similar to a training protein.
- Probabilities are calibrated on proteins of the data set; where a label is rarer or more frequent
  than there, they are off by as much. Conformal sets keep their promise for proteins like those.
- Structures are used as AlphaFold predicts them, up to {longest:,} residues; without one, the
  sequence decides alone.
- Isoforms and processed chains are taken as the sequence says: give the one that is meant."""


def _text(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "–"
    if estimate.get("low") is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}–{estimate['high']:.3f})"
