# Inputs and parameters of the rules in ../embeddings.smk.
def local_checkpoint(wildcards):
    """The file of the language model, if the configuration has a path instead of a name."""
    model = config["embeddings"]["model"]
    return literal(model) if Path(model).suffix else []


def embedding_model(wildcards):
    """The language model that embeds a shard."""
    own = f"{wildcards.place}finetune/" if wildcards.place else ""
    return f"<results>/{own}language_model.json"


def unless_dropped(file):
    """A file of embeddings, temporary if they are removed; a later training embeds again."""
    return temp(file) if DROPPED else file
