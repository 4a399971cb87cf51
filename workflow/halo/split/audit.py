"""Audit an assignment: search for similar proteins in different parts.

The audit is independent of the code that made the assignment and uses only the proteins, the
assignment and the rule of similarity. For a small data set it aligns all pairs. For a large one it
aligns the pairs that a search of its own proposes, and aligns a random sample of the proteins with
all others to estimate how many pairs the search misses. It shares only the aligner, which defines
similarity, and the location of MMseqs2 with the rest of the package.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta

from halo.proteins.accessions import parse_accession
from halo.split.alignment import align, align_with_all, pair_tasks, too_short, total_residues
from halo.split.audit_search import hard_to_find, search
from halo.split.audit_units import Units
from halo.split.settings import AuditSettings, Rule

CONFIDENCE = 0.95
SEED = 1  # of the sample


@dataclass(frozen=True)
class Findings:
    """Result of one audit of one assignment.

    Attributes
    ----------
    leaks
        One row for each pair of similar sequences in different parts: ``id_a``, ``id_b`` (a
        protein of each), ``identity``, ``coverage``, ``evalue``, ``folds`` (the folds in which
        their parts differ, separated by spaces).
    identity
        One row for each protein: ``id``; ``max_cross_identity``, its highest identity to a
        protein that is in another part of any fold, with the rule's coverage;
        ``max_local_identity``, the same at any coverage; ``max_test_identity``, the same as the
        first in the folds that test the protein, so to training, validation and calibration
        alone; ``too_short``, whether an identical protein would still exceed the rule's E-value.
        Missing if it has no hit there; copies of its sequence, which are not aligned, are hits.
    n_leaking
        Number of proteins with a similar one, or a copy, in another part.
    n_leaking_tests
        Number of test proteins with one in training, validation or calibration.
    n_identical_apart, n_isoforms_apart
        Number of sequences, and of UniProt accessions, with proteins in different parts.
    n_missed
        Number of sampled sequences with a leak that the search did not propose.
    """

    leaks: pd.DataFrame
    identity: pd.DataFrame
    n_leaking: int
    n_leaking_tests: int
    n_identical_apart: int
    n_isoforms_apart: int
    n_missed: int

    @property
    def clean(self) -> bool:
        """Whether there is no leak."""
        return not (len(self.leaks) or self.n_identical_apart or self.n_isoforms_apart)


class Auditor:
    """Audits several assignments of the same proteins; searches and aligns only once.

    Parameters
    ----------
    table : columns ``id``, ``accession``, ``sequence`` and ``seq_hash``, one row per protein
    rule : thresholds of similarity
    settings : sensitivity and sample size
    threads : threads of the search, and processes of the alignment
    scratch : folder for temporary files
    queried : bool [n_proteins], proteins whose similar ones are searched; None for all. Of two
        proteins that can be in different parts, at least one must be queried

    Attributes
    ----------
    pairs
        Pairs of distinct sequences below the rule's E-value, see `halo.split.alignment.align`,
        and whether each was ``proposed`` by the search.
    complete
        Whether every pair was aligned.
    n_sampled, n_queried
        Number of queried sequences that were aligned with all others, and of all queried ones.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        rule: Rule,
        settings: AuditSettings,
        threads: int,
        scratch: Path,
        queried: np.ndarray | None = None,
    ) -> None:
        self.rule = rule
        self.table = table[["id", "accession", "seq_hash"]].reset_index(drop=True)
        distinct = table.drop_duplicates("seq_hash").sort_values("seq_hash")
        self.hashes = distinct["seq_hash"].to_numpy(dtype=object)
        sequences = distinct["sequence"].to_numpy(dtype=object)
        self.place = pd.Index(distinct["seq_hash"]).get_indexer(self.table["seq_hash"])
        queries = np.unique(self.place if queried is None else self.place[queried])
        sample = np.random.default_rng(SEED).permutation(queries)[: settings.exact]
        self.n_sampled, self.n_queried = len(sample), len(queries)
        self.complete = self.n_sampled == self.n_queried
        self.sampled = np.isin(np.arange(len(sequences)), sample)
        how = rule, total_residues(sequences), threads
        self.too_short = np.array([too_short(text, rule.evalue, how[1]) for text in sequences])
        tables = [align_with_all(sequences, np.sort(sample), *how).assign(proposed=False)]
        if not self.complete:
            hard = np.array([hard_to_find(text) for text in sequences])
            pairs = search(sequences, queries, settings.sensitivity, threads, scratch)
            pairs = pairs[~hard[pairs].any(axis=1)]
            tables += [
                align(sequences, pair_tasks(pairs), *how).assign(proposed=True),
                align_with_all(sequences, np.flatnonzero(hard), *how).assign(proposed=True),
            ]
        known = pd.concat(tables).sort_values(["a", "b", "proposed"])
        self.pairs = known.drop_duplicates(["a", "b"], keep="last", ignore_index=True)

    def examine(self, assignments: pd.DataFrame, sample: bool = True) -> Findings:
        """Find similar proteins in different parts of `assignments`.

        Without `sample`, only pairs that the search proposed are used.
        """
        parts = assignments.set_index("id").filter(regex="^part_").loc[self.table["id"]]
        units = Units(self.place, parts.to_numpy(dtype=object))
        pairs = self._known(sample)
        apart = units.apart(pairs["a"].to_numpy(), pairs["b"].to_numpy())
        apart = apart.join(pairs, on="pair")
        leaks = apart[apart["similar"]]
        copies = units.copies_apart()
        covered = pd.concat([apart[apart["coverage"] >= self.rule.coverage], copies])
        leaking = pd.concat([leaks, copies])
        in_unit = np.isin(units.of_record, leaking[["unit_a", "unit_b"]])
        tested = np.concatenate(
            [leaking.loc[leaking[f"tests_{side}"], f"unit_{side}"].to_numpy() for side in "ab"]
        )
        missed = np.unique(leaks.loc[~leaks["proposed"].astype(bool), ["a", "b"]])
        return Findings(
            leaks=self._leak_table(leaks, units, parts.columns.str.removeprefix("part_")),
            identity=pd.DataFrame(
                {
                    "id": self.table["id"],
                    "max_cross_identity": units.highest(covered).round(4),
                    "max_local_identity": units.highest(pd.concat([apart, copies])).round(4),
                    "max_test_identity": units.highest(covered, tested=True).round(4),
                    "too_short": self.too_short[self.place],
                }
            ).sort_values("id", ignore_index=True),
            n_leaking=int(in_unit.sum()),
            n_leaking_tests=int(np.isin(units.of_record, tested).sum()),
            n_identical_apart=units.keys_apart(self.place.astype(str)),
            n_isoforms_apart=units.keys_apart(self.table["accession"].map(_accession_base)),
            n_missed=int(self.sampled[missed.astype(np.int64)].sum()),
        )

    def similar_pairs(self, sample: bool = True) -> np.ndarray:
        """All pairs known to be similar, in any parts: sequence hashes [n_pairs, 2].

        Without `sample`, only pairs that the search proposed.
        """
        pairs = self._known(sample)
        return self.hashes[pairs.loc[pairs["similar"], ["a", "b"]].to_numpy()]

    def miss_rate(self, n_missed: int | None) -> dict[str, float] | None:
        """How many leaks the search misses, estimated from the sample.

        Parameters
        ----------
        n_missed : see `Findings`

        Returns
        -------
        number of sampled ``proteins`` (distinct sequences) and number ``of`` all queried ones, how
        many were ``missed``, their ``rate``, and the ``upper_bound`` of the rate among all: the
        one-sided Clopper-Pearson (1934) bound with the given ``confidence``; None if every pair
        was aligned
        """
        if self.complete:
            return None
        assert n_missed is not None  # the sample was aligned
        n = self.n_sampled
        highest = 1.0 if n_missed == n else float(beta.ppf(CONFIDENCE, n_missed + 1, n - n_missed))
        return {
            "proteins": n,
            "of": self.n_queried,
            "missed": n_missed,
            "rate": n_missed / n,
            "upper_bound": highest,
            "confidence": CONFIDENCE,
        }

    def _known(self, sample: bool) -> pd.DataFrame:
        if sample:
            return self.pairs
        return self.pairs[self.pairs["proposed"]].reset_index(drop=True)

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
                "folds": [" ".join(names[where]) for where in where_apart],
            }
        )
        return table.sort_values(["identity", "id_a", "id_b"], ascending=[False, True, True])


def _accession_base(accession: str) -> str:
    parsed = parse_accession(accession)
    return parsed.base if parsed else ""
