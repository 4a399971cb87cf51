# Trains each network on each fold with each seed.


include: "functions/train.smk"


rule train:
    input:
        proteins="<results>/proteins.csv",
        assignments=assignments_of,
        graphs="<results>/graphs.json",
        embeddings=lambda wildcards: f"<results>/{own_place(wildcards)}embeddings.json",
        language_model=network_language_model,
        published=published_language_model,
        regions=REGIONS,
    output:
        model="<results>/{split}/{fold}/{seed}/{method}/model.safetensors",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
        history="<results>/{split}/{fold}/{seed}/{method}/history.csv",
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
        regions=["<results>/{split}/{fold}/{seed}/{method}/regions.csv"] * len(REGIONS),
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
        method_class=class_of,
        settings=network_settings,
        execution=training_execution,
        language_model=lambda wildcards, input: option(
            "language-model", input.language_model and input.language_model[0]
        ),
        regions=lambda wildcards, input: option("regions", input.regions),
        folder=subpath(output.model, parent=True),
        code=method_digest("train.py"),
    shell:
        "{params.run}/train.py --proteins {input.proteins} --assignments {input.assignments}"
        " --graphs {input.graphs} --embeddings {input.embeddings}"
        " --store {params.store:q} {params.language_model} {params.regions} --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --method {wildcards.method} --class {params.method_class} --out {params.folder}"
        " --threads {threads}"
        " --device {params.device} --settings {params.settings:q} --execution {params.execution:q}"
        " --log {log}"
