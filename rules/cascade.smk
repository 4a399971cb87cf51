# A method that joins two others: one is asked about what the other is not sure of (cascade), or
# both are asked about everything (average).
rule join_methods:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        predictions=joined_predictions,
        descriptions=joined_models,
        shards=joined_shards(),
    output:
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
    log:
        "<logs>/join_methods/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/join_methods/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method="|".join(JOINED) or "none",
    conda:
        "../envs/evaluate.yaml"
    params:
        run=RUN,
        kind=lambda wildcards: METHODS[wildcards.method],
        members=lambda wildcards: f"members {' '.join(config['methods'][wildcards.method]['of'])}",
        settings=as_json(USED.get("cascade", config["cascade"])),
        folder=subpath(output.predictions, parent=True),
        code=script_digest("join_methods.py"),
    shell:
        "{params.run}/join_methods.py --proteins {input.proteins}"
        " --assignments {input.assignments} --members {input.predictions} --kind {params.kind}"
        " --method {wildcards.method} --split {wildcards.split} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --out {params.folder} --settings {params.settings:q} --log {log}"
