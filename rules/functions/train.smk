# Inputs and parameters of the rules in ../train.smk.
def own_place(wildcards):
    """Folder of the language model whose embeddings a network reads."""
    return place_of(wildcards.fold if PLAN.reads_finetuned(wildcards.method) else None)


def network_language_model(wildcards):
    """Files of the fold's fine-tuned language model, if the network uses it."""
    place = own_place(wildcards)
    names = ("language_model.json", "training.csv") if place else ()
    return [f"<results>/{place}finetune/{name}" for name in names]


def network_settings(wildcards):
    """Settings of the network and of its training."""
    return json.dumps(stage_settings.network_settings(USED, wildcards.method), sort_keys=True)


def neighbour_settings(wildcards):
    """Settings of a search among embeddings."""
    return json.dumps(stage_settings.neighbour_settings(USED, wildcards.method), sort_keys=True)


def training_execution(wildcards):
    """Settings of the training without influence on the result."""
    return Untracked(json.dumps(stage_settings.training_execution(config, wildcards.method)))
