"""Copy embeddings of a file into the store, once for each protein."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from halo.cli import Progress
from halo.embeddings.files import EmbeddingFile, UnusableEmbedding, opened
from halo.embeddings.index import SPECIAL, Names
from halo.embeddings.layout import LAYOUT, description, stored
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import Weights
from halo.errors import HaloError
from halo.proteins.members import Member
from halo.store import Store

log = logging.getLogger(__name__)


def convert_buckets(
    members: Mapping[str, Sequence[Member]],
    store_root: Path,
    weights: Weights,
    settings: EmbeddingSettings,
    shard: Path | None = None,
) -> Store:
    """Copy the embeddings of members that are not in the store; returns the store.

    A killed job loses its work since the last segment (`halo.store.Store.writer`). `weights` has
    the source `halo.embeddings.weights.FILE`; `shard` is the shard file that is registered in the
    store.

    Raises
    ------
    HaloError
        if a protein has no embedding in the file that fits it, or the file has changed
    """
    content = description(weights, settings, "")
    store = Store.create(store_root, "embeddings", content, LAYOUT, shard)
    missing = [m for bucket in members.values() for m in bucket if m.seq_hash not in store]
    log.info("%s proteins to read from %s", f"{len(missing):,}", weights.path)
    if not missing:
        return store
    store.require_writable(member.seq_hash for member in missing)
    file = opened(weights.path, settings.layer)
    if file.digest != weights.sha256:
        raise HaloError(
            f"{weights.path}: changed since its digest was computed; run again, or put the old "
            "file back"
        )
    names = Names(file.entries)
    progress = Progress(sum(len(member.sequence) for member in missing), "residues")
    provenance = {"language_model": weights.name, "file": Path(weights.path).name}
    with closing(file), store.writer(provenance=provenance) as writer:
        for member in missing:
            writer.add(member.seq_hash, stored(embedding_in(file, names, member)))
            progress.add(len(member.sequence))
    return store


def embedding_in(file: EmbeddingFile, names: Names, member: Member) -> np.ndarray:
    """The embedding of a protein without special tokens, [length, dim]; HaloError without one."""
    entries, length = names.of(member), len(member.sequence)
    try:
        if len(entries) != 1:
            raise UnusableEmbedding(f"{len(entries) or 'no'} embeddings are of this protein")
        rows = file.read(entries[0])
        if len(rows) - length not in SPECIAL:
            raise UnusableEmbedding(f"it has {len(rows):,} rows for {length:,} residues")
    except UnusableEmbedding as error:
        key = f" ({entries[0].key})" if entries else ""
        raise HaloError(f"{file.path}: protein {_name(member)}{key}: {error}") from None
    start, end = SPECIAL[len(rows) - length]
    return rows[start : len(rows) - end]


def _name(member: Member) -> str:
    return member.accessions[0] if member.accessions else member.seq_hash[:12]
