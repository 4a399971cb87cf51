"""Evaluate all methods on the test parts: metrics with intervals, and one row per protein."""

import argparse
from pathlib import Path

from halo.baselines.stage import read_hits
from halo.cli import job_parser, run_job
from halo.evaluation.models import read_models
from halo.evaluation.regions import evaluate_regions
from halo.evaluation.stage import EvaluationSettings, evaluate_groups
from halo.evaluation.strata import make_strata
from halo.files import read_text_table, write_json, write_table
from halo.fold_parts import read_assignments
from halo.homologues.gain import add_gains
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
    models = read_models(proteins, assignments, arguments.models)
    settings = EvaluationSettings(**arguments.settings["evaluation"])
    metrics, table = evaluate_groups(proteins, assignments, models, strata, settings)
    if arguments.hits is not None:
        add_gains(
            metrics,
            models,
            proteins,
            assignments,
            read_hits(arguments.hits),
            arguments.settings["least_identity"],
            arguments.settings["risk"],
            settings,
        )
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
