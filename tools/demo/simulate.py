"""Simulate the demo's inputs: labelled proteins, their signals, and models of their structures.

Everything follows from the seed; a second run writes the same bytes. README.md describes the
files.
"""

import argparse
import gzip
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

import backbone
import modelcif
from sequences import LABELS, Protein, simulate_proteins

SEED = 22
NUMBER = 240
MODELLED = 2 / 3  # share of the proteins that have a structure


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[2] / "resources/demo"
    parser.add_argument("--out", type=Path, default=here, help="folder to write to")
    parser.add_argument("--number", type=int, default=NUMBER, help="of proteins, 60 to 999")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if not 60 <= arguments.number <= 999:
        parser.error("--number: give 60 to 999")
    simulate(arguments.out, arguments.number, arguments.seed)


def simulate(out: Path, number: int = NUMBER, seed: int = SEED) -> list[Protein]:
    """Write ``proteins.csv``, ``signals.csv`` and ``afdb/`` below `out`; give the proteins.

    Models that an earlier run left in ``afdb/`` are replaced.
    """
    rng = Random(seed)
    proteins = simulate_proteins(number, rng)
    folder = Path(out) / "afdb"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("AF-*.cif.gz"):
        old.unlink()
    protein_table(proteins).to_csv(Path(out) / "proteins.csv", index=False, lineterminator="\n")
    signal_table(proteins).to_csv(Path(out) / "signals.csv", index=False, lineterminator="\n")
    for protein in modelled(proteins, rng):
        write_model(folder / modelcif.file_name(protein.accession), protein, seed)
    return proteins


def modelled(proteins: list[Protein], rng: Random) -> list[Protein]:
    """The proteins that get a structure: no isoforms, as in AlphaFold DB's bulk files."""
    canonical = [protein for protein in proteins if "-" not in protein.accession]
    chosen = rng.sample(canonical, round(MODELLED * len(proteins)))
    return sorted(chosen, key=lambda protein: protein.id)


def protein_table(proteins: list[Protein]) -> pd.DataFrame:
    """The proteins with a 0/1 column a label, as the pipeline's input wants them."""
    rows = [
        {
            "id": protein.id,
            "accession": protein.accession,
            "kingdom": protein.kingdom,
            **{label: int(label in protein.labels) for label in LABELS},
            "sequence": protein.sequence,
        }
        for protein in proteins
    ]
    return pd.DataFrame(rows)


def signal_table(proteins: list[Protein]) -> pd.DataFrame:
    """Where the signals and decoys are: first and last residue, counted from 1."""
    rows = [(protein.id, *signal) for protein in proteins for signal in protein.signals()]
    return pd.DataFrame(rows, columns=["id", "signal", "start", "end"])


def write_model(path: Path, protein: Protein, seed: int) -> None:
    """Fold a protein, with random numbers of its own, and write its model."""
    rng = np.random.default_rng([seed, int(protein.id.removeprefix("DEMO"))])
    atoms = backbone.fold(protein.states, rng)
    plddt = backbone.confidence(protein.states, rng)
    text = modelcif.model_text(protein.accession, protein.sequence, atoms, plddt)
    path.write_bytes(gzip.compress(text.encode("ascii"), mtime=0))


if __name__ == "__main__":
    main()
