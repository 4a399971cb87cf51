"""The model card of a bundle: contents, performance, intended use and limits."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from halo.fold_parts import ALL
from halo.markdown import cell
from halo.predict.performance import Estimate, how_apart

METRICS = ("f1", "precision", "recall", "mcc", "auroc")
OVERALL = {
    "macro_f1": "macro-F1",
    "macro_mcc": "macro-MCC",
    "micro_f1": "micro-F1",
    "macro_average_precision": "average precision",
    "exact_match": "exact match",
    "jaccard": "Jaccard",
    "calibration_error": "calibration error",
}
BESIDE = {  # metrics of other methods of the run
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "macro_average_precision": "average precision",
}

CALIBRATED = """\
- Probabilities are calibrated on the data set where the models decide alone. Where the labels of a
  similar training protein are part of the decision, this was not measured: most models were trained
  on that protein, and are likely to be too certain. Probabilities are biased if labels are rarer or
  more frequent in other proteins, and the coverage of conformal sets then differs as well."""
UNCALIBRATED = """\
- Probabilities are not calibrated: the split of this run had no calibration proteins. A threshold
  decides as it was learned, but a probability of 0.8 need not be right in 80 % of the cases."""


def model_card(
    description: Mapping[str, Any],
    metrics: Mapping[str, Any],
    licence: Path,
    notes: Path | None = None,
) -> str:
    """The card in Markdown.

    Parameters
    ----------
    description : content of ``bundle.json``
    metrics
        Content of ``evaluation/metrics.json``, and ``similar_apart``, see
        `halo.predict.performance.how_apart`.
    licence : file of the licence, whose first line is its name
    notes : file with further sections, after the metrics
    """
    method = metrics["methods"][description["method"]]
    title = licence.read_text(encoding="utf-8").strip().splitlines()[0]
    sections = (
        _head(description, title),
        _overall(method, metrics, description),
        _labels(method, metrics),
        _others(metrics, description),
        _conformal(method),
        _homologues(method, description),
        *_groups(metrics, description),
        notes.read_text(encoding="utf-8").strip() if notes else "",
        _data(description, metrics),
        _use(description, metrics),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(description: Mapping[str, Any], licence: str) -> str:
    models = len(description["models"])
    composition = "one model" if models == 1 else f"the mean of {models} models"
    lines = [
        f"# {description['name']}, version {description['version']}",
        "",
        f"A model bundle of HALO {description['halo']}: {composition}, method "
        f"`{description['method']}` ({description['class']}), {_trained(description)}.",
        _language_model(description),
        f"Licence: {licence} (`LICENSE`).",
        "",
        "    halo predict proteins.fasta --bundle this/folder -o out/"
        + (" --embeddings FILE" if description["language_model"]["source"] == "file" else ""),
    ]
    if description["simulated"]:
        lines += [
            "",
            "**Trained on simulated data: predictions of real proteins are meaningless.**",
        ]
    return "\n".join(lines)


def _trained(description: Mapping[str, Any]) -> str:
    """The folds of its models."""
    folds = list(dict.fromkeys(model["fold"] for model in description["models"]))
    if folds == [ALL]:
        return "trained on proteins of all parts of the split, those of the test as well"
    return f"fold {', '.join(folds)}"


def _language_model(description: Mapping[str, Any]) -> str:
    model = description["language_model"]
    if model["source"] == "file":
        return (
            f"Trained on embeddings by {model['name']} from a file (sha256 {model['sha256']}). "
            "Predictions need embeddings by the same model."
        )
    adapted = bool(description["models"][0]["adapter"])
    place = "in the bundle" + (", as are its adapters" if adapted else "")
    if not model["included"]:
        place = "not in the bundle" + (", but its adapters are" if adapted else "")
    return f"Language model: {model['name']} (sha256 {model['sha256']}), {place}."


def _overall(
    method: Mapping[str, Any], metrics: Mapping[str, Any], description: Mapping[str, Any]
) -> str:
    lines = [
        "## Performance",
        "",
        f"Measured on {metrics['proteins']:,} test proteins in {metrics['groups']:,} homology "
        f"groups, {how_apart(metrics.get('similar_apart'))} (optimal local alignment, identity "
        f"≥ {description['search']['identity']:g} over {description['search']['coverage']:g} of "
        "the sequence). In brackets 95 % bootstrap intervals over homology groups.",
    ]
    if description["models"][0]["fold"] == ALL:
        lines.append(
            f"Those models are of fold {', '.join(metrics['folds'])} and trained with the same "
            "settings. The models of the bundle were trained on the test proteins, too, and were "
            "not evaluated themselves."
        )
    elif len(description["models"]) > 1:
        lines.append("The ensemble of several models in the bundle was not evaluated itself.")
    lines += ["", "| metric | value |", "|---|---|"]
    lines += [f"| {name} | {_text(method['overall'].get(key))} |" for key, name in OVERALL.items()]
    return "\n".join(lines)


def _labels(method: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Metrics of each label, and the F1 of homology transfer where the run has it."""
    homology = [one for one in metrics["methods"].values() if one["class"] == "homology"][:1]
    titles = [*METRICS, *("f1 of homology transfer" for _ in homology)]
    lines = [
        f"| label | test proteins | {' | '.join(titles)} |",
        "|---|---|" + "---|" * len(titles),
    ]
    for label in metrics["labels"]:
        values = [_text(method["labels"][label].get(name)) for name in METRICS]
        values += [_text(one["labels"][label].get("f1")) for one in homology]
        lines.append(f"| {cell(label)} | {metrics['support'][label]:,} | {' | '.join(values)} |")
    return "\n".join(lines)


