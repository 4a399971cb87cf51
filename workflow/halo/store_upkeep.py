"""Upkeep of the store: many small segments become one, what no run uses goes.

Neither is part of a run, and neither may go on beside one.
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from halo.files import read_json
from halo.store import BUCKETS, Layout, Store

log = logging.getLogger(__name__)

FLUSH_BYTES = 1 << 28


def compact(path: Path, layout: Layout) -> int:
    """Write the segments of each bucket of a store as one; returns the number that went.

    The new segment is complete before an old one is deleted, and as the newest it counts:
    an end at any moment loses nothing.
    """
    gone = 0
    for bucket in BUCKETS:
        segments = sorted((Path(path) / bucket).glob("*.h5"))
        if len(segments) < 2:
            continue
        store = Store(path, layout)
        with store.writer(FLUSH_BYTES, provenance=store.provenance(bucket)) as writer:
            for name in store.hashes(bucket):
                writer.add(name, store.read(name), store.attributes(name))
        store.close()
        for segment in segments:
            segment.unlink()
            gone += 1
    return gone


def used_stores(results: Iterable[Path]) -> set[Path]:
    """The stores that the shard files of some runs (``results/<run>``) point to."""
    stages = ("structures", "embeddings", "graphs", "*/*/embeddings")
    return {
        Path(read_json(file)["store"]).resolve()
        for run in results
        for stage in stages
        for file in Path(run).glob(f"{stage}/*.json")
    }


def collect_garbage(root: Path, used: set[Path], dry_run: bool) -> list[Path]:
    """Remove the stores below `root` that are not `used`, and what killed jobs left behind.

    Returns what was removed, or with `dry_run` what would be.
    """
    stores = [note.parent for note in Path(root).glob("*/*/fingerprint.json")]
    unused = [path for path in stores if path.resolve() not in used]
    leftovers = [path for kept in stores if kept not in unused for path in kept.rglob(".*.tmp")]
    for path in (*unused, *leftovers):
        log.info("%s %s", "would remove" if dry_run else "removing", path)
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [*unused, *leftovers]


def remove_store(path: Path) -> int:
    """Remove a store, and return how many bytes its files had."""
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    log.info("removing %s, %.3g GB", path, size / 1e9)
    shutil.rmtree(path)
    return size
