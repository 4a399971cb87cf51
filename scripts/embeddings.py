"""Embed the proteins of some buckets that are not in the store yet, or read them from a file."""

import argparse
from pathlib import Path

from halo.cli import job_parser, run_job
from halo.embeddings.convert import convert_buckets
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.weights import FILE, Weights, read_weights
from halo.machine import DEVICES
from halo.malloc import keep_freed_memory
from halo.proteins.members import Member, read_members
from halo.shards import open_store, write_shard
from halo.store import Store
from halo.structures.layout import LAYOUT as STRUCTURES
from halo.structures.versions import versions_of


def job(arguments: argparse.Namespace) -> None:
    """Embed the proteins and write the shard file."""
    members = read_members(arguments.members, arguments.buckets)
    weights = read_weights(arguments.language_model, arguments.store)
    settings = EmbeddingSettings(**arguments.settings, **arguments.execution)
    structures, versions = None, None
    if arguments.structures is not None:
        structures = open_store([arguments.structures], STRUCTURES, arguments.store)
        versions = versions_of(structures, members)
    if weights.source == FILE:
        store = convert_buckets(members, arguments.store, weights, settings, arguments.shard)
    else:
        store = _computed(members, weights, settings, structures, arguments)
    write_shard(arguments.shard, store, members, versions=versions)


def _computed(
    members: dict[str, list[Member]],
    weights: Weights,
    settings: EmbeddingSettings,
    structures: Store | None,
    arguments: argparse.Namespace,
) -> Store:
    import torch  # takes seconds, and a file needs no language model

    from halo.device import claim_device
    from halo.embeddings.embed import embed_buckets

    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    device = claim_device(arguments.device)
    return embed_buckets(
        members, arguments.store, weights, settings, device,
        shard=arguments.shard, structures=structures,
    )  # fmt: skip


if __name__ == "__main__":
    parser = job_parser(__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of member files")
    parser.add_argument("--buckets", nargs="+", required=True, help="buckets to process")
    parser.add_argument("--language-model", type=Path, required=True, help="language_model.json")
    parser.add_argument(
        "--structures", type=Path, help="the structures' shard file, of a model that reads them"
    )
    parser.add_argument("--store", type=Path, required=True, help="root of the store")
    parser.add_argument("--shard", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="cuda: require a GPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    run_job(parser, job)
