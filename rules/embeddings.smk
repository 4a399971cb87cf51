# The language model, and embeddings of all proteins by it or by the fine-tuned one of each fold, or
# from a file.


include: "functions/embeddings.smk"


if FROM_FILE:

    # In place of a language model. It reads the whole file once, so that what cannot be used is
    # rejected by the ingest.
    rule embedding_file:
        input:
            embedding_source(),
        output:
            language_model="<results>/language_model.json",
            index="<results>/embedding_index.csv",
        log:
            "<logs>/embedding_file.log",
        benchmark:
            "<benchmarks>/embedding_file.tsv"
        conda:
            "../envs/embeddings.yaml"
        params:
            run=RUN,
            embeddings=lambda wildcards: Untracked(shlex.quote(config["embeddings"]["path"])),
            pattern=as_it_is(split_pattern(config["embeddings"]["path"])[1] or ""),
            files=embedding_listing,
            made_by=as_it_is(config["embeddings"]["made_by"]),
            layer=config["embeddings"]["layer"],
            code=script_digest("embedding_file.py"),
        shell:
            "{params.run}/embedding_file.py --embeddings {params.embeddings} --layer {params.layer}"
            " --made-by {params.made_by:q} --index {output.index} --out {output.language_model} --log {log}"

else:

    # A checkpoint: Snakemake evaluates the DAG again when the language model is known, for rules that
    # depend on its content (rules/finetune.smk).
    checkpoint language_model:
        input:
            local_checkpoint,
        output:
            "<results>/language_model.json",
        log:
            "<logs>/language_model.log",
        benchmark:
            "<benchmarks>/language_model.tsv"
        localrule: True
        conda:
            "../envs/download.yaml"
        resources:
            language_model=1,
        params:
            run=RUN,
            store=STORE,
            model=as_it_is(config["embeddings"]["model"]),
            content=checkpoint_content,
            sha256=option("sha256", config["embeddings"]["sha256"]),
            code=script_digest("language_model.py"),
        shell:
            "{params.run}/language_model.py --model {params.model:q} {params.sha256}"
            " --store {params.store:q} --out {output} --log {log}"


# Embeds with the pretrained language model, or with that of a fold; `place` is empty or
# <split>/<fold>/.
rule embeddings:
    input:
        members=members_dir,
        whole=whole_shard("embeddings"),
        language_model=embedding_model,
        published=published_language_model,
        structures=embedded_structures,
    output:
        unless_dropped(EMBEDDINGS),
    log:
        "<logs>/embeddings/{place}{shard}.log",
    benchmark:
        "<benchmarks>/embeddings/{place}{shard}.tsv"
    wildcard_constraints:
        place=rf"({PLAN.split}/({'|'.join(PLAN.all_folds)})/)?",
    conda:
        "../envs/embeddings.yaml" if MODEL_CLASS == ESM2 else "../envs/transformers.yaml"
    threads: 1 if FROM_FILE else 8
    resources:
        gpu=gpus_of_a_job(0 if FROM_FILE else 1),
    params:
        run=RUN,
        device=device,
        store=STORE,
        buckets=shard_buckets,
        digest=shard_digest,
        settings=as_json(stage_settings.embedding_settings(USED)),
        execution=Untracked(json.dumps(chosen(config["embeddings"], "tokens_per_batch"))),
        structures=lambda wildcards, input: Untracked(option("structures", input.structures)),
        code=script_digest("embeddings.py", *LANGUAGE_MODELS[MODEL_CLASS].modules),
    shell:
        "{params.run}/embeddings.py --members {input.members} --buckets {params.buckets}"
        " --language-model {input.language_model} --store {params.store:q} --shard {output}"
        " {params.structures} --threads {threads} --device {params.device} --settings {params.settings:q} --execution {params.execution:q}"
        " --log {log}"


# Like join_graphs.
checkpoint join_embeddings:
    input:
        shards=lambda wildcards: embedding_shards(wildcards.place),
        members=members_dir,
        published=published_language_model,
    output:
        shards=unless_dropped("<results>/{place}embeddings.json"),
        note=touch("<results>/{place}embeddings/joined.done"),  # see joined_shards
    log:
        "<logs>/embeddings/{place}joined.log",
    wildcard_constraints:
        place=rf"({PLAN.split}/({'|'.join(PLAN.all_folds)})/)?",
    localrule: True
    conda:
        "../envs/ingest.yaml"
    params:
        run=RUN,
        code=script_digest("join_shards.py"),
    shell:
        "{params.run}/join_shards.py --shards {input.shards} --out {output.shards} --log {log}"
