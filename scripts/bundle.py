"""Build a model bundle for predicting new proteins, from the results of a run."""

import argparse
from pathlib import Path

from halo.baselines.stage import read_hits
from halo.cli import job_parser, log, run_job
from halo.files import read_json
from halo.fold_parts import read_assignments
from halo.predict.build_bundle import BundleSettings, build_bundle
from halo.predict.bundle import read_bundle
from halo.predict.performance import leaks
from halo.proteins.table import read_proteins


def job(arguments: argparse.Namespace) -> None:
    """Build the bundle, and verify that it can be read."""
    assignments = read_assignments(arguments.assignments)
    build_bundle(
        read_proteins(arguments.proteins),
        assignments,
        arguments.predictions,
        arguments.language_model,
        arguments.metrics,
        arguments.licence,
        BundleSettings(**arguments.settings),
        arguments.out,
        arguments.beside,
        arguments.hits and read_hits(arguments.hits),
        arguments.notes,
        leaks(read_json(arguments.leakage)) if arguments.leakage else None,
    )
    bundle = read_bundle(arguments.out)
    log.info("%s: %s files, sha256 %s", arguments.out, len(bundle.files) + 1, bundle.sha256)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.csv of the models"
    )
    parser.add_argument("--hits", type=Path, help="the split's hits.csv.gz")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument("--metrics", type=Path, required=True, help="evaluation/metrics.json")
    parser.add_argument("--licence", type=Path, required=True, help="text of the bundle's licence")
    parser.add_argument("--leakage", type=Path, help="the split's leakage.json")
    parser.add_argument("--notes", type=Path, help="Markdown for the card")
    parser.add_argument(
        "--beside", nargs="*", default=[], help="files that a bundle there may hold, and loses"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    run_job(parser, job)
