rule train:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        graphs=shards_of("graphs"),
        embeddings=shards_of("embeddings"),
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
        split=SPLIT,
        method="|".join(NETWORKS) or "none",
    conda:
        "../envs/train.yaml"
    threads: 8
    resources:
        mem_mb=32000,
        runtime=1440,
    params:
        run=RUN,
        settings=network_settings,
        folder=subpath(output.model, parent=True),
        code=script_digest("train.py"),
    shell:
        "{params.run}/train.py --proteins {input.proteins} --assignments {input.assignments}"
        " --graphs {input.graphs} --embeddings {input.embeddings}"
        " --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --method {wildcards.method} --out {params.folder} --threads {threads}"
        " --settings {params.settings:q} --log {log}"
