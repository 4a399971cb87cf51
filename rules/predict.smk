# Build a model bundle from a run, and predict new proteins with a bundle:
#   snakemake predict --config fasta=proteins.fasta bundle=bundle/
# The default bundle is that of the run. Downloads are made where the workflow was started, because
# compute nodes often have no internet access.


include: "functions/predict.smk"


rule bundle:
    input:
        proteins="<results>/proteins.csv",
        assignments=parts_table(PLAN.released_folds[0]),
        hits="<results>/split/hits.csv.gz",
        leakage="<results>/split/leakage.json",
        predictions=released("predictions.csv"),
        descriptions=released("model.json"),
        language_model="<results>/language_model.json",
        shards=joined_shards(PLAN.released_language_models),
        dropped=dropped_embeddings(set(PLAN.released_language_models) - set(PLAN.language_models)),
        metrics="<results>/evaluation/metrics.json",
        files=released_files,
        licence=file_of(config["release"], "licence"),
        notes=file_of(config["release"], "notes"),
    output:
        directory("<results>/bundle"),
    log:
        "<logs>/bundle.log",
    benchmark:
        "<benchmarks>/bundle.tsv"
    conda:
        "../envs/predict.yaml"
    params:
        run=RUN,
        settings=as_json(stage_settings.release_settings(config, USED, PLAN, BASE)),
        licence=lambda wildcards, input: Untracked(input.licence or BASE / "LICENSE"),
        notes=lambda wildcards, input: option("notes", input.notes),
        notes_digest=content_of(config["release"]["notes"]),
        licence_digest=sha256_of_file(config["release"]["licence"] or BASE / "LICENSE"),
        code=script_digest("bundle.py"),
    shell:
        "{params.run}/bundle.py --proteins {input.proteins} --assignments {input.assignments}"
        " --hits {input.hits} --leakage {input.leakage} --predictions {input.predictions} --language-model {input.language_model}"
        " --metrics {input.metrics} --licence {params.licence:q} {params.notes} --out {output}"
        " --beside .snakemake_timestamp"
        " --settings {params.settings:q} --log {log}"


rule predict_fetch:
    input:
        queries=queries,
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        structures=listed_input(PREDICT["structures"]),
        embeddings=embeddings_to_predict(),
    output:
        f"{PREDICTIONS}/fetched.json",
    log:
        "<logs>/predict_fetch.log",
    localrule: PREDICT["download"]
    conda:
        "../envs/predict.yaml"
    resources:
        afdb=1,
    params:
        run=RUN,
        options=predict_options,
        settings=prediction_settings,
        content=prediction_content,
        transport=Untracked(json.dumps(config["structures"]["transport"])),
        folder=subpath(output[0], parent=True),
        code=PREDICT_DIGEST,
    shell:
        "{params.run}/predict.py {input.queries:q} --bundle {input.bundle:q} -o {params.folder:q}"
        " --stage fetch {params.options} --settings {params.transport:q} --log {log}"


rule predict:
    input:
        queries=queries_of("predict", "predictions.csv"),
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        fetched=f"{PREDICTIONS}/fetched.json",
    output:
        table=f"{PREDICTIONS}/predictions.csv",
        json=f"{PREDICTIONS}/predictions.json",
        rejected=f"{PREDICTIONS}/rejected.csv",
        page=f"{PREDICTIONS}/predictions.html",
        structures=directory(f"{PREDICTIONS}/structures"),
    log:
        "<logs>/predict.log",
    benchmark:
        "<benchmarks>/predict.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 8
    resources:
        gpu=gpus_of_a_job(),
    params:
        run=RUN,
        device=lambda wildcards, resources: Untracked(f"--device {device(wildcards, resources)}"),
        options=predict_options,
        settings=prediction_settings,
        content=prediction_content,
        page=PREDICT["page"],
        folder=subpath(output.table, parent=True),
        code=PREDICT_DIGEST,
    shell:
        "{params.run}/predict.py {input.queries:q} --bundle {input.bundle:q} -o {params.folder:q}"
        " --stage predict --threads {threads} {params.device} --page {params.page} {params.options} --log {log}"
