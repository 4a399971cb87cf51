"""The all-against-all search that the similarity graph is made of."""

import logging
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from halo.split.binary import run_mmseqs

log = logging.getLogger(__name__)

COLUMNS = {
    "query": np.int64,
    "target": np.int64,
    "fident": float,
    "alnlen": np.int64,
    "qstart": np.int64,
    "qend": np.int64,
    "qlen": np.int64,
    "tstart": np.int64,
    "tend": np.int64,
    "tlen": np.int64,
    "evalue": float,
    "bits": float,
}
# Measured by aligning all pairs of 1,500 proteins of DeepLoc 2.0: words of 5 residues find as
# many similar pairs (193 of 196) at -s 5.7 as words of 6, MMseqs2's choice, do at -s 7.5, in a
# fifth of the time. Candidates whose best diagonal scores below 30 are 6 in 10 and are not
# aligned: 1 in 600 of the similar pairs of 4,000 proteins is among them.
WORD = 5
MIN_UNGAPPED_SCORE = 30


def all_against_all(
    sequences: Sequence[str],
    evalue: float,
    sensitivity: float,
    max_hits: int,
    threads: int,
    scratch: Path,
) -> pd.DataFrame:
    """Search every sequence against all others.

    Parameters
    ----------
    sequences : distinct sequences; their order has no influence on what is found
    evalue : largest E-value of a hit
    sensitivity : MMseqs2's ``-s``
    max_hits : candidates of a query that are aligned; queries with more are searched again
        with ten times as many, until all fit
    threads : threads of MMseqs2
    scratch : folder in which a temporary one is made and removed

    Returns
    -------
    Table with a row for each hit: ``query`` and ``target`` (indices into `sequences`, never
    equal), ``identical`` (identical residues), ``columns`` (of the alignment),
    ``query_coverage``, ``target_coverage`` (spanned share of the sequence), ``evalue``,
    ``bits``; sorted by query and target. A pair may be found in one direction only.
    """
    with TemporaryDirectory(prefix="mmseqs.", dir=scratch) as folder:
        work = Path(folder)
        fasta = work / "sequences.fasta"
        fasta.write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(sequences)))
        run_mmseqs("createdb", fasta, work / "all", "--dbtype", 1, "--shuffle", 0)
        tables = []
        queries, limit = work / "all", max_hits
        for attempt in range(64):
            candidates = work / f"candidates{attempt}"
            run_mmseqs(
                *("prefilter", queries, work / "all", candidates),
                *("-s", sensitivity, "-k", WORD, "--min-ungapped-score", MIN_UNGAPPED_SCORE),
                *("--max-seqs", limit, "--threads", threads),
            )
            tables.append(_align(work, queries, candidates, evalue, threads))
            full = _queries_at_limit(candidates, limit)
            if not full:
                break
            limit *= 10
            log.info("%s queries have more candidates; taking %s", f"{len(full):,}", f"{limit:,}")
            keys = work / f"keys{attempt}"
            keys.write_text("".join(f"{key}\n" for key in full))
            queries = work / f"queries{attempt}"
            run_mmseqs("createsubdb", keys, work / "all", queries)
    hits = pd.concat(tables, ignore_index=True)
    hits = hits[hits["query"] != hits["target"]]
    hits = hits.drop_duplicates(["query", "target"], keep="last")
    return hits.sort_values(["query", "target"], ignore_index=True)


def _align(
    work: Path, queries: Path, candidates: Path, evalue: float, threads: int
) -> pd.DataFrame:
    aligned, text = candidates.with_suffix(".aligned"), candidates.with_suffix(".tsv")
    run_mmseqs(
        *("align", queries, work / "all", candidates, aligned),
        *("--alignment-mode", 3, "-e", evalue, "--threads", threads),
    )
    run_mmseqs(
        *("convertalis", queries, work / "all", aligned, text),
        *("--format-output", ",".join(COLUMNS), "--threads", threads),
    )
    raw = pd.read_csv(text, sep="\t", header=None, names=list(COLUMNS), dtype=COLUMNS)
    return pd.DataFrame(
        {
            "query": raw["query"],
            "target": raw["target"],
            "identical": (raw["fident"] * raw["alnlen"]).round().astype(np.int64),
            "columns": raw["alnlen"],
            "query_coverage": (raw["qend"] - raw["qstart"] + 1) / raw["qlen"],
            "target_coverage": (raw["tend"] - raw["tstart"] + 1) / raw["tlen"],
            "evalue": raw["evalue"],
            "bits": raw["bits"],
        }
    )


def _queries_at_limit(candidates: Path, limit: int) -> list[int]:
    """Keys of the queries for which `limit` candidates were written.

    The index of a database has a row for each query: its key, and where its entry starts and
    how long it is, in bytes. An entry has a line for each candidate. A database may be in
    several files, of which the second continues the first.
    """
    index = np.loadtxt(f"{candidates}.index", dtype=np.int64, ndmin=2)
    parts = sorted(
        candidates.parent.glob(f"{candidates.name}.[0-9]*"), key=lambda path: int(path.suffix[1:])
    )
    full, begin = [], 0
    for path in parts or [candidates]:
        size = path.stat().st_size
        here = index[(index[:, 1] >= begin) & (index[:, 1] < begin + size)]
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            for key, start, length in here.tolist():
                entry = data[start - begin : start - begin + length]
                if entry.count(b"\n") >= limit:
                    full.append(key)
        begin += size
    return full
