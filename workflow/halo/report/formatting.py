"""Format numbers and sentences of the report."""

from collections.abc import Iterator, Mapping
from typing import Any

Estimate = Mapping[str, float | None]

# Name and meaning of the metrics, in the order of the page.
METRICS = {
    "macro_f1": ("Macro-F1", "the F1 of each label, averaged: rare labels count like common ones"),
    "macro_mcc": ("MCC", "correlation of prediction and truth, averaged over labels; 0 is chance"),
    "micro_f1": ("Micro-F1", "the F1 of all decisions together: common labels count more"),
    "exact_match": ("Exact match", "share of the proteins whose labels are all right"),
    "jaccard": ("Jaccard", "labels that are right, of those given or true, averaged over proteins"),
    "macro_precision": ("Precision", "how many of the given labels are true, averaged over labels"),
    "macro_recall": ("Recall", "how many of the true labels are given, averaged over labels"),
    "micro_precision": ("Micro-precision", "how many of all given labels are true"),
    "micro_recall": ("Micro-recall", "how many of all true labels are given"),
    "micro_mcc": ("Overall MCC", "correlation over all pairs of protein and label together"),
    "macro_auroc": ("AUROC", "chance that a protein with the label is ranked above one without"),
    "micro_auroc": (
        "Micro-AUROC", "chance that a pair of protein and label that is true is ranked above one "
        "that is not",
    ),
    "macro_average_precision": (
        "Average precision", "area below the curve of precision over recall, averaged over labels",
    ),
    "calibration_error": (
        "Calibration error", "how far probabilities are from the share that is true; 0 is best",
    ),
    "labels_predicted": ("Labels per protein", "mean number of labels that a protein is given"),
}  # fmt: skip
REGION_METRICS = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "mcc": "MCC",
    "end_exact": "End exact",
    "end_near": "End within 3",
    "end_precision": "End exact, of predicted",
}
LABEL_METRICS = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "mcc": "MCC",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "calibration_error": "Calibration error",
}


def score(value: float | None, digits: int = 3) -> str:
    """A value of a metric; a dash if it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None) -> str:
    """A difference, with its sign."""
    if value is None:
        return "–"
    return ("+" if value >= 0 else "") + score(value)


def verdict(difference: Estimate) -> str:
    """Interpretation of a difference with its interval: better, worse, or no clear difference."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return "not defined"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "no clear difference"


IDENTITY_OF = {"aligned": "of the aligned residues", "shorter": "of the shorter sequence"}
APART = {  # what the audit counts beside pairs of similar sequences
    "identical_sequences_apart": "Sequences with copies",
    "isoform_families_apart": "Families of isoforms",
}
COVERAGE_OF = {"shorter": "the shorter sequence", "both": "both sequences"}


def proof(leakage: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about the split and its audit, from ``leakage.json``."""
    identity, coverage = percent(leakage["identity"], 0), percent(leakage["coverage"], 0)
    covered = f", over at least {coverage} of {COVERAGE_OF[leakage['coverage_of']]}"
    yield (
        "Two proteins count as similar when their optimal local alignment has at least "
        f"{identity} identity {IDENTITY_OF[leakage['identity_of']]}"
        f"{covered if leakage['coverage'] else ''} (E-value of at most {leakage['evalue']:g})."
    )
    if leakage["n_too_short"]:
        yield (
            f"Too short for this E-value, whatever it is aligned with: "
            f"{count(leakage['n_too_short'], 'proteins')}. Of these, only identical sequences and "
            "isoforms were kept together."
        )
    yield f"Similar pairs across parts: {leakage['pairs_above_threshold']:,}."
    for key, what in APART.items():
        if leakage[key]:
            yield f"{what} in different parts: {leakage[key]:,}."
    if leakage["max_cross_identity"] is not None:
        highest = percent(leakage["max_cross_identity"])
        yield f"The highest identity between two parts is {highest}."
    yield f"Removed to get there: {count(leakage['n_removed'], 'proteins')}."
    audit = leakage["audited_by"]
    if audit["all_pairs"]:
        yield f"Every pair of proteins was aligned to check this ({audit['alignment']})."
    else:
        yield from _searched(audit)
    apart = audit["pairs_apart_by_round"]
    if sum(apart) and not apart[-1]:
        yield (
            f"The audit found {sum(apart):,} similar pairs apart; the split was made again with "
            "them."
        )


def _searched(audit: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about the audit of a data set that is too large to align all pairs."""
    sample = audit["sample"]
    yield (
        f"This was checked by exact alignment ({audit['alignment']}) of the pairs that a search of "
        f"its own proposes ({audit['search']}), not of all pairs."
    )
    yield (
        f"How much the search misses was measured: of {sample['proteins']:,} proteins drawn at "
        f"random, each aligned with all others, {sample['missed']:,} had a similar one in another "
        "part that was not proposed. With a confidence of "
        f"{percent(sample['confidence'], 0)} this is so for at most "
        f"{1000 * sample['upper_bound']:.2g} in 1,000 proteins."
    )


def machine(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about commit, machine and seeds, from ``provenance.json``."""
    git, hardware, seeds = (provenance[key] for key in ("git", "hardware", "seeds"))
    if git is None:
        yield "The workflow is no git checkout."
    else:
        changed = ", with changes that are not committed" if git["dirty"] else ""
        yield f"Workflow at commit {git['commit']}{changed}."
    parts = [hardware["cpu"], count(hardware["cores"], "cores")]
    if hardware["memory_gb"] is not None:
        parts.append(f"{hardware['memory_gb']:g} GB of memory")
    parts.append(", ".join(hardware["gpus"]) or "no GPU")
    yield f"Machine: {', '.join(parts)}."
    training = ", ".join(map(str, seeds["training"]))
    yield f"Seeds: training {training}; split {seeds['split']}; bootstrap {seeds['bootstrap']}."


def count(value: float, unit: str) -> str:
    """A number with thousands separators, and its unit in the singular for one."""
    return f"{value:,.0f} {unit.removesuffix('s') if value == 1 else unit}"


def number(value: float) -> str:
    """A count that may be a mean over seeds; without decimals if it is whole."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage; a dash if it is not defined."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def duration(seconds: float) -> str:
    """A duration in suitable units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(n_bytes: float) -> str:
    """A number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
