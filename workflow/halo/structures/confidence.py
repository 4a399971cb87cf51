"""Confidence of a model: the pLDDT of its residues, 0 to 100.

PDB and mmCIF have no field for it. Predictors write it as the B-factor: AlphaFold and ColabFold as
0 to 100; ESMFold, the ESM Atlas, Boltz and Chai as 0 to 1. ModelCIF has a separate table. In
experimental structures, the B-factor has another meaning, and some programs write an error in
angstrom (Robetta, IgFold, ImmuneBuilder).
"""

from dataclasses import dataclass

import numpy as np

from halo.structures.atoms import Chain
from halo.structures.parse import StructureError

# What programs write that have no B-factor to tell; these are no confidence of a peptide either.
FILLERS = (0.0, 1.0, 20.0, 100.0)
# Number of residues with the same value from which it is considered a placeholder: predictors give
# individual values with two decimals, and termini are always less certain.
ENOUGH = 5
# pLDDT that the best of `ENOUGH` residues exceeds: errors in angstrom do not, and no predictor is
# as unsure of a whole protein. The lowest maximum of 370 human models of AlphaFold DB is 60.
LEAST_BEST = 20.0


@dataclass(frozen=True)
class Confidence:
    """pLDDT of a chain's residues.

    Attributes
    ----------
    plddt
        float32 [n], 0 to 100; NaN where it is unknown.
    remark
        Remark about it; ``""`` in the usual case.
    """

    plddt: np.ndarray
    remark: str = ""


def confidence_of(chain: Chain, kind: str) -> Confidence:
    """The confidence of `chain`; `kind` is ``plddt``, or ``none`` for other B-factors.

    The confidence is unknown if all of at least `ENOUGH` residues have the same value, or none is
    above `LEAST_BEST`.

    Raises
    ------
    StructureError
        if B-factors of a prediction are outside of 0 to 100
    """
    unknown = np.full(len(chain.letters), np.nan, np.float32)
    if kind == "none":
        return Confidence(unknown)
    if chain.metric is not None and np.isfinite(chain.metric).any():
        return _checked(chain.metric, "pLDDT value")
    if chain.method:
        what = f"experimental structure ({chain.method.lower()})"
        return Confidence(unknown, f"{what}: B-factors are no pLDDT, confidence unknown")
    values = chain.b_factor
    if not np.isfinite(values).any():
        return Confidence(unknown, "no B-factors: confidence unknown")
    return _checked(values, "B-factor")


def _checked(values: np.ndarray, what: str) -> Confidence:
    """Validate `values` (some may be unknown) as pLDDT; `what` is their name in messages."""
    values = np.where(np.isfinite(values), values, np.float32(np.nan))
    known = values[np.isfinite(values)]
    least, most = known.min(), known.max()
    if least < 0 or most > 100:
        raise StructureError(
            f"the {what}s ({least:g} to {most:g}) are no pLDDT (0 to 100); if they mean "
            "something else, give the option `--confidence none`, or in a configuration "
            "`confidence: none`"
        )
    if least == most and (len(known) >= ENOUGH or least in FILLERS):
        remark = f"every {what} is {least:g}, which tells nothing: confidence unknown"
        return Confidence(np.full_like(values, np.nan), remark)
    if len(known) >= ENOUGH and (most if most > 1 else 100 * most) < LEAST_BEST:
        remark = f"{what}s of {least:g} to {most:g} are too low for pLDDT: confidence unknown"
        return Confidence(np.full_like(values, np.nan), remark)
    if most > 1:
        missing = len(values) - len(known)
        return Confidence(values, f"no B-factor of {missing} residues" if missing else "")
    return Confidence(values * np.float32(100), f"{what}s of 0 to 1 taken as pLDDT of 0 to 100")
