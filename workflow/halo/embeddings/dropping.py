"""Remove embeddings from the store that a run no longer needs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from halo.embeddings.layout import LAYOUT
from halo.shards import open_store
from halo.store_upkeep import remove_store, users_of
from halo.users import unregister

log = logging.getLogger(__name__)


def drop_embeddings(shards: Sequence[Path], root: Path) -> dict[str, Any]:
    """Unregister shard files, and remove their store below `root` unless others use it.

    Returns
    -------
    ``store``, the removed ``bytes`` (0 if it stays), and ``used_by``: folders of the shard files
    that still use it
    """
    path = open_store(shards, LAYOUT, root).path
    for shard in shards:
        unregister(path, shard)
    others = sorted({str(Path(note.shard).parent) for note in users_of(path)})
    if others:
        log.info("%s: kept, %s use it too", path, ", ".join(others))
    return {"store": str(path), "bytes": 0 if others else remove_store(path), "used_by": others}
