rule evaluate:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        identity="<results>/split/identity.csv",
        hits="<results>/split/hits.csv.gz",
        structures="<results>/structures/manifest.csv",
        models=files_of_all("predictions.csv"),
        descriptions=files_of_all("model.json"),
        shards=joined_shards(),
        published=published_language_model,
        regions=REGIONS,
        predicted_regions=region_files,
    output:
        metrics=report(
            "<results>/evaluation/metrics.json",
            caption="../workflow/report/metrics.rst",
            category="Evaluation",
        ),
        predictions=report(
            "<results>/evaluation/predictions.csv",
            caption="../workflow/report/predictions.rst",
            category="Evaluation",
        ),
    log:
        "<logs>/evaluate.log",
    benchmark:
        "<benchmarks>/evaluate.tsv"
    conda:
        "../envs/evaluate.yaml"
    params:
        run=RUN,
        # In this order: the first method is the main one.
        models=lambda wildcards: f"methods {' '.join(PLAN.compared)}",
        regions=lambda wildcards, input: option("regions", input.regions),
        settings=as_json(stage_settings.evaluation_settings(config, USED)),
        code=script_digest("evaluate.py"),
    shell:
        "{params.run}/evaluate.py --proteins {input.proteins} --assignments {input.assignments}"
        " --identity {input.identity} --hits {input.hits} --structures {input.structures} --models {input.models}"
        " {params.regions} --metrics {output.metrics} --predictions {output.predictions}"
        " --settings {params.settings:q} --log {log}"
