"""The audit: does an assignment keep what it promises?

It trusts nothing of what made the assignment. From the proteins, the assignment and the rule
alone it searches for similar proteins in different parts in its own way: MMseqs2 with other
settings, then exact alignment of what the search leaves in doubt. It shares no code with the
partitioner, save for where the program MMseqs2 is.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from halo.proteins.accessions import parse_accession
from halo.split.audit_search import search
from halo.split.audit_units import Units
from halo.split.exact import align_all
from halo.split.settings import AuditSettings, Rule


@dataclass(frozen=True)
class Findings:
    """What one audit of one assignment found.

    Attributes
    ----------
    leaks
        A row for each pair of similar sequences in different parts: ``id_a``, ``id_b`` (a
        protein of each), ``identity``, ``coverage``, ``evalue``, ``exact`` (whether measured
        by exact alignment), ``folds`` (those in which they are apart, separated by blanks).
    identity
        A row for each protein: ``id``; ``max_cross_identity``, its highest identity to a
        protein in another part with the coverage of the rule; ``max_local_identity``, the
        same whatever the coverage. Missing where no protein in another part is a hit.
    n_leaking
        Proteins that have a similar one in another part.
    n_leaking_tests
        Proteins that, where they are the test, have a similar one in training or validation.
    n_identical_apart, n_isoforms_apart
        Sequences, and UniProt accessions, whose proteins are in different parts.
    """

    leaks: pd.DataFrame
    identity: pd.DataFrame
    n_leaking: int
    n_leaking_tests: int
    n_identical_apart: int
    n_isoforms_apart: int

    @property
    def clean(self) -> bool:
        """Whether nothing that belongs together is in different parts."""
        return not (len(self.leaks) or self.n_identical_apart or self.n_isoforms_apart)


class Auditor:
    """Audits assignments of the same proteins, one after the other.

    The search is done once, at the start; what is aligned exactly is remembered.

    Parameters
    ----------
    table : columns ``id``, ``accession``, ``sequence`` and ``seq_hash``, a row a protein
    rule : when two proteins are similar
    settings : how hard to look
    threads : threads of the search, and processes of the exact alignment
    scratch : folder in which a temporary one is made and removed
    asked : bool [n_proteins], those of which the relatives are sought; None for all. Of two
        proteins that can be apart, one must be asked about
    """

    def __init__(
        self,
        table: pd.DataFrame,
        rule: Rule,
        settings: AuditSettings,
        threads: int,
        scratch: Path,
        asked: np.ndarray | None = None,
    ) -> None:
        self.rule, self.settings, self.threads = rule, settings, threads
        self.table = table[["id", "accession", "seq_hash"]].reset_index(drop=True)
        distinct = table.drop_duplicates("seq_hash").sort_values("seq_hash")
        self.hashes = distinct["seq_hash"].to_numpy(dtype=object)
        self.sequences = distinct["sequence"].to_numpy(dtype=object)
        self.place = pd.Index(distinct["seq_hash"]).get_indexer(self.table["seq_hash"])
        queries = np.unique(self.place if asked is None else self.place[asked])
        found = search(self.sequences, queries, rule, settings.sensitivity, threads, scratch)
        self.pairs = found.assign(similar=self._similar(found), exact=False)
        self.n_aligned = 0

    def examine(self, assignments: pd.DataFrame) -> Findings:
        """Look for similar proteins in different parts of `assignments`."""
        parts = assignments.set_index("id").filter(regex="^part_").loc[self.table["id"]]
        units = Units(self.place, parts.to_numpy(dtype=object))
        apart = units.apart(self.pairs["a"].to_numpy(), self.pairs["b"].to_numpy())
        self._align_doubtful(np.unique(apart["pair"]))
        apart = apart.join(self.pairs, on="pair")
        leaks = apart[apart["similar"]]
        covered = apart[apart["coverage"] >= self.rule.coverage]
        in_unit = np.isin(units.of_record, leaks[["unit_a", "unit_b"]])
        tested = np.concatenate(
            [leaks.loc[leaks[f"tests_{side}"], f"unit_{side}"].to_numpy() for side in "ab"]
        )
        return Findings(
            leaks=self._leak_table(leaks, units, parts.columns.str.removeprefix("part_")),
            identity=pd.DataFrame(
                {
                    "id": self.table["id"],
                    "max_cross_identity": units.highest(covered).round(4),
                    "max_local_identity": units.highest(apart).round(4),
                }
            ).sort_values("id", ignore_index=True),
            n_leaking=int(in_unit.sum()),
            n_leaking_tests=int(np.isin(units.of_record, tested).sum()),
            n_identical_apart=units.keys_apart(self.place.astype(str)),
            n_isoforms_apart=units.keys_apart(self.table["accession"].map(_accession_base)),
        )

    def similar_pairs(self) -> np.ndarray:
        """All pairs known to be similar so far, apart or not: hashes of sequences [n_pairs, 2]."""
        found = self.pairs.loc[self.pairs["similar"], ["a", "b"]].to_numpy()
        return self.hashes[found]

    def _similar(self, pairs: pd.DataFrame) -> pd.Series:
        rule = self.rule
        return (pairs["identity"] >= rule.identity) & (pairs["coverage"] >= rule.coverage)

    def _align_doubtful(self, rows: np.ndarray) -> None:
        """Align exactly those of `rows` of the pairs that may be similar but were not called so.

        A pair is similar where the search or the exact alignment says so.
        """
        rule, margin, pairs = self.rule, self.settings.margin, self.pairs
        near = pairs.loc[rows]
        near = near[
            ~near["exact"]
            & ~near["similar"]
            & (near["identity"] >= rule.identity - margin)
            & (near["coverage"] >= rule.coverage - margin)
        ]
        first, second = (self.sequences[near[side]] for side in "ab")
        measured = align_all(list(zip(first, second, strict=True)), self.threads)
        rows, values = [], []
        for row, a, b, result in zip(near.index, first, second, measured, strict=True):
            if result is not None:
                rows.append(row)
                values.append(self._measures(result, len(a), len(b)))
        self.n_aligned += len(rows)
        pairs.loc[rows, ["identity", "coverage"]] = np.array(values).reshape(-1, 2)
        pairs.loc[rows, "exact"] = True
        pairs.loc[rows, "similar"] = self._similar(pairs.loc[rows])

    def _measures(
        self, result: tuple[int, int, float, float], length_a: int, length_b: int
    ) -> tuple[float, float]:
        """Identity and coverage by the rule."""
        identical, columns, covered_a, covered_b = result
        whole = columns if self.rule.identity_of == "aligned" else min(length_a, length_b)
        if self.rule.coverage_of == "both":
            return identical / whole, min(covered_a, covered_b)
        shorter = {True: covered_a, False: covered_b}[length_a < length_b]
        return identical / whole, shorter if length_a != length_b else max(covered_a, covered_b)

    def _leak_table(self, leaks: pd.DataFrame, units: Units, folds: pd.Index) -> pd.DataFrame:
        ids = self.table["id"].to_numpy(dtype=object)[units.first_record]
        names = folds.to_numpy(dtype=object)
        where_apart = units.folds_apart(leaks["unit_a"].to_numpy(), leaks["unit_b"].to_numpy())
        table = pd.DataFrame(
            {
                "id_a": ids[leaks["unit_a"]],
                "id_b": ids[leaks["unit_b"]],
                "identity": leaks["identity"].round(4),
                "coverage": leaks["coverage"].round(4),
                "evalue": leaks["evalue"],
                "exact": leaks["exact"],
                "folds": [" ".join(names[where]) for where in where_apart],
            }
        )
        return table.sort_values(["identity", "id_a", "id_b"], ascending=[False, True, True])


def _accession_base(accession: str) -> str:
    parsed = parse_accession(accession)
    return parsed.base if parsed else ""
