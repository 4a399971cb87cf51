"""Note where the results come from: configuration, software, inputs, machine, time."""

import argparse
import json
from pathlib import Path

import pandas as pd

from halo.cli import job_parser, run_job
from halo.files import read_json, write_json
from halo.proteins.table import read_proteins
from halo.report.provenance import make_provenance
from halo.report.timings import read_timings


def job(arguments: argparse.Namespace) -> None:
    """Write the provenance."""
    table = read_proteins(arguments.proteins).table
    structures = pd.read_csv(arguments.structures, dtype=str, keep_default_na=False)
    counts = {
        "proteins": len(table),
        "rejected": len(pd.read_csv(arguments.rejected, dtype=str)),
        "sequences": int(table["seq_hash"].nunique()),
        "residues": int(table.drop_duplicates("seq_hash")["length"].sum()),
        "structures": int((structures["status"] == "ok").sum()),
        "models": len(arguments.models),
    }
    jobs = {
        name.replace("{shard}", f"{shard:03d}")
        for name in arguments.jobs
        for shard in range(arguments.config["shards"])
    }
    provenance = make_provenance(
        arguments.config,
        arguments.workflow,
        {"snakemake": arguments.snakemake},
        arguments.inputs,
        read_json(arguments.language_model),
        counts,
        read_timings(arguments.benchmarks, jobs),
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
