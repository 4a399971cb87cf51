"""The nearest training protein of each query: MMseqs2 proposes it, an exact alignment decides."""

import logging
import lzma
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from halo.errors import HaloError
from halo.files import sha256_of_text
from halo.predict.search_index import cached_folder
from halo.proteins.ingest import RESIDUES
from halo.split.binary import mmseqs_version, run_mmseqs
from halo.split.mmseqs import MIN_UNGAPPED_SCORE, WORD
from halo.split.settings import Rule

log = logging.getLogger(__name__)

# Largest number of training residues for an exhaustive ungapped comparison, which takes 0.02 s per
# query and is more sensitive. A k-mer index is faster for more residues; it takes 5 s and 0.5 GB
# and is made once, see `halo.predict.search_index`. The choice does not depend on the queries, so
# that a query has the same neighbours alone and with others.
EXHAUSTIVE = 1_000_000
DATABASE = "training"
# Bytes of the training sequences when they are unpacked: so many, and so many for each packed one.
# Proteins take a half of theirs, and those of the demo, which repeat, a tenth.
UNPACKED_LEAST, UNPACKED_MOST = 1 << 20, 100
UNPACKER_MEMORY = 1 << 27  # bytes; xz -9 needs half of them
MOST = 300  # candidates per query that MMseqs2 aligns
EXACT = 20  # best hits of a query that are aligned exactly
COLUMNS = ("query", "target", "fident", "qstart", "qend", "qlen", "tstart", "tend", "tlen",
           "evalue", "bits")  # fmt: skip


@dataclass(frozen=True)
class Neighbour:
    """A training protein and its similarity to the query.

    `identity` is relative to the aligned columns, `coverage` to the shorter sequence. `similar`
    proteins are those that a split keeps together, by the optimal alignment; of other hits, the
    values are those of MMseqs2. `query_coverage` and `training_coverage` are the shares of either
    protein between its first and last aligned residue, 0 to 1; in the training protein, which has
    `length` residues, these are `start` and `end`, from 1.
    """

    id: str
    labels: list[str]
    unknown: list[str]
    identity: float
    coverage: float
    evalue: float
    similar: bool
    query_coverage: float
    training_coverage: float
    length: int
    start: int
    end: int


def read_training(file: Path) -> tuple[list[str], list[str]]:
    """Headers, without the ``>``, and sequences of a bundle's ``training.fasta.xz``.

    HaloError if it is no xz, no FASTA of proteins, or unpacks to more than sequences can.
    """
    fix = "copy the bundle again"
    limit = UNPACKED_LEAST + UNPACKED_MOST * file.stat().st_size
    try:
        unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=UNPACKER_MEMORY)
        content = unpack.decompress(file.read_bytes(), max_length=limit)
        text = content.decode("utf-8")
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise HaloError(f"{file}: damaged, no xz of a FASTA ({error}); {fix}") from None
    if not unpack.eof:
        most = f"cut off, or more than {limit:,} bytes when it is unpacked"
        raise HaloError(f"{file}: damaged, {most}; {fix}")
    first, *records = text.split("\n>") if text else [""]
    if not first.startswith(">"):
        raise HaloError(f"{file}: damaged, line 1 is no header of a FASTA; {fix}")
    headers, sequences = [], []
    for record in (first[1:], *records):
        header, _, rest = record.partition("\n")
        sequence = rest.replace("\n", "")
        if not sequence or not RESIDUES.issuperset(sequence):
            raise HaloError(f"{file}: damaged, {header[:60]!r} has no protein sequence; {fix}")
        headers.append(header)
        sequences.append(sequence)
    return headers, sequences


