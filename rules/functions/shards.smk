# The shards of a stage: the buckets of the store that one job computes.
from halo.shards import is_lost

LOST = set()  # shard files whose proteins the store does not hold any more


def shard_buckets(wildcards):
    """The buckets of a shard."""
    return PLAN.buckets(wildcards.shard)


def shards_of(stage, suffix="json"):
    """The files of all shards of a stage."""
    return expand(f"<results>/{stage}/{{shard}}.{suffix}", shard=PLAN.shards)


def members_dir(wildcards):
    """The folder of member files; `ancient`, because `shard_digest` detects changes."""
    return ancient(checkpoints.ingest.get().output.members)


def shard_digest(wildcards):
    """Digest of the members of a shard, so that a changed protein repeats only its shard."""
    digests = json.loads(Path(checkpoints.ingest.get().output.digests).read_text())
    return sha256_of_text("".join(digests[bucket] for bucket in shard_buckets(wildcards)))[:16]


def whole_shard(stage):
    """An input function without files, which repeats shards whose proteins the store has lost.

    Snakemake itself sees the shard file alone, and not that segments were removed.
    """

    def force_if_lost(wildcards):
        members = checkpoints.ingest.get().output.members
        place = wildcards.get("place", "")
        file = f"{Path(members).parent}/{place}{stage}/{wildcards.shard}.json"
        if not workflow.is_main_process or not Path(file).exists():
            return []
        if is_lost(Path(file), Path(members), Path(config["store"])):
            LOST.add(file)
            workflow.dag.forcefiles.add(file)
        elif file in LOST:  # it has been made again
            workflow.dag.forcefiles.discard(file)
        return []

    return force_if_lost


def embedding_shards(place):
    """Shard files of the embeddings in a folder."""
    return expand(EMBEDDINGS, place=place, shard=PLAN.shards)


def joined_shards_of_fold(wildcards):
    """`joined_shards` for a model: of the bundle's language models if it is of no evaluated fold."""
    if wildcards.fold in PLAN.folds:
        return joined_shards()
    return joined_shards(PLAN.released_language_models)


def joined_shards(language_models=PLAN.language_models):
    """Files that represent all shards of a stage.

    Also inputs of jobs that depend on them through other jobs: when a checkpoint has ended, Snakemake
    looks again only at the jobs that have its output as an input, and it would go on with the
    others though what they wait for need not be done.
    """
    joined = ["<results>/graphs.json"] if PLAN.methods.networks else []
    # Not embeddings.json, which is temporary where the embeddings are dropped.
    joined += [f"<results>/{place_of(m)}embeddings/joined.done" for m in language_models]
    return [ancient(file) for file in joined]
