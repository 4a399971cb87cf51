# Inputs and parameters of the rules in ../embeddings.smk.
from halo.embeddings.pattern import split_pattern
from halo.files import listing_digest


def local_checkpoint(wildcards):
    """The file or folder of the language model, if the configuration has its path."""
    model = config["embeddings"]["model"]
    return literal(model) if not FROM_FILE and Path(model).exists() else []


def embedding_source():
    """The file or folder of embeddings of the configuration."""
    return literal(split_pattern(config["embeddings"]["path"])[0])


def embedding_listing(wildcards):
    """Digest of names, sizes and times of the files of a folder, which its own time does not show."""
    return listing_digest([split_pattern(config["embeddings"]["path"])[0]])


def embedding_model(wildcards):
    """The language model that embeds a shard."""
    own = f"{wildcards.place}finetune/" if wildcards.place else ""
    return f"<results>/{own}language_model.json"


def unless_dropped(file):
    """A file of embeddings, temporary if they are removed; a later training embeds again."""
    return temp(file) if DROPPED else file
