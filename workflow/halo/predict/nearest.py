"""The nearest training protein of each query: MMseqs2 proposes it, an exact alignment decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.split.binary import run_mmseqs
from halo.split.mmseqs import MIN_UNGAPPED_SCORE, WORD
from halo.split.settings import Rule
from halo.text import open_text

# Largest number of training residues for an exhaustive ungapped comparison, which takes 0.02 s per
# query and is more sensitive. The k-mer index is faster for more residues, but needs 2 s and 500 MB
# before the first query. The choice does not depend on the queries, so that a query has the same
# neighbours alone and with others.
EXHAUSTIVE = 1_000_000
MOST = 300  # candidates per query that MMseqs2 aligns
EXACT = 20  # best hits of a query that are aligned exactly
COLUMNS = ("query", "target", "fident", "qstart", "qend", "qlen", "tstart", "tend", "tlen",
           "evalue", "bits")  # fmt: skip


@dataclass(frozen=True)
class Neighbour:
    """A training protein and its similarity to the query.

    `identity` is relative to the aligned columns, `coverage` to the shorter sequence. `similar`
    proteins are those that a split keeps together, by the optimal alignment; of other hits, the
    values are those of MMseqs2.
    """

    id: str
    labels: list[str]
    unknown: list[str]
    identity: float
    coverage: float
    evalue: float
    similar: bool


class TrainingSequences:
    """The training sequences of a bundle as a database of MMseqs2.

    Parameters
    ----------
    fasta : the bundle's ``training.fasta.xz``
    search : ``identity``, ``coverage``, ``evalue`` and ``sensitivity``
    scratch : folder in which the database is written
    threads : threads of MMseqs2
    """

    def __init__(
        self, fasta: Path, search: Mapping[str, float], scratch: Path, threads: int
    ) -> None:
        self._folder, self._search, self._threads = Path(scratch), search, threads
        self._entries: list[tuple[str, list[str], list[str]]] = []
        self._sequences: list[str] = []
        self._exact: dict[str, int] = {}
        self._residues = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        numbered = self._folder / "training.fasta"
        with open_text(fasta) as lines, numbered.open("w") as file:
            for header in lines:
                name, *labels = header[1:].rstrip("\n").split("\t")
                sequence = next(lines).rstrip("\n")
                self._residues += len(sequence)
                self._exact.setdefault(sha256_of_text(sequence), len(self._entries))
                file.write(f">{len(self._entries)}\n{sequence}\n")
                known, unknown = (text.split(";") if text else [] for text in (*labels, "", "")[:2])
                self._entries.append((name, known, unknown))
                self._sequences.append(sequence)
        self._database = self._folder / "training"
        run_mmseqs("createdb", numbered, self._database, "--dbtype", 1, "--shuffle", 0)
        numbered.unlink()

    def nearest(self, sequences: Sequence[str]) -> list[Neighbour | None]:
        """The nearest training protein of each sequence; None if MMseqs2 finds no alignment.

        It is the best alignment of a similar protein, or else the best hit of MMseqs2.
        """
        exact = [self._exact.get(sha256_of_text(sequence)) for sequence in sequences]
        others = [row for row, same in enumerate(exact) if same is None]
        hits = self._hits([sequences[row] for row in others])
        hit_of = dict(zip(others, hits, strict=True))
        return [
            self._neighbour(same, 1.0, 1.0, 0.0, similar=True) if same is not None else hit_of[row]
            for row, same in enumerate(exact)
        ]

    def _hits(self, sequences: Sequence[str]) -> list[Neighbour | None]:
        """The best MMseqs2 hit of each sequence."""
        if not sequences:
            return []
        with TemporaryDirectory(prefix="queries.", dir=self._folder) as folder:
            work = Path(folder)
            fasta, queries = work / "queries.fasta", work / "queries"
            fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(sequences)))
            run_mmseqs("createdb", fasta, queries, "--dbtype", 1, "--shuffle", 0)
            threads = ("--threads", self._threads)
            module: str = "ungappedprefilter"
            options: tuple[object, ...] = ()
            if self._residues > EXHAUSTIVE:
                module, options = "prefilter", ("-s", self._search["sensitivity"], "-k", WORD)
            run_mmseqs(
                *(module, queries, self._database, work / "candidates", *options),
                *("--min-ungapped-score", MIN_UNGAPPED_SCORE, "--max-seqs", MOST, *threads),
            )
            run_mmseqs(
                *("align", queries, self._database, work / "candidates", work / "aligned"),
                *("--alignment-mode", 3, "-e", self._search["evalue"], *threads),
            )
            run_mmseqs(
                *("convertalis", queries, self._database, work / "aligned", work / "hits.tsv"),
                *("--format-output", ",".join(COLUMNS), *threads),
            )
            table = pd.read_csv(work / "hits.tsv", sep="\t", header=None, names=list(COLUMNS))
        table = table.sort_values(["query", "bits", "fident", "target"], ascending=[1, 0, 0, 1])
        spans = table["qend"] - table["qstart"] + 1, table["tend"] - table["tstart"] + 1
        of_shorter = np.where(table["qlen"] < table["tlen"], *spans)
        table["coverage"] = of_shorter / np.minimum(table["qlen"], table["tlen"])
        best = table.drop_duplicates("query")
        nearest = {
            int(row.query): self._neighbour(
                int(row.target), row.fident, row.coverage, row.evalue, similar=False
            )
            for row in best.itertuples()
        }
        nearest |= self._similar(sequences, table)
        return [nearest.get(number) for number in range(len(sequences))]

    def _neighbour(
        self, target: int, identity: float, coverage: float, evalue: float, similar: bool
    ) -> Neighbour:
        name, labels, unknown = self._entries[target]
        digits = round(float(identity), 3), round(float(coverage), 3)
        return Neighbour(name, labels, unknown, *digits, float(evalue), similar)

    def _similar(self, sequences: Sequence[str], hits: pd.DataFrame) -> dict[int, Neighbour]:
        """The best alignment of a similar protein among the first hits of each sequence."""
        try:
            from halo.split.alignment import align, pair_tasks
        except ModuleNotFoundError as error:
            raise HaloError(
                f"{error.name} is not installed, which aligns the proteins with similar training "
                "proteins: conda install -c conda-forge parasail-python"
            ) from None
        rule = Rule(self._search["identity"], coverage=self._search["coverage"],
                    evalue=self._search["evalue"])  # fmt: skip
        near = hits.groupby("query").head(EXACT)
        targets, place = np.unique(near["target"].to_numpy(dtype=int), return_inverse=True)
        texts = [*sequences, *(self._sequences[target] for target in targets)]
        pairs = np.column_stack([near["query"].to_numpy(dtype=int), len(sequences) + place])
        aligned = align(texts, pair_tasks(pairs), rule, self._residues, processes=1)
        similar = aligned[aligned["similar"]].sort_values("score", ascending=False, kind="stable")
        return {
            row.a: self._neighbour(
                targets[row.b - len(sequences)],
                row.identity, row.coverage, row.evalue, similar=True,
            )
            for row in similar.drop_duplicates("a").itertuples()
        }  # fmt: skip
