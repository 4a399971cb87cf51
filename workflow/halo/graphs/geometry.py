"""Local geometry of a protein's backbone: numbers that no rotation or translation changes."""

import numpy as np
from scipy.spatial import cKDTree

N, CA, C = 0, 1, 2
CONTACT_SCALE = 25.0  # contacts below 10 Å of a typical residue of an AlphaFold model
FEATURES = (
    "plddt",
    "contact_number",
    "half_sphere",
    "depth",
    "sin_phi",
    "cos_phi",
    "sin_psi",
    "cos_psi",
    "cos_bend",
    "sin_twist",
    "cos_twist",
)


def contacts(ca: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of residues whose Cα atoms are within `radius` Å.

    Parameters
    ----------
    ca : float [n, 3], Å; rows with NaN have no contacts.

    Returns
    -------
    int64 [n_pairs, 2] with i < j, sorted, and their distances, float32 [n_pairs], Å.
    """
    there = np.flatnonzero(np.isfinite(ca).all(axis=1))
    points = ca[there].astype(np.float64)
    tree = cKDTree(points, balanced_tree=False)  # no faster for so few points, but slower to make
    pairs = tree.query_pairs(radius, output_type="ndarray").astype(np.int64)
    # One number a pair: sorted four times as fast as two columns.
    keys = np.sort(pairs @ np.array([len(points), 1]))
    pairs = np.stack(np.divmod(keys, len(points)), axis=1)
    distances = np.linalg.norm(_step(points, pairs), axis=1)
    return there[pairs], distances.astype(np.float32)


def backbone_features(
    coordinates: np.ndarray, plddt: np.ndarray, pairs: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Features of each residue of one chain, float32 [n, len(FEATURES)], in order of `FEATURES`.

    ``plddt`` as a share of 1; ``contact_number`` and ``half_sphere``, the contacts of `pairs`
    and those of them on the side of the side chain (Hamelryck 2005, 10.1002/prot.20379, with
    the direction of Cβ from the backbone), over `CONTACT_SCALE`; ``depth``, the distance from
    the chain's centre over its radius of gyration; sine and cosine of the torsions φ and ψ;
    the bend (angle at Cα i of i-2, i, i+2) and the twist (torsion of Cα i-1 to i+2).
    What is not defined, at chain ends, breaks and missing atoms, is 0.

    Parameters
    ----------
    coordinates : float [n, 3 atoms (N, CA, C), 3], Å, NaN where an atom is missing
    plddt : float [n], 0 to 100
    pairs : int [n_pairs, 2], contacts as rows of `coordinates`
    position : int [n], index in the sequence; a step other than 1 is a break
    """
    xyz = coordinates.astype(np.float64)
    ca = xyz[:, CA]
    features = np.zeros((len(xyz), len(FEATURES)))
    features[:, 0] = plddt / 100.0
    features[:, 1] = np.bincount(pairs.ravel(), minlength=len(xyz)) / CONTACT_SCALE
    features[:, 2] = _half_sphere(xyz, pairs) / CONTACT_SCALE
    centred = np.linalg.norm(ca - np.nanmean(ca, axis=0), axis=1)
    features[:, 3] = centred / max(np.sqrt(np.nanmean(centred**2)), 1e-6)

    # A quantity that reaches from residue i - before to i + after is undefined over a break.
    def chained(values: np.ndarray, before: int, after: int) -> np.ndarray:
        full = np.full(len(xyz), np.nan)
        span = before + after
        whole = position[span:] - position[: len(position) - span] == span
        full[before : len(xyz) - after] = np.where(whole, values, np.nan)
        return full

    if len(xyz) > 1:
        phi = chained(_torsion(xyz[:-1, C], xyz[1:, N], xyz[1:, CA], xyz[1:, C]), 1, 0)
        psi = chained(_torsion(xyz[:-1, N], xyz[:-1, CA], xyz[:-1, C], xyz[1:, N]), 0, 1)
        features[:, 4:8] = np.stack([np.sin(phi), np.cos(phi), np.sin(psi), np.cos(psi)], axis=1)
    if len(xyz) > 4:
        features[:, 8] = chained(_cos_angle(ca[:-4], ca[2:-2], ca[4:]), 2, 2)
    if len(xyz) > 3:
        twist = chained(_torsion(ca[:-3], ca[1:-2], ca[2:-1], ca[3:]), 1, 2)
        features[:, 9:11] = np.stack([np.sin(twist), np.cos(twist)], axis=1)
    return np.nan_to_num(features, nan=0.0).astype(np.float32)


def _half_sphere(xyz: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Number of contacts in the half sphere that the side chain points into."""
    b = xyz[:, CA] - xyz[:, N]
    c = xyz[:, C] - xyz[:, CA]
    outwards = b - c  # the bisector at Cα that points away from N and C, as Cβ does
    step = _step(xyz[:, CA], pairs)
    count = np.zeros(len(xyz))
    for end, sign in ((0, 1.0), (1, -1.0)):
        towards = sign * np.einsum("ij,ij->i", step, outwards.take(pairs[:, end], axis=0))
        count += np.bincount(pairs[towards > 0, end], minlength=len(xyz))
    return count


def _step(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """From the first to the second point of each pair, [n_pairs, 3]."""
    # `take` of rows is three times as fast as an index.
    return points.take(pairs[:, 1], axis=0) - points.take(pairs[:, 0], axis=0)


def _torsion(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray, p3: np.ndarray) -> np.ndarray:
    """Torsion angle about p1-p2 in radians, shape [n]; IUPAC sign."""
    b0, b1, b2 = p0 - p1, p2 - p1, p3 - p2
    axis = b1 / np.linalg.norm(b1, axis=1, keepdims=True)
    v = b0 - np.einsum("ij,ij->i", b0, axis)[:, None] * axis
    w = b2 - np.einsum("ij,ij->i", b2, axis)[:, None] * axis
    return np.arctan2(np.einsum("ij,ij->i", np.cross(axis, v), w), np.einsum("ij,ij->i", v, w))


def _cos_angle(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray) -> np.ndarray:
    """Cosine of the angle at p1, shape [n]."""
    a, b = p0 - p1, p2 - p1
    return np.einsum("ij,ij->i", a, b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
