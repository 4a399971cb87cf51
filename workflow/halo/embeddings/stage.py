"""The embeddings stage: compute the embeddings of some buckets, or read them from a file."""

from pathlib import Path

from halo.embeddings.convert import convert_buckets
from halo.embeddings.settings import EmbeddingSettings
from halo.embeddings.weights import FILE, Weights
from halo.malloc import keep_freed_memory
from halo.proteins.members import Member
from halo.shards import open_store, write_shard
from halo.store import Store
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.versions import versions_of


def embed_shard(
    members: dict[str, list[Member]],
    weights: Weights,
    settings: EmbeddingSettings,
    root: Path,
    shard: Path,
    structures: Path | None = None,
    device: str = "auto",
    threads: int = 1,
) -> None:
    """Put the embeddings of `members` that are not there yet into the store, and write `shard`.

    Parameters
    ----------
    members : sequences by bucket
    weights : the language model, or the file that has its embeddings
    root : root of the store
    structures : the structures' shard file, for a language model that reads them
    device, threads : where a language model computes; a file needs neither
    """
    found, versions = None, None
    if structures is not None:
        found = open_store([structures], STRUCTURES, root)
        versions = versions_of(found, members)
    if weights.source == FILE:
        store = convert_buckets(members, root, weights, settings, shard)
    else:
        store = _computed(members, weights, settings, root, shard, found, device, threads)
    write_shard(shard, store, members, versions=versions)


def _computed(
    members: dict[str, list[Member]],
    weights: Weights,
    settings: EmbeddingSettings,
    root: Path,
    shard: Path,
    structures: Store | None,
    device: str,
    threads: int,
) -> Store:
    import torch  # takes seconds, and a file needs no language model

    from halo.device import claim_device
    from halo.embeddings.embed import embed_buckets

    torch.set_num_threads(threads)
    keep_freed_memory()
    return embed_buckets(
        members, root, weights, settings, claim_device(device), shard=shard, structures=structures
    )
