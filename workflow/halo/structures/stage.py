"""The structures stage: find the structures of some buckets, and note what became of each."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from halo.proteins.members import Member
from halo.shards import write_shard
from halo.structures.fetch import fetch_structures, summary
from halo.structures.files import all_spellings
from halo.structures.manifest import write_part
from halo.structures.settings import StructureSettings, TransportSettings

log = logging.getLogger(__name__)


def structures_of_shard(
    members: Mapping[str, Sequence[Member]],
    settings: StructureSettings,
    transport: TransportSettings,
    root: Path,
    manifest: Path,
    shard: Path,
    names: Iterable[str],
) -> None:
    """Put the structures of `members` into the store; write a part of the manifest and `shard`.

    `members` are sequences by bucket, `root` is the root of the store. `names` are
    those of all proteins of the run: what a file is called does not mean something else in another
    shard.
    """
    spelt = all_spellings(names)
    store, notes = fetch_structures(members, root, settings, transport, shard, spelt=spelt)
    write_part(manifest, notes)
    failed = {name for name, note in notes.items() if note.status == "error"}
    versions = {name: f"{note.status} {note.sha256}" for name, note in notes.items()}
    write_shard(shard, store, members, failed, versions)
    log.info("%s", summary(notes.values()))
