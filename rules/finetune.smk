# The fine-tuned language model of a fold is frozen: otherwise every change of the proteins would
# repeat it and everything that depends on it. A change of its settings or of finetune.refresh
# repeats it; newer inputs or code do not. Rules that use it check that it was not trained on
# held-out proteins of the fold.


include: "functions/finetune.smk"


rule finetune:
    input:
        proteins=ancient("<results>/proteins.csv"),
        assignments=frozen_split,
        language_model=frozen_language_model,
    output:
        language_model="<results>/{split}/{fold}/finetune/language_model.json",
        adapter="<results>/{split}/{fold}/finetune/adapter.safetensors",
        description="<results>/{split}/{fold}/finetune/adapter.json",
        head="<results>/{split}/{fold}/finetune/head.safetensors",
        history="<results>/{split}/{fold}/finetune/history.csv",
        training="<results>/{split}/{fold}/finetune/training.csv",
    log:
        "<logs>/finetune/{split}-{fold}.log",
    benchmark:
        "<benchmarks>/finetune/{split}-{fold}.tsv"
    conda:
        "../envs/finetune.yaml"
    threads: 8
    resources:
        gpu=gpus_of_a_job(config["finetune"]["gpus"]),
    params:
        run=run_with(python_of(config["finetune"]["gpus"])),
        device=device,
        store=STORE,
        model=language_model_identity,
        seed=config["seeds"][0],
        settings=as_json(stage_settings.finetune_settings(USED)),
        refresh="refresh {}".format(config["finetune"]["refresh"]),
        save_minutes=Untracked(config["finetune"]["save_minutes"]),
        folder=subpath(output.adapter, parent=True),
    shell:
        "{params.run}/finetune.py --proteins {input.proteins} --assignments {input.assignments}"
        " --language-model {input.language_model} --fold {wildcards.fold} --seed {params.seed}"
        " --out {params.folder} --store {params.store:q} --save-minutes {params.save_minutes}"
        " --threads {threads} --device {params.device} --settings {params.settings:q} --log {log}"


# The method `esm`: the fine-tuned language model only.
rule esm:
    input:
        proteins="<results>/proteins.csv",
        assignments=assignments_of,
        embeddings="<results>/{split}/{fold}/embeddings.json",
        published=published_language_model,
        head="<results>/{split}/{fold}/finetune/head.safetensors",
        language_model="<results>/{split}/{fold}/finetune/language_model.json",
    output:
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
        history="<results>/{split}/{fold}/{seed}/{method}/history.csv",
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
    log:
        "<logs>/esm/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/esm/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method=one_of(PLAN.methods.esm),
    conda:
        "../envs/finetune.yaml"
    threads: 4
    params:
        run=RUN,
        store=STORE,
        finetuned=subpath(input.head, parent=True),
        folder=subpath(output.predictions, parent=True),
        code=script_digest("predict_esm.py"),
    shell:
        "{params.run}/predict_esm.py --proteins {input.proteins}"
        " --assignments {input.assignments} --embeddings {input.embeddings}"
        " --store {params.store:q} --finetuned {params.finetuned} --split {wildcards.split} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --method {wildcards.method} --out {params.folder}"
        " --threads {threads} --log {log}"


# With finetune.keep_embeddings: false. Shard files of the embeddings are temporary then, so that a
# later training of the fold embeds again.
rule drop_embeddings:
    input:
        embeddings=lambda wildcards: embedding_shards(f"{wildcards.split}/{wildcards.fold}/"),
        models=models_of_fold("model.json"),
    output:
        "<results>/{split}/{fold}/dropped_embeddings.json",
    log:
        "<logs>/drop_embeddings/{split}-{fold}.log",
    localrule: True
    conda:
        "../envs/finetune.yaml"
    params:
        run=RUN,
        store=STORE,
    shell:
        "{params.run}/drop_embeddings.py --embeddings {input.embeddings} --store {params.store:q} --out {output} --log {log}"
