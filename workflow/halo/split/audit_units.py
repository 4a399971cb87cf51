"""Which proteins are in different parts of a fold."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

REMOVED, TEST = "removed", "test"


class Units:
    """Groups of proteins with the same sequence and the same part in every fold.

    Parameters
    ----------
    places : int64 [n_records], index of each protein's sequence
    parts : text [n_records, n_folds], its part in each fold

    Attributes
    ----------
    of_record
        int64 [n_records], unit of each protein.
    first_record
        int64 [n_units], first protein of each unit.
    """

    def __init__(self, places: np.ndarray, parts: np.ndarray) -> None:
        codes, self._names = pd.factorize(parts.ravel())
        self._record_codes = codes.reshape(parts.shape)
        keys = np.column_stack([places, self._record_codes])
        distinct, self.first_record, of_record = np.unique(
            keys, axis=0, return_index=True, return_inverse=True
        )
        self.of_record = of_record.ravel()
        self._codes = distinct[:, 1:]
        self._by_place = pd.DataFrame({"place": distinct[:, 0], "unit": np.arange(len(distinct))})

    def _code(self, name: str) -> int:
        return int(pd.Index(self._names).get_indexer([name])[0])  # -1 if no protein has this part

    def apart(self, a: np.ndarray, b: np.ndarray) -> pd.DataFrame:
        """The pairs of sequences `a` and `b` with proteins in different parts of a fold.

        Returns
        -------
        Columns ``pair`` (position in `a`), ``unit_a``, ``unit_b``, and ``tests_a`` and
        ``tests_b``: whether that unit is in the test of a fold in which their parts differ.
        """
        pairs = pd.DataFrame({"pair": np.arange(len(a)), "a": a, "b": b})
        for side in "ab":
            units = self._by_place.rename(columns={"place": side, "unit": f"unit_{side}"})
            pairs = pairs.merge(units, on=side)
        unit_a, unit_b = pairs["unit_a"].to_numpy(), pairs["unit_b"].to_numpy()
        apart = self.folds_apart(unit_a, unit_b)
        test = self._code(TEST)
        pairs["tests_a"] = (apart & (self._codes[unit_a] == test)).any(axis=1)
        pairs["tests_b"] = (apart & (self._codes[unit_b] == test)).any(axis=1)
        pairs = pairs[apart.any(axis=1)].sort_values(["pair", "unit_a", "unit_b"])
        return pairs.drop(columns=["a", "b"]).reset_index(drop=True)

    def copies_apart(self) -> pd.DataFrame:
        """The pairs of units with the same sequence in different parts of a fold.

        The result is as of `apart`, without ``pair``, and with the ``identity`` of copies, 1.
        """
        places = self._by_place["place"].to_numpy()
        several = np.unique(places[self._by_place["place"].duplicated()])
        pairs = self.apart(several, several)
        once = pairs["unit_a"] < pairs["unit_b"]
        return pairs[once].drop(columns="pair").assign(identity=1.0)

    def folds_apart(self, unit_a: np.ndarray, unit_b: np.ndarray) -> np.ndarray:
        """Whether two units are in different parts and neither is removed; bool [n, n_folds]."""
        a, b, removed = self._codes[unit_a], self._codes[unit_b], self._code(REMOVED)
        return (a != b) & (a != removed) & (b != removed)

    def keys_apart(self, keys: Iterable[str]) -> int:
        """Number of keys whose proteins are in different parts of a fold.

        `keys` has one key per protein; empty keys are ignored.
        """
        codes = pd.DataFrame(self._record_codes)
        codes = codes.mask(codes == self._code(REMOVED))
        keys = np.array(list(keys), dtype=object)
        distinct = codes[keys != ""].groupby(keys[keys != ""]).nunique()
        return int((distinct > 1).any(axis=1).sum())

    def highest(self, pairs: pd.DataFrame, tested: bool = False) -> np.ndarray:
        """Highest ``identity`` among the `pairs` of each protein, float [n_records].

        `pairs` has the columns of `apart` and ``identity``. With `tested`, only those with the
        protein in the test of a fold in which the parts differ. NaN for a protein without pairs.
        """
        highest = np.full(len(self.first_record), -1.0)
        for side in "ab":
            own = pairs[pairs[f"tests_{side}"]] if tested else pairs
            np.maximum.at(highest, own[f"unit_{side}"].to_numpy(), own["identity"].to_numpy())
        return np.where(highest < 0, np.nan, highest)[self.of_record]
