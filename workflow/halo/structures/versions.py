"""The version of a protein's structure, by which others know whether theirs is still the same."""

import json
from collections.abc import Mapping, Sequence

from halo.proteins.members import Member
from halo.store import Store


def versions_of(structures: Store, members: Mapping[str, Sequence[Member]]) -> dict[str, str]:
    """`structure_version` of each sequence of `members`, by its hash."""
    return {
        member.seq_hash: structure_version(structures, member.seq_hash)
        for bucket in members.values()
        for member in bucket
    }


def structure_version(structures: Store, seq_hash: str) -> str:
    """SHA-256 of the stored structure of a sequence, ``""`` if there is none."""
    if seq_hash not in structures:
        return ""
    manifest = json.loads(structures.attributes(seq_hash)["manifest"])
    return manifest["sha256"] if manifest["status"] == "ok" else ""
