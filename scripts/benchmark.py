"""Combine the results of several runs and published results in one table."""

import argparse
from pathlib import Path

from halo.benchmark.figure import draw
from halo.benchmark.table import long_table, markdown, read_measured, read_published
from halo.cli import job_parser, run_job
from halo.files import read_json, write_json, write_table, write_text


def job(arguments: argparse.Namespace) -> None:
    """Write table, figure and provenance."""
    runs = {name: read_measured(*described) for name, *described, _ in arguments.run}
    provenance = {name: read_json(Path(file)) for name, *_, file in arguments.run}
    table = long_table(runs, read_published(arguments.published))
    write_table(arguments.table, table)
    write_text(arguments.markdown, markdown(runs, table))
    draw(runs, table, arguments.figure)
    write_json(arguments.provenance, {"runs": provenance})


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument(
        "--run",
        nargs=6,
        action="append",
        required=True,
        metavar=("NAME", "TITLE", "PUBLISHED", "METRICS", "LEAKAGE", "PROVENANCE"),
        help="a run: its name, its title, the data set of the published figures or nothing, and "
        "its metrics.json, leakage.json and provenance.json",
    )
    parser.add_argument("--published", type=Path, required=True, help="published_results.csv")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--markdown", type=Path, required=True, help="Markdown to write")
    parser.add_argument("--figure", type=Path, required=True, help="SVG to write")
    parser.add_argument("--provenance", type=Path, required=True, help="JSON to write")
    run_job(parser, job)
