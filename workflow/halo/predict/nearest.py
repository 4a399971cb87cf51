"""The nearest training protein of each query, by MMseqs2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from halo.files import sha256_of_text
from halo.split.binary import run_mmseqs
from halo.split.mmseqs import MIN_UNGAPPED_SCORE, WORD
from halo.text import open_text

# Residues of training sequences up to which every query is compared with all of them without gaps:
# it takes 0.02 s a query, and finds more. The index of words is faster for more, but costs 2 s and
# 500 MB before the first query. It does not depend on the queries, so that one alone and many
# together have the same neighbours.
EXHAUSTIVE = 1_000_000
MOST = 300  # candidates of a query that are aligned; the best one is wanted
COLUMNS = ("query", "target", "fident", "qstart", "qend", "qlen", "tstart", "tend", "tlen",
           "evalue", "bits")  # fmt: skip


@dataclass(frozen=True)
class Neighbour:
    """A training protein, and how like it the query is.

    `identity` is the share of the aligned columns, `coverage` that of the shorter sequence.
    """

    id: str
    labels: list[str]
    identity: float
    coverage: float
    evalue: float


class TrainingSequences:
    """The training sequences of a bundle as a database of MMseqs2.

    Parameters
    ----------
    fasta : the bundle's ``training.fasta.gz``
    search : ``evalue`` and ``sensitivity``
    scratch : folder of the database, which is made there
    threads : of MMseqs2
    """

    def __init__(
        self, fasta: Path, search: Mapping[str, float], scratch: Path, threads: int
    ) -> None:
        self._folder, self._search, self._threads = Path(scratch), search, threads
        self._entries: list[tuple[str, list[str]]] = []
        self._exact: dict[str, int] = {}
        self._residues = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        numbered = self._folder / "training.fasta"
        with open_text(fasta) as lines, numbered.open("w") as file:
            for header in lines:
                name, _, labels = header[1:].rstrip("\n").partition("\t")
                sequence = next(lines).rstrip("\n")
                self._residues += len(sequence)
                self._exact.setdefault(sha256_of_text(sequence), len(self._entries))
                file.write(f">{len(self._entries)}\n{sequence}\n")
                self._entries.append((name, labels.split(";") if labels else []))
        self._database = self._folder / "training"
        run_mmseqs("createdb", numbered, self._database, "--dbtype", 1, "--shuffle", 0)
        numbered.unlink()

    def nearest(self, sequences: Sequence[str]) -> list[Neighbour | None]:
        """The best hit of each sequence, None where MMseqs2 aligns it with nothing."""
        exact = [self._exact.get(sha256_of_text(sequence)) for sequence in sequences]
        others = [row for row, same in enumerate(exact) if same is None]
        hits = self._hits([sequences[row] for row in others])
        found = dict(zip(others, hits, strict=True))
        return [
            Neighbour(*self._entries[same], 1.0, 1.0, 0.0) if same is not None else found[row]
            for row, same in enumerate(exact)
        ]

    def _hits(self, sequences: Sequence[str]) -> list[Neighbour | None]:
        """The best hit of each sequence by MMseqs2."""
        if not sequences:
            return []
        with TemporaryDirectory(prefix="queries.", dir=self._folder) as folder:
            work = Path(folder)
            fasta, queries = work / "queries.fasta", work / "queries"
            fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(sequences)))
            run_mmseqs("createdb", fasta, queries, "--dbtype", 1, "--shuffle", 0)
            threads = ("--threads", self._threads)
            module, options = "ungappedprefilter", ()
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
        best = table.drop_duplicates("query")
        found = {int(row.query): self._neighbour(row) for row in best.itertuples()}
        return [found.get(number) for number in range(len(sequences))]

    def _neighbour(self, row: object) -> Neighbour:
        spans = {row.qlen: row.qend - row.qstart + 1, row.tlen: row.tend - row.tstart + 1}
        coverage = spans[min(spans)] / min(spans)
        return Neighbour(
            *self._entries[int(row.target)],
            round(float(row.fident), 3), round(coverage, 3), float(row.evalue),
        )  # fmt: skip
