# Trains each network on each fold with each seed.


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


def training_execution(wildcards):
    """Settings of the training without influence on the result."""
    return Untracked(json.dumps(stage_settings.training_execution(config, wildcards.method)))


rule train:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        graphs="<results>/graphs.json",
        embeddings=lambda wildcards: f"<results>/{own_place(wildcards)}embeddings.json",
        language_model=network_language_model,
        published=published_language_model,
    output:
        model="<results>/{split}/{fold}/{seed}/{method}/model.safetensors",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
        history="<results>/{split}/{fold}/{seed}/{method}/history.csv",
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
    log:
        "<logs>/train/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/train/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method=one_of(PLAN.methods.networks),
    conda:
        "../envs/train.yaml"
    threads: 8
    resources:
        gpu=gpus_of_a_job(),
    params:
        run=RUN,
        device=device,
        store=STORE,
        kind=class_of,
        settings=network_settings,
        execution=training_execution,
        language_model=lambda wildcards, input: option(
            "language-model", input.language_model and input.language_model[0]
        ),
        folder=subpath(output.model, parent=True),
        code=method_digest("train.py"),
    shell:
        "{params.run}/train.py --proteins {input.proteins} --assignments {input.assignments}"
        " --graphs {input.graphs} --embeddings {input.embeddings}"
        " --store {params.store:q} {params.language_model} --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --method {wildcards.method} --kind {params.kind} --out {params.folder} --threads {threads}"
        " --device {params.device} --settings {params.settings:q} --execution {params.execution:q}"
        " --log {log}"
