"""Evaluate all methods on the test parts: metrics with intervals, and one row per protein."""

import argparse
from pathlib import Path

from halo.baselines.stage import read_hits
from halo.cli import job_parser, run_job
from halo.evaluation.models import by_method, read_model
from halo.evaluation.regions import evaluate_regions
from halo.evaluation.stage import EvaluationSettings, evaluate_groups
from halo.evaluation.strata import make_strata
from halo.files import read_text_table, write_json, write_table
from halo.fold_parts import read_assignments
from halo.homologues.gain import measure_gains
from halo.homologues.pairs import Similarity
from halo.label_groups import MAIN
from halo.proteins.table import read_proteins
from halo.regions.table import read_regions


def job(arguments: argparse.Namespace) -> None:
    """Evaluate the given predictions."""
    proteins = read_proteins(arguments.proteins)
    strata = make_strata(
        proteins,
        arguments.structures and read_text_table(arguments.structures),
        arguments.identity and read_text_table(arguments.identity),
    )
    assignments = read_assignments(arguments.assignments)
    models = {
        group.name: by_method(
            read_model(path, proteins, assignments, group) for path in arguments.models
        )
        for group in proteins.groups
    }
    settings = EvaluationSettings(**arguments.settings["evaluation"])
    metrics, table = evaluate_groups(proteins, assignments, models, strata, settings)
    if arguments.hits is not None:
        similarity = Similarity(**arguments.settings["similarity"])
        risk = arguments.settings["risk"]
        hits = read_hits(arguments.hits)
        of_groups = metrics.get("label_groups", {})
        for group in proteins.groups:
            content = metrics if group.name == MAIN else of_groups.get(group.name)
            if not content:
                continue
            gains = measure_gains(
                *(models[group.name], proteins.of_group(group), assignments, hits, similarity),
                *(risk, settings),
            )
            for method, gain in gains.items():
                content["methods"][method]["homologues"] = gain
    if arguments.regions:
        metrics["regions"] = evaluate_regions(
            proteins,
            assignments,
            read_regions(arguments.regions),
            arguments.models,
            strata,
            settings,
        )
    write_table(arguments.predictions, table)
    write_json(arguments.metrics, metrics)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument(
        "--models",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="predictions.csv in <split>/<fold>/<seed>/<method>/ of every model, with its "
        "model.json beside it; the first method is the one to which the others are compared",
    )
    parser.add_argument("--structures", type=Path, help="the structures' manifest.csv")
    parser.add_argument("--identity", type=Path, help="the split's identity.csv")
    parser.add_argument("--hits", type=Path, help="the split's hits.csv.gz")
    parser.add_argument("--regions", type=Path, help="regions.csv of the data set, if it has any")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics.json to write")
    parser.add_argument("--predictions", type=Path, required=True, help="table to write")
    run_job(parser, job)
