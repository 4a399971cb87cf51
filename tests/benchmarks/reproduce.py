"""Run the small benchmark twice, and compare the tables.

    make reproduce [DATA=folder]

The first call runs config/benchmark_small.yaml to results/benchmark_small/, a later one finds it
there. Then it is run once more, in a folder of its own that is empty at the start, and the tables
are compared byte by byte, and what the provenance says of where they come from.

Without a folder of data the data sets are downloaded, and the structures come from AlphaFold DB.
With one, its human proteins with a structure (contacts of AlphaFold's models) are what is sampled
from. The last line is JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config/benchmark_small.yaml"
NAME = "benchmark_small"
FILES = ("table.csv", "table.md", "macro_f1.svg")


def local_data(data: Path, folder: Path) -> dict[str, Any]:
    """What differs in the configuration where the data lie in `data`; writes tables to `folder`."""
    overlap = data / "af2_contacts/overlap_by_dataset.csv.gz"
    if not overlap.exists():
        sys.exit(f"{data}: no folder of the data sets, there is no {overlap}; correct DATA")
    known = pd.read_csv(overlap)
    known = known[known["graph_len_equal"] == 1]
    # Ensembl proteins are no accessions: the few that have a structure here are named.
    ensembl = known[known["dataset"] == "hpa_test_manifest_1717"].drop_duplicates("record_id")
    names = ensembl[["record_id", "accession"]].rename(columns={"record_id": "name"})
    names.to_csv(folder / "names.csv", index=False)

    def human(dataset: str, file: str, id_column: str) -> str:
        """The table's proteins with a structure, and the accessions that those have."""
        found = known[known["dataset"] == dataset].drop_duplicates("record_id")
        accessions = found.set_index("record_id")["accession"]
        table = pd.read_csv(data / file, dtype=str, keep_default_na=False)
        table = table[table[id_column].isin(accessions.index)]
        table["structure"] = table[id_column].map(accessions)
        path = folder / f"{dataset}.csv"
        table.to_csv(path, index=False)
        return str(path.resolve())

    deeploc = "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
    deeploc2 = {"proteins": human("deeploc2_swissprot", deeploc, "ACC")}
    test = {"proteins": str((data / "hpa/hpa_testset.csv.gz").resolve())}
    protgps = {"proteins": human("protgps", "protgps/protgps_dataset.csv.gz", "entry")}
    sources = [
        {"kind": "folder", "path": str((data / "afdb").resolve())},
        {"kind": "contacts", "path": str((data / "af2_contacts").resolve())},
    ]
    runs = {
        "deeploc2": {
            "title": "DeepLoc 2.0, 800 human proteins with a structure",
            "dataset": deeploc2,
        },
        "hpa": {
            "title": "HPA, trained on 800 human proteins of DeepLoc 2.0",
            "dataset": deeploc2 | {"test": test},
            "structures": {"names": str((folder / "names.csv").resolve())},
        },
        "protgps": {
            "title": "ProtGPS, 800 human proteins with a structure, duplicates merged",
            "dataset": protgps | {"accession": "structure"},
        },
    }
    return {"benchmark": {"runs": runs}, "structures": {"sources": sources}}


def snakemake(folder: Path, cores: int, configs: list[Path]) -> float:
    """Run the benchmark in `folder`, or end with its message; returns the seconds."""
    command = [sys.executable, "-m", "snakemake", "benchmark"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", *(str(path.resolve()) for path in configs)]
    # One thread each: sums are then made in the same order on every machine.
    command += ["--cores", str(cores), "--set-threads", "train=1", "embeddings=1"]
    start = time.monotonic()
    if subprocess.run(command, check=False).returncode:
        sys.exit(1)
    return time.monotonic() - start


def noted(folder: Path) -> dict[str, Any]:
    """What the table depends on, of the benchmark's provenance.

    The first run is at work in the workflow's own folder, and names it by nothing.
    """
    text = (folder / "provenance.json").read_text().replace("<workflow>/", "")
    runs = json.loads(text)["runs"]
    keys = ("config", "seeds", "inputs", "language_model", "software")
    return {name: {key: run[key] for key in keys} for name, run in runs.items()}


def main() -> None:
    """Run, run again, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the data sets, not to download them")
    parser.add_argument("--folder", type=Path, default=Path("results/reproduce"))
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    configs = [CONFIG]
    if arguments.data is not None:
        configs.append(arguments.folder / "data.yaml")
        config = local_data(arguments.data, arguments.folder)
        configs[-1].write_text(yaml.safe_dump(config, sort_keys=False))
    first = Path("results") / NAME
    seconds = {"first": snakemake(Path(), arguments.cores, configs)}
    again = arguments.folder / "again"
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    seconds["again"] = snakemake(again, arguments.cores, configs)
    same = {
        n: (first / n).read_bytes() == (again / "results" / NAME / n).read_bytes() for n in FILES
    }
    same["provenance"] = noted(first) == noted(again / "results" / NAME)
    print((first / "table.md").read_text())
    result = {"name": "reproduce", "same": same, "ok": all(same.values())}
    print(json.dumps(result | {f"seconds_{run}": round(took) for run, took in seconds.items()}))
    sys.exit(not result["ok"])


if __name__ == "__main__":
    main()
