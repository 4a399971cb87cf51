"""Standardized biochemical scales of the amino acids."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from halo.data_files import data_file
from halo.errors import HaloError
from halo.residues import ALPHABET, STANDARD

# Standard residues that the other letters represent; their scales are averaged.
STANDS_FOR = {"U": "C", "O": "K", "B": "DN", "Z": "EQ", "J": "IL", "X": STANDARD}
SCALES_FILE = data_file("data/amino_acids.csv")


@cache
def scales(file: Path = SCALES_FILE) -> pd.DataFrame:
    """Standardized scales, float32 [26 letters of `ALPHABET`, n_scales].

    Each scale of `file` (the sources of HALO's: ``resources/README.md``) is brought to
    mean 0 and standard deviation 1 over the 20 standard amino acids.

    HaloError if a scale lacks a number of one of these, or has the same of all.
    """
    try:
        raw = pd.read_csv(file, index_col="residue").loc[list(STANDARD)].astype(float)
    except (KeyError, ValueError) as error:
        raise HaloError(f"{file}: damaged, no table of amino-acid scales ({error})") from None
    raw = raw.where(np.isfinite(raw))
    standard = (raw - raw.mean()) / raw.std(ddof=0)
    wrong = standard.columns[~np.isfinite(standard).all()]
    if len(wrong):
        raise HaloError(
            f"{file}: damaged, the scale {wrong[0]} has not a finite number for each of the 20 "
            "amino acids, or the same for all; copy the file again"
        )
    others = {letter: standard.loc[list(of)].mean() for letter, of in STANDS_FOR.items()}
    return pd.concat([standard, pd.DataFrame(others).T]).loc[list(ALPHABET)].astype(np.float32)
