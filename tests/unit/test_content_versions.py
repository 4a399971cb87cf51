"""Numbers that networks read do not change without a new version, see `halo.content_versions`."""

import json
from typing import Any

import numpy as np
import pytest

from content import KINDS, STORED, summary
from halo.content_versions import CONTENT_VERSIONS

TOLERANCE = 2e-5  # of the projections: processors differ in the last digits


def close(now: Any, stored: Any) -> bool:
    """Whether two nested summaries are equal but for the projections' last digits."""
    if isinstance(stored, dict):
        return now.keys() == stored.keys() and all(close(now[key], stored[key]) for key in stored)
    return now[:2] == stored[:2] and abs(now[2] - stored[2]) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_the_version(kind):
    stored = json.loads(STORED.read_text())[kind]
    assert stored["version"] == CONTENT_VERSIONS[kind], (
        "a new version: write tests/content.json again (see tests/content.py)"
    )
    assert close(KINDS[kind](), stored["numbers"]), (
        f"the numbers of {kind} changed: raise its version in halo/content_versions.py, so that "
        "models of earlier versions are refused, and write tests/content.json again"
    )


def test_every_version_has_stored_numbers():
    assert set(json.loads(STORED.read_text())) == set(KINDS)
    assert set(CONTENT_VERSIONS) - set(KINDS) == {"embeddings"}  # test_embeddings_fingerprint.py


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[::-1],
        lambda a: a * 1.001 + 0.01,
        lambda a: np.where(a == a.max(), a + 0.05, a),
        lambda a: a.T,
    ],
)
def test_other_arrays_have_another_summary(change):
    array = np.random.default_rng(0).normal(size=(30, 4))
    assert not close(summary(change(array)), summary(array))
