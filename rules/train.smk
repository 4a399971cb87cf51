def network_settings(wildcards):
    """A method's network and training: the configuration's, with what the method changes."""
    method = config["methods"][wildcards.method]
    base = {"network": config["network"], "training": config["training"]}
    over = {key: method[key] for key in base if key in method}
    return json.dumps(halo_config.merged(base, over))


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
    params:
        settings=network_settings,
        folder=subpath(output.model, parent=True),
        code=script_digest("train.py"),
    wildcard_constraints:
        split=SPLIT,
        method="|".join(NETWORKS) or "none",
    log:
        "<logs>/train/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/train/{split}-{fold}-{seed}-{method}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 8
    resources:
        mem_mb=32000,
        runtime=1440,
    shell:
        "{RUN}/train.py --proteins {input.proteins} --assignments {input.assignments}"
        " --graphs {input.graphs} --embeddings {input.embeddings}"
        " --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --method {wildcards.method} --out {params.folder} --threads {threads}"
        " --settings {params.settings:q} --log {log}"
