EMBEDDING_KEYS = ("layer", "window", "overlap", "tokens_per_batch")


def local_checkpoint(wildcards):
    """The checkpoint, where the configuration gives a file and no published name."""
    model = config["embeddings"]["model"]
    return model if Path(model).suffix else []


rule language_model:
    input:
        local_checkpoint,
    output:
        "<results>/language_model.json",
    params:
        model=config["embeddings"]["model"],
        sha256=option("sha256", config["embeddings"]["sha256"]),
        code=script_digest("language_model.py"),
    log:
        "<logs>/language_model.log",
    benchmark:
        "<benchmarks>/language_model.tsv"
    conda:
        "../envs/download.yaml"
    localrule: True
    shell:
        "{RUN}/language_model.py --model {params.model:q} {params.sha256}"
        " --folder {STORE}/language_models --out {output} --log {log}"


rule embeddings:
    input:
        members=members_dir,
        language_model="<results>/language_model.json",
    output:
        "<results>/embeddings/{shard}.json",
    params:
        buckets=shard_buckets,
        digest=shard_digest,
        settings=as_json({key: config["embeddings"][key] for key in EMBEDDING_KEYS}),
        code=script_digest("embeddings.py"),
    log:
        "<logs>/embeddings/{shard}.log",
    benchmark:
        "<benchmarks>/embeddings/{shard}.tsv"
    conda:
        "../envs/embeddings.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=720,
    shell:
        "{RUN}/embeddings.py --members {input.members} --buckets {params.buckets}"
        " --language-model {input.language_model} --store {STORE} --shard {output}"
        " --threads {threads} --settings {params.settings:q} --log {log}"
