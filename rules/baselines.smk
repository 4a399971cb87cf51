rule baseline:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        hits="<results>/split/hits.csv.gz",
    output:
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
    log:
        "<logs>/baseline/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/baseline/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method=one_of(PLAN.methods.baselines),
    conda:
        "../envs/evaluate.yaml"
    params:
        run=RUN,
        method_class=class_of,
        folder=subpath(output.predictions, parent=True),
        code=method_digest("baseline.py"),
    shell:
        "{params.run}/baseline.py --proteins {input.proteins} --assignments {input.assignments}"
        " --hits {input.hits} --class {params.method_class} --method {wildcards.method}"
        " --split {wildcards.split} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --out {params.folder} --log {log}"
