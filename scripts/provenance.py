"""Note where the results come from: configuration, software, inputs, machine, time."""

import argparse
import json
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.files import read_json, read_text_table, write_json
from halo.proteins.table import read_proteins
from halo.report.provenance import make_provenance, run_counts
from halo.report.timings import read_timings


def job(arguments: argparse.Namespace) -> None:
    """Write the provenance."""
    counts = run_counts(
        read_proteins(arguments.proteins),
        read_text_table(arguments.rejected),
        read_text_table(arguments.structures),
        len(arguments.models),
    )
    provenance = make_provenance(
        arguments.config,
        arguments.workflow,
        {"snakemake": arguments.snakemake},
        arguments.inputs,
        read_json(arguments.language_model),
        counts,
        read_timings(arguments.benchmarks, arguments.jobs, arguments.config["shards"]),
    )
    write_json(arguments.out, provenance)


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the whole configuration")
    parser.add_argument("--workflow", type=Path, required=True, help="folder of the workflow")
    parser.add_argument("--snakemake", required=True, help="version of Snakemake")
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help="the user's files")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument("--proteins", type=Path, required=True, help="proteins.csv")
    parser.add_argument("--rejected", type=Path, required=True, help="rejected.csv")
    parser.add_argument("--structures", type=Path, required=True, help="the structures' manifest")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="every model.json")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of benchmark files")
    parser.add_argument(
        "--jobs",
        nargs="+",
        required=True,
        help="names of the run's benchmark files; {shard} stands for each shard",
    )
    parser.add_argument("--out", type=Path, required=True, help="provenance.json to write")
    run_job(parser, job)
