"""What a language model must beat: residue frequencies, given a residue's neighbours or not."""

import numpy as np

from batches import ALPHABET, RESIDUES

N = len(RESIDUES)
OTHER, UNKNOWN = N, N + 1  # as a neighbour: an end or an odd letter; hidden
PSEUDOCOUNT = 20.0  # residues of the overall frequencies that each pair of neighbours starts with

CODES = np.full(len(ALPHABET), OTHER)
CODES[RESIDUES.numpy()] = np.arange(N)
CODES[ALPHABET.mask_idx] = UNKNOWN


class NeighbourModel:
    """Frequencies of the residues between each two neighbours, counted in `proteins`.

    `proteins` are arrays of tokens. A neighbour that is not known is summed over, so that one
    table holds the frequencies given both neighbours, given one of them, and given none.
    """

    def __init__(self, proteins: list[np.ndarray]) -> None:
        codes = CODES[np.concatenate(proteins)]
        left, middle, right = codes[:-2], codes[1:-1], codes[2:]
        known = middle < N  # an end of a protein is none, so that no neighbours are of two
        cells = (left[known] * N + middle[known]) * (N + 1) + right[known]
        seen = np.bincount(cells, minlength=(N + 1) * N * (N + 1)).reshape(N + 1, N, N + 1)
        counts = np.zeros((N + 2, N, N + 2))
        counts[:-1, :, :-1] = seen
        counts[UNKNOWN, :, :-1] = seen.sum(axis=0)
        counts[:, :, UNKNOWN] = counts.sum(axis=2)
        overall = counts[UNKNOWN, :, UNKNOWN] / counts[UNKNOWN, :, UNKNOWN].sum()
        counts += PSEUDOCOUNT * overall[:, None]
        self._probabilities = counts / counts.sum(axis=1, keepdims=True)

    def loss(
        self, left: np.ndarray | None, truth: np.ndarray, right: np.ndarray | None
    ) -> np.ndarray:
        """Negative logarithm of the probability of `truth`, float64 [n].

        `left` and `right` are the tokens beside; None where the model is not told.
        """
        unknown = np.full(len(truth), UNKNOWN)
        left_code = unknown if left is None else CODES[left]
        right_code = unknown if right is None else CODES[right]
        return -np.log(self._probabilities[left_code, CODES[truth], right_code])
