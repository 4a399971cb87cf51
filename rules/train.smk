rule train:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        graphs=shards_of("graphs"),
        embeddings=network_embeddings,
        trained_on=network_trained_on,
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
        method="|".join(NETWORKS) or "none",
    conda:
        "../envs/train.yaml"
    threads: 8
    params:
        run=RUN,
        device=device,
        kind=lambda wildcards: METHODS[wildcards.method],
        settings=network_settings,
        trained_on=lambda wildcards, input: option("trained-on", input.trained_on),
        folder=subpath(output.model, parent=True),
        code=script_digest("train.py"),
    shell:
        "{params.run}/train.py --proteins {input.proteins} --assignments {input.assignments}"
        " --graphs {input.graphs} --embeddings {input.embeddings}"
        " {params.trained_on} --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --method {wildcards.method} --kind {params.kind} --out {params.folder} --threads {threads}"
        " --device {params.device} --settings {params.settings:q} --log {log}"
