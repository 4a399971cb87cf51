# Inputs and parameters of the rules in ../embeddings.smk.
from halo.embeddings.find import class_of_model
from halo.embeddings.pattern import split_pattern
from halo.embeddings.registry import ESM2, LANGUAGE_MODELS
from halo.files import listing_digest

MODEL_CLASS = ESM2 if FROM_FILE else class_of_model(config["embeddings"]["model"])


def local_checkpoint(wildcards):
    """The file or folder of the language model, if the configuration has its path."""
    model = config["embeddings"]["model"]
    return literal(model) if not FROM_FILE and Path(model).exists() else []


def checkpoint_content(wildcards):
    """Digest of the file of the language model, or names, sizes and times of those of a folder.

    The job itself compares the content of a folder, whose files can have many gigabytes.
    """
    files = [Path(path) for path in [local_checkpoint(wildcards)] if path]
    if any(path.is_dir() for path in files):
        return listing_digest(files)
    return content_of(*files)(wildcards)


def embedding_source():
    """The file or folder of embeddings of the configuration."""
    return literal(split_pattern(config["embeddings"]["path"])[0])


def embedding_listing(wildcards):
    """Digest of names, sizes and times of the files of a folder, which its own time does not show."""
    return listing_digest([split_pattern(config["embeddings"]["path"])[0]])


def embedded_structures(wildcards):
    """The structures of a shard, if the language model reads them."""
    reads = LANGUAGE_MODELS[MODEL_CLASS].reads_structures
    return f"<results>/structures/{wildcards.shard}.json" if reads else []


def embedding_model(wildcards):
    """The language model that embeds a shard."""
    own = f"{wildcards.place}finetune/" if wildcards.place else ""
    return f"<results>/{own}language_model.json"


def unless_dropped(file):
    """A file of embeddings, temporary if they are removed; a later training embeds again."""
    return temp(file) if DROPPED else file
