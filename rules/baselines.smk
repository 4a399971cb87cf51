rule baseline:
    input:
        proteins="<results>/proteins.csv",
        assignments=assignments_of,
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


# The nearest neighbours of each protein among the embeddings of the training proteins.
rule nearest_neighbour:
    input:
        proteins="<results>/proteins.csv",
        assignments=assignments_of,
        embeddings=lambda wildcards: f"<results>/{own_place(wildcards)}embeddings.json",
        language_model=network_language_model,
        published=published_language_model,
    output:
        predictions="<results>/{split}/{fold}/{seed}/{method}/predictions.csv",
        description="<results>/{split}/{fold}/{seed}/{method}/model.json",
    log:
        "<logs>/nearest_neighbour/{split}-{fold}-{seed}-{method}.log",
    benchmark:
        "<benchmarks>/nearest_neighbour/{split}-{fold}-{seed}-{method}.tsv"
    wildcard_constraints:
        method=one_of(PLAN.methods.neighbours),
    conda:
        "../envs/evaluate.yaml"
    threads: 8
    params:
        run=RUN,
        store=STORE,
        method_class=class_of,
        settings=neighbour_settings,
        language_model=lambda wildcards, input: option(
            "language-model", input.language_model and input.language_model[0]
        ),
        folder=subpath(output.predictions, parent=True),
        code=method_digest("nearest_neighbour.py"),
    shell:
        "{params.run}/nearest_neighbour.py --proteins {input.proteins}"
        " --assignments {input.assignments} --embeddings {input.embeddings}"
        " --store {params.store:q} {params.language_model} --class {params.method_class}"
        " --method {wildcards.method} --split {wildcards.split} --fold {wildcards.fold}"
        " --seed {wildcards.seed} --out {params.folder}"
        " --settings {params.settings:q} --log {log}"
