"""Local geometry of a protein's backbone: numbers that no rotation or translation changes."""

import numpy as np

N, CA, C = 0, 1, 2
CONTACT_SCALE = 25.0  # contacts below 10 Å of a typical residue of an AlphaFold model
# The first separation in the sequence of each class of contacts, and a usual number of them: 3 to 6
# tell a helix from a strand; the others are the short, medium and long range of CASP, about.
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
    """
    there = np.flatnonzero(np.isfinite(ca).all(axis=1))
    points = ca[there].astype(np.float64)
    from scipy.spatial import cKDTree  # half a second: only where there is a structure

    tree = cKDTree(points, balanced_tree=False)  # no faster for so few points, but slower to make
    pairs = tree.query_pairs(radius, output_type="ndarray").astype(np.int64)
    # One number a pair: sorted four times as fast as two columns.
    keys = np.sort(pairs @ np.array([len(points), 1]))
    pairs = np.stack(np.divmod(keys, len(points)), axis=1)
    step = _step(points, pairs)
    distances = np.sqrt(np.einsum("ij,ij->i", step, step))
    return there[pairs], distances.astype(np.float32)


def contact_features(pairs: np.ndarray, length: int) -> np.ndarray:
    """How many contacts a residue has in each of `CONTACT_CLASSES`, over their usual number.

    What local geometry says of a residue's secondary structure, contacts say without coordinates.

    Parameters
    ----------
    pairs : int64 [n_pairs, 2], positions of the sequence, i < j
    length : residues of the sequence

    Returns
    -------
    float32 [length, len(CONTACT_FEATURES)].
    """
    classes = len(CONTACT_CLASSES)
    number = np.searchsorted(list(CONTACT_CLASSES), np.arange(length), side="right") - 1
    of_pair = number[pairs[:, 1] - pairs[:, 0]]
    counted = of_pair >= 0
    keys = pairs[counted] * classes + of_pair[counted, None]
    counts = np.bincount(keys.ravel(), minlength=length * classes).reshape(length, classes)
    return (counts / list(CONTACT_CLASSES.values())).astype(np.float32)


def backbone_features(
    coordinates: np.ndarray, plddt: np.ndarray, pairs: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """Features of each residue of a chain, float32 [n, len(BACKBONE_FEATURES)], in that order.

    ``plddt`` as a share of 1; ``contact_number`` and ``half_sphere``, the contacts of `pairs`
    and those of them on the side of the side chain (Hamelryck 2005, 10.1002/prot.20379, with
    the direction of Cβ from the backbone), over `CONTACT_SCALE`; ``depth``, the distance from
    the chain's centre over its radius of gyration; sine and cosine of the torsions φ and ψ;
    the bend (angle at Cα i of i-2, i, i+2) and the twist (torsion of Cα i-1 to i+2).
    What is not defined, at chain ends, breaks and missing atoms, is 0.

    Parameters
    ----------
    coordinates : float [n, 3 atoms (N, CA, C), 3], Å, NaN where an atom is missing
    plddt : float [n], 0 to 100; NaN where unknown
    pairs : int [n_pairs, 2], contacts as rows of `coordinates`
    position : int [n], index in the sequence; a step other than 1 is a break
    """
    length = len(coordinates)
    features = np.zeros((len(BACKBONE_FEATURES), length))
    features[0] = plddt / 100.0
    features[1] = np.bincount(pairs.ravel(), minlength=length) / CONTACT_SCALE
    features[2] = _half_sphere(coordinates.astype(np.float64), pairs) / CONTACT_SCALE

    # Coordinates first: a step over all residues is one over neighbouring numbers.
    n, ca, c = np.ascontiguousarray(coordinates.transpose(1, 2, 0), dtype=np.float64)
    centred = _norm(ca - np.nanmean(ca, axis=1, keepdims=True))
    features[3] = centred / max(np.sqrt(np.nanmean(centred**2)), 1e-6)

    # A quantity that reaches from residue i - before to i + after is undefined over a break.
    def fill(names: slice, values: np.ndarray, before: int, after: int) -> None:
        span = before + after
        whole = position[span:] - position[:-span] == span
        features[names, before : length - after] = np.where(whole, values, np.nan)

    # One call for all torsions: of so few residues, what a call costs is most of it.
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
    """Sine and cosine of the torsion angle about p1-p2 (IUPAC sign), [2, n], of points [3, n]."""
    b0, b1, b2 = p0 - p1, p2 - p1, p3 - p2
    axis = b1 / _norm(b1)
    v, w = (b - _dot(b, axis) * axis for b in (b0, b2))
    both = np.stack([_dot(np.cross(axis, v, axis=0), w), _dot(v, w)])
    return both / _norm(both)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of the angle between vectors [3, n]."""
    return _dot(a, b) / (_norm(a) * _norm(b))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", a, b)


def _norm(a: np.ndarray) -> np.ndarray:
    return np.sqrt(_dot(a, a))
