"""Parts of the fold with all proteins: nothing is left out, and nothing similar is apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.proteins.table import Proteins
from halo.split.all_proteins import all_proteins
from halo.split.settings import Fractions, SplitSettings
from made_proteins import protein_table

KFOLD = SplitSettings(val_fraction=0.2, cal_fraction=0.1)
FRACTIONS = SplitSettings(mode="fractions", fractions=Fractions(0.35, 0.1, 0.05, 0.5))
COLUMNS = ["query", "target"]


def make(seed, count=80, pairs=60):
    """Proteins of which some have one sequence or accession, groups of a split, and hits."""
    rng = np.random.default_rng(seed)
    sequences = [f"A{number}" for number in rng.permutation(count)]
    sequences[1] = sequences[0]
    accessions = ["P12345-1", *[""] * (count - 2), "P12345-2"]
    table = protein_table(sequences, accession=accessions)
    labels = (rng.random((count, 3)) < 0.3).astype(np.uint8)
    proteins = Proteins(table, ("a", "b", "c"), labels, "multilabel")
    ids = table["id"].to_numpy()
    hits = pd.DataFrame(rng.choice(ids, (pairs, 2)), columns=COLUMNS)
    hits["similar"] = rng.choice([0, 1], pairs)
    group = np.where(rng.random(count) < 0.1, "g", ids)
    assignments = pd.DataFrame({"id": ids, "group": group}).set_index("id")
    return proteins, assignments, hits


def together(proteins, assignments, hits):
    """Pairs of rows that must be in one part, by loops over what they have in common."""
    table, ids = proteins.table, list(proteins.ids)
    own = [table["seq_hash"], assignments["group"], table["accession"].str.split("-").str[0]]
    keys = [list(each) for each in own]
    for a in range(len(ids)):
        for b in range(a):
            if any(each[a] == each[b] != "" for each in keys):
                yield a, b
    for hit in hits.itertuples():
        if hit.similar:
            yield ids.index(hit.query), ids.index(hit.target)


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([KFOLD, FRACTIONS]))
def test_every_protein_is_used_and_no_similar_ones_are_apart(seed, settings):
    proteins, assignments, hits = make(seed)
    made = all_proteins(proteins, assignments, hits, settings)
    assert list(made["id"]) == sorted(proteins.ids)
    parts = made.set_index("id")["part_all"].loc[proteins.ids].to_numpy()
    groups = made.set_index("id")["group"].loc[proteins.ids].to_numpy()
    assert set(parts) == {"train", "val", "cal"}
    for a, b in together(proteins, assignments, hits):
        assert parts[a] == parts[b]
        assert groups[a] == groups[b]
    shares = [np.mean(parts == name) for name in ("train", "val", "cal")]
    largest = pd.Series(groups).value_counts(normalize=True).iloc[0]
    # Both settings have 70, 20 and 10 % without a test.
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=max(0.05, largest))


def test_the_order_of_the_proteins_does_not_matter():
    proteins, assignments, hits = make(3)
    order = np.random.default_rng(0).permutation(len(proteins))
    table = proteins.table.iloc[order].reset_index(drop=True)
    other = Proteins(table, proteins.label_names, proteins.labels[order], proteins.task)
    one = all_proteins(proteins, assignments, hits, KFOLD)
    pd.testing.assert_frame_equal(one, all_proteins(other, assignments, hits, KFOLD))


def test_hits_and_groups_of_a_table_that_has_less():
    """A protein that is in no group, and a hit of one that is not in the table."""
    proteins, assignments, hits = make(4)
    hits.loc[len(hits)] = ["gone", proteins.ids[0], 1]
    made = all_proteins(proteins, assignments.iloc[1:], hits, KFOLD)
    assert len(made) == len(proteins)


def test_too_few_proteins_for_a_part():
    proteins, assignments, hits = make(5)
    assignments["group"] = "one"
    with pytest.raises(HaloError, match=r"release.all_proteins: 80 proteins .* none is in val"):
        all_proteins(proteins, assignments, hits, KFOLD)