class TrainingSequences:
    """The training sequences of a bundle, searched by MMseqs2.

    Parameters
    ----------
    fasta : the bundle's ``training.fasta.xz``
    search : ``sensitivity`` and keys of `Rule`
    scratch : folder for temporary files
    threads : threads of MMseqs2
    groups : labels of each group, of which a similar protein with a known label is looked for
    """

    def __init__(
        self,
        fasta: Path,
        search: Mapping[str, Any],
        scratch: Path,
        threads: int,
        groups: Sequence[Sequence[str]] = (),
    ) -> None:
        self._groups = [set(labels) for labels in groups]
        self._folder, self._search, self._threads = Path(scratch), search, threads
        self._folder.mkdir(parents=True, exist_ok=True)
        self._headers, self._sequences = read_training(fasta)
        self._residues = sum(map(len, self._sequences))
        self._exact: dict[str, int] = {}
        for row, sequence in enumerate(self._sequences):
            self._exact.setdefault(sequence, row)

    @cached_property
    def _database(self) -> Path:
        """The database of MMseqs2, in which the names of the sequences are their rows."""
        if self._residues <= EXHAUSTIVE:
            return self._make_database(self._folder)
        return self._indexed or self._make_database(self._folder)

    @cached_property
    def _indexed(self) -> Path | None:
        """The database with a k-mer index in the user's cache; None if it cannot be kept there."""
        content = "\n".join([mmseqs_version(), *map(str, self._sensitive), *self._sequences])

        def make(folder: Path) -> None:
            log.info("making the search index of the training sequences, once")
            database = self._make_database(folder)
            with TemporaryDirectory(prefix="index.", dir=self._folder) as scratch:
                threads = ("--threads", self._threads)
                run_mmseqs("createindex", database, scratch, *self._sensitive, *threads)

        folder = cached_folder(f"search/{sha256_of_text(content)[:20]}", make)
        return folder and folder / DATABASE

    @contextmanager
    def _naming_index(self) -> Iterator[None]:
        """Name the folder of the index where a search with it fails."""
        try:
            yield
        except HaloError as error:
            if self._residues <= EXHAUSTIVE or not self._indexed:
                raise
            folder = self._indexed.parent
            raise HaloError(
                f"{error}. The search index is {folder}: delete it to make it again"
            ) from None

    @property
    def _sensitive(self) -> tuple[object, ...]:
        """Options of the search for k-mers, and of its index."""
        return "-s", self._search["sensitivity"], "-k", WORD

    def _make_database(self, folder: Path) -> Path:
        fasta, database = folder / "training.fasta", folder / DATABASE
        fasta.write_text("".join(f">{row}\n{text}\n" for row, text in enumerate(self._sequences)))
        run_mmseqs("createdb", fasta, database, "--dbtype", 1, "--shuffle", 0)
        fasta.unlink()
        return database

    @cached_property
    def shortest(self) -> int:
        """Residues of the shortest sequence."""
        return min(map(len, self._sequences))

    def nearest(self, sequences: Sequence[str]) -> list[list[Neighbour]]:
        """The nearest training proteins of each sequence.

        They are the similar ones among MMseqs2's first hits, the best alignment first, until every
        group of labels is annotated in one of them; without a similar one, the best hit alone;
        nothing if MMseqs2 finds no alignment. A sequence that is in the training is the first.
        """
        found = [self._same(sequence) for sequence in sequences]
        asked = [row for row, same in enumerate(found) if not same or not self._suffice(same)]
        for row, others in zip(asked, self._hits([sequences[row] for row in asked]), strict=True):
            same = found[row]
            similar = (
                [one for one in others if one.similar and one.id != same[0].id] if same else []
            )
            found[row] = same + similar if same else others
        return found

    def _suffice(self, similar: Sequence[Neighbour]) -> bool:
        """Whether in each group, a label of one of these proteins is known."""
        return all(any(group - set(one.unknown) for one in similar) for group in self._groups)

    def _same(self, sequence: str) -> list[Neighbour]:
        """The training protein with this sequence, if there is one."""
        row = self._exact.get(sequence)
        if row is None:
            return []
        length = len(sequence)
        return [self._neighbour(row, 1.0, 1.0, 0.0, True, (1.0, 1.0), (1, length))]

    def _hits(self, sequences: Sequence[str]) -> list[list[Neighbour]]:
        """What MMseqs2 finds for each sequence; see `nearest`."""
        if not sequences:
            return []
        with TemporaryDirectory(prefix="queries.", dir=self._folder) as folder:
            work = Path(folder)
            fasta, queries = work / "queries.fasta", work / "queries"
            fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(sequences)))
            run_mmseqs("createdb", fasta, queries, "--dbtype", 1, "--shuffle", 0)
            threads = ("--threads", self._threads)
            module, target = "ungappedprefilter", self._database
            options: tuple[object, ...] = ()
            if self._residues > EXHAUSTIVE:
                module, options = "prefilter", self._sensitive
                target = self._database.with_suffix(".idx") if self._indexed else self._database
            with self._naming_index():
                run_mmseqs(
                    *(module, queries, target, work / "candidates", *options),
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
        table["qcov"], table["tcov"] = spans[0] / table["qlen"], spans[1] / table["tlen"]
        of_shorter = np.where(table["qlen"] < table["tlen"], *spans)
        table["coverage"] = of_shorter / np.minimum(table["qlen"], table["tlen"])
        best = table.drop_duplicates("query")
        nearest = {
            int(row.query): [
                self._neighbour(
                    int(row.target), row.fident, row.coverage, row.evalue, False,
                    (row.qcov, row.tcov), (row.tstart, row.tend),
                )
            ]
            for row in best.itertuples()
        }  # fmt: skip
        nearest |= self._similar(sequences, table)
        return [nearest.get(number, []) for number in range(len(sequences))]

    def _neighbour(
        self,
        target: int,
        identity: float,
        coverage: float,
        evalue: float,
        similar: bool,
        of_both: tuple[float, float],
        part: tuple[int, int],
    ) -> Neighbour:
        """`of_both` are the coverages of both, `part` is the aligned part of the target."""
        name, *fields = self._headers[target].split("\t")
        labels, unknown = (text.split(";") if text else [] for text in (*fields, "", "")[:2])
        digits = round(float(identity), 3), round(float(coverage), 3)
        covered = round(float(of_both[0]), 3), round(float(of_both[1]), 3)
        length, (start, end) = len(self._sequences[target]), map(int, part)
        return Neighbour(
            name, labels, unknown, *digits, float(evalue), similar, *covered, length, start, end
        )

    def _similar(self, sequences: Sequence[str], hits: pd.DataFrame) -> dict[int, list[Neighbour]]:
        """The similar proteins among the first hits of each sequence; see `nearest`."""
        try:
            from halo.split.alignment import align, aligned_part, pair_tasks
        except ModuleNotFoundError as error:
            raise HaloError(
                f"{error.name} is not installed, which aligns the proteins with similar training "
                "proteins: conda install -c conda-forge -c bioconda parasail-python"
            ) from None
        keys = {each.name for each in fields(Rule)}
        rule = Rule(**{key: value for key, value in self._search.items() if key in keys})
        near = hits.groupby("query").head(EXACT)
        targets, place = np.unique(near["target"].to_numpy(dtype=int), return_inverse=True)
        texts = [*sequences, *(self._sequences[target] for target in targets)]
        pairs = np.column_stack([near["query"].to_numpy(dtype=int), len(sequences) + place])
        aligned = align(texts, pair_tasks(pairs), rule, self._residues, processes=1)
        similar = aligned[aligned["similar"]].sort_values("score", ascending=False, kind="stable")
        found: dict[int, list[Neighbour]] = {}
        for row in similar.itertuples():
            if row.a in found and self._suffice(found[row.a]):
                continue
            part = aligned_part(texts[row.a], texts[row.b])
            assert part is not None  # they are aligned
            one = self._neighbour(
                int(targets[row.b - len(sequences)]), row.identity, row.coverage, row.evalue, True,
                (row.covered_a, row.covered_b), part,
            )  # fmt: skip
            found.setdefault(row.a, []).append(one)
        return found
