"""Local geometry of a protein backbone, invariant to rotation and translation."""

import numpy as np

N, CA, C = 0, 1, 2
CONTACT_SCALE = 25.0  # contacts below 10 Å of a typical residue of an AlphaFold model
# First sequence separation of each class of contacts, and its typical number. Separations 3 to 6
# distinguish helices from strands; the others are about the short, medium and long range of CASP.
CONTACT_CLASSES = {3: 2.0, 4: 2.0, 5: 2.0, 6: 2.0, 7: 3.0, 12: 5.0, 24: 12.0}
BACKBONE_FEATURES = (
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
CONTACT_FEATURES = tuple(f"contacts_from_{separation}" for separation in CONTACT_CLASSES)
FEATURES = BACKBONE_FEATURES + CONTACT_FEATURES


def contacts(ca: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of residues whose Cα atoms are within `radius` Å.

    Parameters
    ----------
    ca : float [n, 3], Å; rows with NaN have no contacts.

    Returns
    -------
    int64 [n_pairs, 2] with i < j, sorted, and their distances, float32 [n_pairs], Å.

    Examples
    --------
    >>> ca = np.array([[0, 0, 0], [3.75, 0, 0], [7.5, 0, 0], [np.nan, np.nan, np.nan]])
    >>> pairs, distances = contacts(ca, radius=5.0)
    >>> pairs.tolist(), distances.tolist()
    ([[0, 1], [1, 2]], [3.75, 3.75])
    """
    points = np.ascontiguousarray(ca.T, dtype=np.float64)
    there = np.flatnonzero(np.isfinite(points).all(axis=0))
    points = points.take(there, axis=1)
    from scipy.spatial import cKDTree  # slow to import, and only needed for structures

    tree = cKDTree(points.T, balanced_tree=False)  # faster to build, and not slower for few points
    pairs = tree.query_pairs(radius, output_type="ndarray").astype(np.int64, copy=False)
    # Encode a pair as one number, which sorts four times as fast as two columns.
    keys = np.sort(pairs @ np.array([len(there), 1]))
    first, second = np.divmod(keys, len(there))
    distances = _norm(_step(points, first, second))
    return there.take(np.stack([first, second], axis=1)), distances.astype(np.float32)


def contact_features(pairs: np.ndarray, length: int) -> np.ndarray:
    """Number of contacts of each residue in `CONTACT_CLASSES`, divided by the typical number.

    These features describe secondary structure without coordinates.

    Parameters
    ----------
    pairs : int64 [n_pairs, 2], positions of the sequence, i < j
    length : residues of the sequence

    Returns
    -------
    float32 [length, len(CONTACT_FEATURES)].
    """
    classes = len(CONTACT_CLASSES)
    # Class 0 has contacts below the first separation, which are not counted.
    number = np.searchsorted(list(CONTACT_CLASSES), np.arange(length), side="right")
    keys = pairs * (classes + 1)
    keys += number.take(pairs[:, 1] - pairs[:, 0])[:, None]
    counts = np.bincount(keys.ravel(), minlength=length * (classes + 1)).reshape(length, -1)
    return (counts[:, 1:] / list(CONTACT_CLASSES.values())).astype(np.float32)


def backbone_features(
    coordinates: np.ndarray, plddt: np.ndarray, pairs: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Features of the residues of a chain, float32 [n, len(BACKBONE_FEATURES)], in that order.

    ``plddt`` (0 to 1); ``contact_number`` and ``half_sphere``: the number of contacts in `pairs`,
    and of those on the side of the side chain (Hamelryck 2005, 10.1002/prot.20379, with the
    direction of Cβ from the backbone), divided by `CONTACT_SCALE`; ``depth``: the distance from
    the centre of the chain divided by its radius of gyration; sine and cosine of the torsions φ
    and ψ; the bend (angle at Cα i of i-2, i, i+2) and the twist (torsion of Cα i-1 to i+2).
    Undefined features, at chain ends, breaks and missing atoms, are 0.

    Parameters
    ----------
    coordinates : float [n, 3 atoms (N, CA, C), 3], Å, NaN for missing atoms
    plddt : float [n], 0 to 100; NaN where unknown
    pairs : int [n_pairs, 2], contacts as rows of `coordinates`
    position : int [n], index in the sequence; a step other than 1 is a break
    """
    length = len(coordinates)
    features = np.zeros((len(BACKBONE_FEATURES), length))
    features[0] = plddt / 100.0
    features[1] = np.bincount(pairs.ravel(), minlength=length) / CONTACT_SCALE

    # Coordinates first: a step over all residues is one over neighbouring numbers.
    n, ca, c = np.ascontiguousarray(coordinates.transpose(1, 2, 0), dtype=np.float64)
    features[2] = _half_sphere(n, ca, c, pairs) / CONTACT_SCALE
    there = np.isfinite(ca).all(axis=0)
    if there.any():
        centred = _norm(ca - ca[:, there].mean(axis=1, keepdims=True))
        features[3] = centred / max(np.sqrt((centred[there] ** 2).mean()), 1e-6)

    # A quantity that reaches from residue i - before to i + after is undefined over a break.
    def fill(names: slice, values: np.ndarray, before: int, after: int) -> None:
        span = before + after
        whole = position[span:] - position[:-span] == span
        features[names, before : length - after] = np.where(whole, values, np.nan)

    # One call for all torsions, because the overhead of calls dominates for few residues.
    ends = [(c[:, :-1], n[:, 1:], ca[:, 1:], c[:, 1:])]  # φ
    ends += [(n[:, :-1], ca[:, :-1], c[:, :-1], n[:, 1:])]  # ψ
    ends += [(ca[:, :-3], ca[:, 1:-2], ca[:, 2:-1], ca[:, 3:])]  # twist
    torsions = _torsion(*(np.concatenate(points, axis=1) for points in zip(*ends, strict=True)))
    links = max(length - 1, 0)
    fill(slice(4, 6), torsions[:, :links], 1, 0)
    fill(slice(6, 8), torsions[:, links : 2 * links], 0, 1)
    fill(slice(8, 9), _cosine(ca[:, :-4] - ca[:, 2:-2], ca[:, 4:] - ca[:, 2:-2]), 2, 2)
    fill(slice(9, 11), torsions[:, 2 * links :], 1, 2)
    features[np.isnan(features)] = 0.0
    return np.ascontiguousarray(features.T, dtype=np.float32)


def _half_sphere(n: np.ndarray, ca: np.ndarray, c: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Number of contacts in the half sphere of the side chain; atoms [3, n]."""
    outwards = (ca - n) - (c - ca)  # the bisector that points away from N and C, as Cβ does
    first, second = np.ascontiguousarray(pairs.T)
    step = _step(ca, first, second)
    of_first = _dot(step, outwards.take(first, axis=1)) > 0
    of_second = _dot(step, outwards.take(second, axis=1)) < 0
    facing = np.concatenate([first[of_first], second[of_second]])
    return np.bincount(facing, minlength=ca.shape[1])


def _step(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Vectors from the first to the second point of each pair, [3, n_pairs]; points [3, n]."""
    # `take` is three times as fast as an index.
    return points.take(second, axis=1) - points.take(first, axis=1)


def _torsion(p0: np.ndarray, p1: np.ndarray, p2: np.ndarray, p3: np.ndarray) -> np.ndarray:
    """Sine and cosine of the torsion angle about p1-p2 (IUPAC sign), [2, n], of points [3, n]."""
    b0, b1, b2 = p0 - p1, p2 - p1, p3 - p2
    axis = b1 / _norm(b1)
    v, w = (b - _dot(b, axis) * axis for b in (b0, b2))
    both = np.stack([_dot(_cross(axis, v), w), _dot(v, w)])
    return both / _norm(both)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of the angle between vectors [3, n]."""
    return _dot(a, b) / (_norm(a) * _norm(b))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[[1, 2, 0]] * b[[2, 0, 1]] - a[[2, 0, 1]] * b[[1, 2, 0]]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", a, b)


def _norm(a: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(a, a))
