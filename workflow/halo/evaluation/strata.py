"""Strata: groups of proteins with separate results."""

from itertools import pairwise

import numpy as np
import pandas as pd

from halo.proteins.table import Proteins

LENGTHS = (0, 100, 250, 500, 1000, np.inf)
PLDDT = (0, 50, 70, 90, np.inf)  # the confidence classes of AlphaFold DB
IDENTITIES = (0, 0.2, 0.3, 0.4, 0.6, np.inf)
MOST_VALUES = 12  # annotations with more values are not used as strata

Strata = dict[str, dict[str, np.ndarray]]


def make_strata(
    proteins: Proteins, structures: pd.DataFrame | None, identity: pd.DataFrame | None
) -> Strata:
    """Boolean masks [n_proteins] by name and stratum.

    Parameters
    ----------
    proteins
        Proteins of the run.
    structures
        Manifest of the structures (id, status, mean_plddt), or None.
    identity
        Highest identity of each test protein to one in training, validation or calibration
        (id, max_test_identity, empty without a hit), or None.
    """
    strata: Strata = {}
    for name in proteins.annotation_names:
        values = proteins.table[name].to_numpy(dtype=object)
        distinct = sorted(set(values))
        if 1 < len(distinct) <= MOST_VALUES:
            strata[name] = {value or "(none)": values == value for value in distinct}
    strata["length"] = binned(proteins.table["length"].to_numpy(dtype=float), LENGTHS)
    if structures is not None:
        table = structures.set_index("id").reindex(proteins.ids)
        has = (table["status"] == "ok").to_numpy()
        strata["structure"] = {"with structure": has, "without": ~has}
        plddt = pd.to_numeric(table["mean_plddt"], errors="coerce").to_numpy(dtype=float)
        strata["mean pLDDT"] = binned(plddt, PLDDT)
    if identity is not None:
        table = identity.set_index("id")["max_test_identity"].reindex(proteins.ids)
        values = pd.to_numeric(table, errors="coerce").to_numpy(dtype=float)
        bins = binned(values, IDENTITIES)
        strata["identity to other folds"] = {"no hit": np.isnan(values)} | bins
    return strata


def binned(values: np.ndarray, edges: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Membership of `values` in the bins between `edges`; NaN is in no bin."""
    bins = {}
    for low, high in pairwise(edges):
        name = f"{low:g} and above" if np.isinf(high) else f"{low:g} to {high:g}"
        bins[name] = (values >= low) & (values < high)
    return bins
