"""Draw the figures of a run and write its report, one page of HTML."""

import argparse
from pathlib import Path

from halo.cli import job_parser, log, run_job
from halo.files import write_text
from halo.report.figures import draw_figures
from halo.report.inputs import read_run
from halo.report.page import render


def job(arguments: argparse.Namespace) -> None:
    """Draw and write."""
    run = read_run(
        arguments.proteins,
        arguments.rejected,
        arguments.assignments,
        arguments.identity,
        arguments.leakage,
        arguments.structures,
        arguments.metrics,
        arguments.predictions,
        arguments.histories,
        arguments.provenance,
    )
    figures = draw_figures(run, arguments.figures)
    write_text(arguments.page, render(run, figures, arguments.figures))
    log.info("%s figures; the report is %s", len(figures), arguments.page)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.csv")
    parser.add_argument("--assignments", type=Path, required=True, help="assignments.csv")
    parser.add_argument("--identity", type=Path, required=True, help="the split's identity.csv")
    parser.add_argument("--leakage", type=Path, required=True, help="the split's leakage.json")
    parser.add_argument("--structures", type=Path, required=True, help="the structures' manifest")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics.json")
    parser.add_argument(
        "--predictions", type=Path, required=True, help="evaluation/predictions.csv"
    )
    parser.add_argument(
        "--histories", type=Path, nargs="*", default=[], help="history.csv of every network"
    )
    parser.add_argument("--provenance", type=Path, required=True, help="provenance.json")
    parser.add_argument("--figures", type=Path, required=True, help="folder of SVG files to write")
    parser.add_argument("--page", type=Path, required=True, help="report.html to write")
    run_job(parser, job)
