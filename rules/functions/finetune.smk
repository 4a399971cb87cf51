# Inputs and parameters of the rules in ../finetune.smk.
def python_of(gpus):
    """The program that runs a script in one process, or in one process per GPU."""
    if gpus == 1:
        return "python"
    # -- ends the options of torchrun, which would otherwise take --log for its --log-dir.
    return f"python -m torch.distributed.run --standalone --nproc-per-node {gpus} --"


def frozen_split(wildcards):
    """The split, as an input whose changes cause no rerun.

    Not of the fold `ALL`: no evaluation depends on its models, and all proteins change with the data.
    """
    if wildcards.fold == ALL:
        return assignments_of(wildcards)
    return ancient(checkpoints.split.get().output.assignments)


def frozen_language_model(wildcards):
    """The language model; `ancient`, because `language_model_identity` detects changes."""
    return ancient(checkpoints.language_model.get().output[0])


def language_model_identity(wildcards):
    """Name and checksum of the pretrained language model."""
    model = json.loads(Path(checkpoints.language_model.get().output[0]).read_text())
    return chosen(model, "name", "sha256")


def dropped_embeddings(folds=PLAN.folds):
    """Records of the removal of embeddings of these folds, if they are not kept."""
    name = f"<results>/{PLAN.split}/{{fold}}/dropped_embeddings.json"
    return expand(name, fold=sorted(folds)) if DROPPED else []


def models_of_fold(name):
    """An input function: a file of every model of a fold."""
    return lambda wildcards: model_files(
        name, [key for key in PLAN.all_models if key.fold == wildcards.fold]
    )
