"""The graphs stage: build the graphs of some buckets that are not in the store yet."""

import logging
from pathlib import Path

from halo.cli import Progress
from halo.graphs.build import GraphSettings, build_graph
from halo.graphs.layout import LAYOUT, description
from halo.proteins.members import Member
from halo.store import Store
from halo.structures.versions import versions_of

log = logging.getLogger(__name__)


def build_graphs(
    members: dict[str, list[Member]],
    store_root: Path,
    structures: Store,
    settings: GraphSettings,
    shard: Path | None = None,
) -> Store:
    """Build graphs that are missing, or whose structure has changed.

    `shard` is the shard file that is registered in the store.
    """
    content = description(structures.fingerprint, settings)
    store = Store.create(store_root, "graphs", content, LAYOUT, shard)
    versions = versions_of(structures, members)
    missing = [
        member
        for bucket in members.values()
        for member in bucket
        if _version(store, member.seq_hash) != versions[member.seq_hash]
    ]
    log.info("%s graphs to build", f"{len(missing):,}")
    store.require_writable(member.seq_hash for member in missing)
    progress = Progress(len(missing), "graphs")
    with store.writer() as writer:
        for member in missing:
            version = versions[member.seq_hash]
            structure = structures.read(member.seq_hash) if version else None
            graph = build_graph(member.sequence, structure, settings)
            writer.add(member.seq_hash, graph, {"structure_sha256": version})
            progress.add()
    return store


def _version(store: Store, seq_hash: str) -> str | None:
    return store.attributes(seq_hash)["structure_sha256"] if seq_hash in store else None
