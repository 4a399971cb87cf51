"""Files of finished chunks of variants."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from halo.arrays import DamagedArrays, open_arrays
from halo.errors import HaloError
from halo.files import atomic_path
from halo.variants.compute import Derived


def chunk_name(
    common: Mapping[str, Any], structure: Mapping[str, np.ndarray] | None, items: Sequence[Derived]
) -> str:
    """Name of a chunk: a digest of everything that its content depends on."""
    digest = hashlib.sha256(json.dumps(common, sort_keys=True).encode())
    for name, array in sorted((structure or {}).items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode() + array.tobytes())
    for item in items:
        digest.update(item.key.encode())
    return digest.hexdigest()[:20]


@dataclass(frozen=True)
class ChunkResults:
    """Results of the items of a chunk.

    Attributes
    ----------
    probabilities
        float64 [n, n_models, n_labels]; NaN for items that could not be predicted.
    failed
        Why these could not be predicted, by row.
    thresholds
        Of the bundle, float64 [n_labels].
    """

    probabilities: np.ndarray
    failed: Mapping[int, str]
    thresholds: np.ndarray


def write_results(file: Path, results: ChunkResults) -> None:
    """Write the results of a chunk."""
    reasons = {str(row): reason for row, reason in results.failed.items()}
    with atomic_path(file) as temporary, temporary.open("wb") as out:
        np.savez_compressed(
            out,
            probabilities=results.probabilities,
            failed=np.array(json.dumps(reasons)),
            thresholds=results.thresholds,
        )


def read_results(file: Path, count: int) -> ChunkResults:
    """Read the file of `write_results`, of `count` items; raises a HaloError if it is damaged."""
    try:
        with open_arrays(file) as arrays:
            probabilities = np.asarray(arrays["probabilities"], dtype=np.float64)
            thresholds = np.asarray(arrays["thresholds"], dtype=np.float64)
            failed = {int(row): str(why) for row, why in json.loads(str(arrays["failed"])).items()}
            if probabilities.shape != (count, *probabilities.shape[1:2], *thresholds.shape):
                raise ValueError("of other variants")
            return ChunkResults(probabilities, failed, thresholds)
    except DamagedArrays as error:
        raise HaloError(f"{file}: damaged ({error}); delete it and run again") from None
