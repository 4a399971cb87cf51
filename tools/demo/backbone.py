"""Protein backbones of ideal geometry, folded greedily from backbone states.

Atoms are placed one after the other from bond length, bond angle and torsion (the natural
extension of the reference frame, Parsons et al. 2005, J. Comput. Chem. 26:1063). Bond lengths
and angles: Engh and Huber 1991, Acta Cryst. A47:392.
"""

import math
import re

import numpy as np

# Ångström
N_CA, CA_C, C_N, C_O = 1.458, 1.525, 1.329, 1.231
# degrees
N_CA_C, CA_C_N, C_N_CA, CA_C_O = 111.0, 117.2, 121.7, 120.1
OMEGA = 180.0
REGULAR = {"H": (-57.0, -47.0), "h": (-57.0, -47.0), "E": (-119.0, 113.0)}
# Basins of the Ramachandran plot for loops: phi, psi, cumulative share.
BASINS = np.array([(-65.0, -40.0), (-120.0, 130.0), (-70.0, 145.0), (60.0, 45.0)])
SHARES = np.array([0.35, 0.6, 0.9, 1.0])
SPREAD = 15.0
CLASH = 4.2  # Å between the C-alpha atoms of residues three or more apart
CONTACT = 9.0  # Å, of residues five or more apart
CANDIDATES = 256
BEAM = 4

PLDDT = {"H": (93.0, 4.0), "E": (91.0, 4.0), "L": (78.0, 8.0), "h": (56.0, 5.0), "D": (44.0, 7.0)}


def fold(states: str, rng: np.random.Generator) -> np.ndarray:
    """A compact backbone without clashes for a chain of backbone states.

    The chain grows by one loop and one helix or strand at a time. Of many random sets of
    loop angles those few are kept (a beam search) that have no clash, bring the folded residues
    together, and keep the mobile ones apart.

    Parameters
    ----------
    states
        One letter a residue, of ``HELhD``.
    rng
        Source of the loop angles.

    Returns
    -------
    float64 [residues, 4, 3]
        Coordinates of N, CA, C and O in Å.
    """
    folded = np.array([state in "HEL" for state in states])
    atoms, penalty, psi = _first_residue(), np.zeros(1), np.zeros(1)
    for unit in re.finditer(r"[LD]*(?:H+|E+|h+)|[LD]+$", states):
        begin, end = unit.span()
        parents = np.arange(CANDIDATES) % len(atoms)
        torsions = _draw_torsions(unit.group(), rng)
        grown = _extended(atoms[parents], psi[parents], torsions, begin)
        alphas = grown[:, :, 1]
        pairs = penalty[parents] + _pair_penalty(alphas, begin, folded[:end])
        best = np.argsort(pairs + _looseness(alphas, folded[:end]), kind="stable")[:BEAM]
        atoms, penalty, psi = grown[best], pairs[best], torsions[best, -1, 1]
    return _with_oxygen(atoms[0], psi[:1])


def confidence(states: str, rng: np.random.Generator) -> np.ndarray:
    """pLDDT a residue, float64 [residues]: high where folded, 30 to 65 where mobile."""
    mean, spread = np.array([PLDDT[state] for state in states]).T
    plddt = mean + spread * rng.uniform(-1.0, 1.0, len(states))
    return np.round(np.clip(plddt, 25.0, 98.9), 2)


def _draw_torsions(states: str, rng: np.random.Generator) -> np.ndarray:
    """Phi and psi in radians, float64 [CANDIDATES, residues, 2]."""
    shape = (CANDIDATES, len(states))
    drawn = BASINS[np.searchsorted(SHARES, rng.random(shape), side="right")]
    drawn += rng.uniform(-SPREAD, SPREAD, (*shape, 2))
    for index, state in enumerate(states):
        if state in REGULAR:
            drawn[:, index] = REGULAR[state]
    return np.radians(drawn)


def _first_residue() -> np.ndarray:
    """N, CA and C of the first residue, float64 [1, 1, 3, 3]."""
    angle = math.radians(N_CA_C)
    c = (N_CA - CA_C * math.cos(angle), CA_C * math.sin(angle), 0.0)
    return np.array([[[(0.0, 0.0, 0.0), (N_CA, 0.0, 0.0), c]]])


