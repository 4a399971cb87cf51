# Methods that combine two others: the second is used where the first is uncertain (cascade), or
# both are averaged (average).
rule join_methods:
    input:
        proteins="<results>/proteins.csv",
        assignments=assignments_of,
        predictions=lambda wildcards: model_files(
            "predictions.csv", PLAN.members(key_of(wildcards))
        ),
        descriptions=lambda wildcards: model_files("model.json", PLAN.members(key_of(wildcards))),
        shards=joined_shards_of_fold,
        published=published_language_model,
    output:
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
    log:
        "<logs>/join_methods/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/join_methods/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method=one_of(PLAN.methods.joined),
    conda:
        "../envs/evaluate.yaml"
    params:
        run=RUN,
        method_class=class_of,
        members=lambda wildcards: f"members {' '.join(PLAN.joins[wildcards.method])}",
        settings=as_json(USED.get("cascade", config["cascade"])),
        folder=subpath(output.predictions, parent=True),
        code=script_digest("join_methods.py"),
    shell:
        "{params.run}/join_methods.py --proteins {input.proteins}"
        " --assignments {input.assignments} --members {input.predictions}"
        " --class {params.method_class}"
        " --method {wildcards.method} --split {wildcards.split} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --out {params.folder} --settings {params.settings:q} --log {log}"
