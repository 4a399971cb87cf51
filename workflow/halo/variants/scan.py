"""All variants of a kind: substitutions, alanine substitutions, or deleted windows."""

from collections.abc import Iterator

from halo.errors import HaloError
from halo.residues import STANDARD

SUBSTITUTIONS, ALANINE, DELETIONS = "substitutions", "alanine", "deletions"
SCANS = (SUBSTITUTIONS, ALANINE, DELETIONS)
WINDOW = 10  # residues of a deleted window


def fault(wildtype: str, kind: str, window: int) -> str:
    """Why a protein cannot be scanned; "" if it can."""
    if kind != DELETIONS or len(wildtype) > window:
        return ""
    return f"--window: {window}, but it has {len(wildtype)} residues; give a smaller window"


def places(kind: str, window: int) -> int:
    """Number of residues that each variant of a scan changes."""
    return window if kind == DELETIONS else 1


def scanned(wildtype: str, kind: str, window: int = WINDOW) -> Iterator[str]:
    """Notations of all variants of a scan, in the order of the sequence.

    Parameters
    ----------
    wildtype : the sequence
    kind : `SUBSTITUTIONS` of every residue by each other of the 20, `ALANINE` in place of every
        residue (glycine in place of alanine), or `DELETIONS` of every window
    window : residues of a window

    Raises
    ------
    HaloError
        if the protein is not longer than a window

    Examples
    --------
    >>> list(scanned("MAK", "alanine"))
    ['M1A', 'A2G', 'K3A']
    >>> list(scanned("MAK", "deletions", 2))
    ['M1_A2del', 'A2_K3del']
    """
    if reason := fault(wildtype, kind, window):
        raise HaloError(reason)
    if kind == DELETIONS:
        for start in range(len(wildtype) - window + 1):
            first, last = f"{wildtype[start]}{start + 1}", start + window
            yield f"{first}del" if window == 1 else f"{first}_{wildtype[last - 1]}{last}del"
        return
    for place, letter in enumerate(wildtype, start=1):
        others = STANDARD if kind == SUBSTITUTIONS else "G" if letter == "A" else "A"
        for other in others:
            if other != letter:
                yield f"{letter}{place}{other}"