def _others(metrics: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    """Overall metrics of the other methods of the run."""
    others = {
        name: method for name, method in metrics["methods"].items() if name != description["method"]
    }
    if not others:
        return ""
    lines = [
        "Other methods of the run, on the same proteins:",
        "",
        f"| method | class | {' | '.join(BESIDE.values())} |",
        "|---|---|" + "---|" * len(BESIDE),
    ]
    for name, method in others.items():
        values = " | ".join(_text(method["overall"].get(key)) for key in BESIDE)
        lines.append(f"| `{name}` | {method['class']} | {values} |")
    return "\n".join(lines)


def _conformal(method: Mapping[str, Any]) -> str:
    sets = method.get("conformal")
    if not sets:
        return ""
    observed = "not defined, since no test protein has a label"
    if sets["observed"] is not None:
        observed = f"{sets['observed']:.1%} on the test"
    return (
        f"Conformal sets have a nominal coverage of {sets['nominal']:.1%} of a protein's labels, "
        f"the observed one is {observed}; there are {sets['size']:.1f} labels per set."
    )


def _homologues(method: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    """What the labels of a similar training protein add, by identity."""
    if description.get("homologues") is None:
        return (
            "The labels of similar training proteins are not part of the decisions: the bundle has "
            "no rule for them."
        )
    text = (
        "If a training protein is similar, its labels are part of the decision, and `decided_by` "
        "ends with `homology`. The metrics above are without it."
    )
    bins = method.get("homologues", {}).get("bins")
    if not bins:
        return text
    lines = [
        f"{text} On test proteins that are similar to another protein, macro-F1 by identity:",
        "",
        "| identity | test proteins | model alone | homologue's labels | both |",
        "|---|---|---|---|---|",
    ]
    for name, of_bin in bins.items():
        values = (_text(of_bin[way]["macro_f1"]) for way in ("alone", "homologue", "joined"))
        lines.append(f"| {name} | {of_bin['proteins']:,} | {' | '.join(values)} |")
    return "\n".join(lines)


def _groups(metrics: Mapping[str, Any], description: Mapping[str, Any]) -> Iterator[str]:
    """What is said of the main group of labels, of each further group."""
    for name, own in metrics.get("label_groups", {}).items():
        method = own["methods"][description["method"]]
        yield f"### Group {name}"
        yield (
            f"Labels ({own['task']}): {', '.join(own['labels'])}. Measured on the "
            f"{own['proteins']:,} test proteins that are annotated."
        )
        rows = [
            f"| {title} | {_text(method['overall'].get(key))} |" for key, title in OVERALL.items()
        ]
        yield "\n".join(["| metric | value |", "|---|---|", *rows])
        yield _labels(method, own)
        yield _conformal(method)
        yield _homologues(method, description["groups"][name])


def _data(description: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = description["data"]
    training = description["training"]
    where = (
        "They are in `training.fasta.xz`."
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


def _use(description: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    longest = description["structures"]["max_length"]
    members = (member for model in description["models"] for member in model["members"])
    calibrated = any(one["temperature"] != 1 or any(one["shifts"].values()) for one in members)
    apart = metrics.get("similar_apart") == 0
    tested = (
        " The\n  metrics above are for proteins without a similar training protein."
        if apart
        else ""
    )
    return f"""## Intended use and limits

The predictions are hypotheses about the localization of proteins, for example to select
experiments. They are not for decisions about patients. The model does not know labels or organisms
outside of its data, cell states or tissues. A label that is not predicted is not shown to be
absent.

- Proteins that align with no training protein (`far`) are out of distribution. The models alone
  decide where no training protein is similar (`similar` is false).{tested}
{CALIBRATED if calibrated else UNCALIBRATED}
- AlphaFold models are used up to {longest:,} residues; without one, the prediction uses the
  sequence only.
- The given sequence is predicted: give the isoform or processed chain of interest. With a similar
  training protein, a fragment or a fusion gets the labels of the whole one; `remarks` says so."""


def _text(estimate: Mapping[str, Any] | None) -> str:
    return "–" if estimate is None else str(Estimate.model_validate(estimate))