def _extended(atoms: np.ndarray, psi: np.ndarray, torsions: np.ndarray, begin: int) -> np.ndarray:
    """Chains grown by a unit that begins at residue `begin`.

    `atoms` float64 [candidates, max(begin, 1), 3, 3] and `psi` [candidates] are the chains
    so far and the psi of their last residue, `torsions` [candidates, residues, 2] those of
    the unit. Gives float64 [candidates, begin + residues, 3, 3].
    """
    done, end = atoms.shape[1], begin + torsions.shape[1]
    grown = np.empty((len(atoms), end, 3, 3))
    grown[:, :done] = atoms
    omega = np.full(len(atoms), math.radians(OMEGA))
    for index in range(done, end):
        n, ca, c = (grown[:, index - 1, atom] for atom in range(3))
        before = torsions[:, index - 1 - begin, 1] if index > begin else psi
        grown[:, index, 0] = new_n = place(n, ca, c, C_N, CA_C_N, before)
        grown[:, index, 1] = new_ca = place(ca, c, new_n, N_CA, C_N_CA, omega)
        phi = torsions[:, index - begin, 0]
        grown[:, index, 2] = place(c, new_n, new_ca, CA_C, N_CA_C, phi)
    return grown


def place(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, length: float, angle: float, torsion: np.ndarray
) -> np.ndarray:
    """The atom d for which |cd|, the angle bcd and the torsion abcd have the values given.

    `a`, `b`, `c` float64 [n, 3] in Å, `length` in Å, `angle` in degrees, `torsion` float64 [n]
    in radians.
    """
    bend = math.radians(angle)
    axis = _unit(c - b)
    normal = _unit(np.cross(b - a, axis))
    across = np.cross(normal, axis)
    return (
        c
        - length * math.cos(bend) * axis
        + length * math.sin(bend) * np.cos(torsion)[:, None] * across
        + length * math.sin(bend) * np.sin(torsion)[:, None] * normal
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))


def _pair_penalty(alphas: np.ndarray, first: int, folded: np.ndarray) -> np.ndarray:
    """1000 a clash, -1 a contact of two folded residues, 2 a contact of a mobile one.

    `alphas` float64 [candidates, residues, 3], C-alpha atoms in Å; `folded` bool [residues].
    Only pairs with a residue from `first` on count. Gives float64 [candidates].
    """
    squares = np.zeros((len(alphas), alphas.shape[1] - first, alphas.shape[1]))
    for axis in np.moveaxis(alphas, -1, 0):
        squares += (axis[:, first:, None] - axis[:, None]) ** 2
    numbers = np.arange(alphas.shape[1])
    apart = numbers[first:, None] - numbers
    clashes = ((squares < CLASH**2) & (apart > 2)).sum(axis=(1, 2))
    worth = np.where(folded[first:, None] & folded, -1.0, 2.0) * (apart > 4)
    contacts = (np.where(squares < CONTACT**2, worth, 0.0)).sum(axis=(1, 2))
    return 1000.0 * clashes + contacts


def _looseness(alphas: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """How far the folded residues lie from their centre, less what the mobile ones do.

    `alphas` float64 [candidates, residues, 3], `folded` bool [residues]; float64 [candidates].
    """
    core = alphas[:, folded] if folded.any() else alphas
    away = np.sqrt(((alphas - core.mean(axis=1, keepdims=True)) ** 2).sum(axis=-1))
    return (away * np.where(folded, 0.3, -0.1)).sum(axis=1)


def _with_oxygen(atoms: np.ndarray, last_psi: np.ndarray) -> np.ndarray:
    """Add the carbonyl oxygens, trans to the next residue's N; float64 [residues, 4, 3]."""
    n, ca, c = (atoms[:, atom] for atom in range(3))
    following = place(n[-1:], ca[-1:], c[-1:], C_N, CA_C_N, last_psi)
    psi = _torsion(n, ca, c, np.concatenate([n[1:], following]))
    oxygen = place(n, ca, c, C_O, CA_C_O, psi + math.pi)
    return np.concatenate([atoms, oxygen[:, None]], axis=1)


def _torsion(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Torsion angles a-b-c-d in radians, float64 [n]."""
    axis = _unit(c - b)
    before, after = np.cross(b - a, axis), np.cross(axis, d - c)
    sine = (np.cross(before, after) * axis).sum(axis=-1)
    return np.arctan2(sine, (before * after).sum(axis=-1))
