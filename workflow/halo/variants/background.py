"""Random substitutions of a wild type, to which variants are compared."""

import numpy as np

from halo.files import sha256_of_text
from halo.residues import STANDARD

SEED = 1


def random_substitutions(wildtype: str, places: int, count: int, seed: int = SEED) -> list[str]:
    """Sequences in which `places` residues are replaced by others of the 20, all at random.

    At most all residues are replaced. The result depends on the arguments alone.
    """
    digest = int(sha256_of_text(wildtype)[:16], 16)
    random = np.random.default_rng([seed, digest, places])
    made = []
    for _ in range(count):
        letters = list(wildtype)
        chosen = random.choice(len(wildtype), min(places, len(wildtype)), replace=False)
        for place in chosen:
            others = STANDARD.replace(letters[place], "")
            letters[place] = others[random.integers(len(others))]
        made.append("".join(letters))
    return made


def p_values(changes: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Empirical p-values, float64 [...]: the share of random changes that are at least as large.

    (1 + number of those) / (1 + number of all), as Phipson and Smyth 2010
    (10.2202/1544-6115.1585) have it, so that no p-value is 0.

    Parameters
    ----------
    changes : float [...], sizes of changes
    random : float [n, ...], those of the random substitutions
    """
    return (1 + (random >= changes).sum(axis=0)) / (1 + len(random))
