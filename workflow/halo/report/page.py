"""Render the report from its template."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from halo.data_files import data_file
from halo.report import formatting
from halo.report.figures import Drawn
from halo.report.inputs import RunResults, finetuned_method
from halo.report.svg import inline_svg

TEMPLATE = data_file("report/template.html")
NOT_KNOWN = "not known"  # column with the numbers of unknown labels
# With fewer clusters, bootstrap intervals cover too little (Cameron, Gelbach and Miller 2008,
# doi:10.1162/rest.90.3.414, for 5 to 30).
FEW_GROUPS = 30
SWEPT = ("macro_f1", "micro_f1", "micro_mcc")
COMPARED = ("macro_f1", "macro_mcc", "micro_f1", "exact_match", "jaccard")


def render(run: RunResults, figures: Sequence[Drawn], folder: Path) -> str:
    """The HTML of the report; `folder` holds the SVG files of `figures`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": formatting.score,
        "signed": formatting.signed,
        "verdict": formatting.verdict,
        "count": formatting.count,
        "number": formatting.number,
        "percent": formatting.percent,
        "duration": formatting.duration,
        "size": formatting.size,
    }
    return environment.get_template("template.html").render(context(run, figures, folder))


def context(run: RunResults, figures: Sequence[Drawn], folder: Path) -> dict[str, Any]:
    """Variables of the template."""
    config = run.provenance["config"]
    methods = run.metrics["methods"]
    joined = {name: method for name, method in methods.items() if method["joining"]}
    members = [
        method["joining"][place] for method in joined.values() for place in ("first", "second")
    ]
    return {
        "name": run.provenance["run"],
        "simulated": config["dataset"]["simulated"],
        "metrics": run.metrics,
        "few_groups": FEW_GROUPS,
        "main": run.metrics["main"],
        "proof": list(formatting.proof(run.leakage)),
        "provenance": run.provenance,
        "machine": list(formatting.machine(run.provenance)),
        "config": json.dumps(config, indent=1, ensure_ascii=False),
        "figures": {
            figure.name: {
                "title": figure.title,
                "caption": figure.caption,
                "svg": inline_svg(
                    (folder / f"{figure.name}.svg").read_text(encoding="utf-8"),
                    figure.name,
                    f"{figure.title}. {figure.caption}",
                ),
            }
            for figure in figures
        },
        "metric_names": formatting.METRICS,
        "joined": joined,
        "homologues": {
            name: method["homologues"]
            for name, method in methods.items()
            if method.get("homologues", {}).get("bins")
        },
        # A member may be a method that was not evaluated itself.
        "joined_rows": [n for n in dict.fromkeys([*members, *joined]) if n in methods],
        "label_metric_names": formatting.LABEL_METRICS,
        "label_groups": run.metrics.get("label_groups", {}),
        "regions": run.metrics.get("regions"),
        "region_metric_names": formatting.REGION_METRICS,
        "compared": COMPARED,
        "swept": SWEPT,
        "data": data_facts(run),
        "folds": fold_table(run),
        "by_fold": {
            fold: {
                "proteins": number,
                "methods": {n: m["folds"][fold] for n, m in methods.items()},
            }
            for fold, number in run.metrics["folds"].items()
        },
        "structures": run.structures["status"].value_counts().to_dict(),
        "networks": sum(key.method != finetuned_method(run) for key in run.histories),
    }


def data_facts(run: RunResults) -> dict[str, Any]:
    """Numbers of the data set; those of labels are of the main group.

    Labels a protein are counted where all of them are known, and are None if that is nowhere.
    """
    main = run.proteins.of_group(run.proteins.groups[0])
    whole = main.known.all(axis=1)
    per_protein = main.labels[whole].sum(axis=1)
    return {
        "proteins": len(run.proteins),
        "sequences": int(run.proteins.table["seq_hash"].nunique()),
        "labels": len(main.label_names),
        "groups": {
            group.name: {
                "labels": len(group.labels),
                "task": group.task,
                "annotated": int(run.proteins.of_group(group).known.any(axis=1).sum()),
            }
            for group in run.proteins.further
        },
        "labels_a_protein": float(per_protein.mean()) if len(per_protein) else None,
        "one_label": float((per_protein == 1).mean()) if len(per_protein) else None,
        "all_known": int(whole.sum()),
        "partly_known": int((main.known.any(axis=1) & ~whole).sum()),
        "median_length": float(run.proteins.table["length"].median()),
        "rejected": run.rejected["reason"].value_counts().to_dict(),
    }


def fold_table(run: RunResults) -> pd.DataFrame:
    """Proteins with each label (rows) in each fold (columns), with the sum of the row.

    Where labels are unknown, a last column says of how many proteins; in the last row, of how many
    at least one label is.
    """
    folds = run.assignments["fold"].reindex(run.proteins.ids)
    folds = folds.replace("", "never tested").to_numpy(dtype=object)
    names = sorted(set(folds))
    labels = run.proteins.labels.astype(int)
    counted = [*labels.T, np.ones(len(labels), dtype=int)]
    rows = [[int(each[folds == fold].sum()) for fold in names] for each in counted]
    # A label can have the name of the last row, too.
    table = pd.DataFrame(rows, [*run.proteins.label_names, "proteins"], names)
    table = table.assign(all=table.sum(axis=1))
    unknown = ~run.proteins.known
    if not unknown.any():
        return table
    counts = [*unknown.sum(axis=0).tolist(), int(unknown.any(axis=1).sum())]
    return table.assign(**{NOT_KNOWN: counts})
