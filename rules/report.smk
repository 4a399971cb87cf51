# Provenance of the results, and the report.


include: "functions/report.smk"


rule provenance:
    input:
        # Changes of the user's files repeat the ingest; if the proteins stay the same, provenance
        # and report are not repeated.
        table=ancient(dataset_file(DATASET)),
        labels=ancient(labels_file(DATASET)),
        test=ancient(dataset_file(TEST_SET)),
        test_labels=ancient(labels_file(TEST_SET)),
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        language_model="<results>/language_model.json",
        structures="<results>/structures/manifest.csv",
        descriptions=files_of_all("model.json"),
        shards=joined_shards(),
        metrics="<results>/evaluation/metrics.json",
        # One of the benchmark files, which determines their folder.
        benchmark=ancient("<benchmarks>/evaluate.tsv"),
    output:
        "<results>/provenance.json",
    log:
        "<logs>/provenance.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        run=RUN,
        base=Untracked(BASE),
        snakemake=Untracked(snakemake.__version__),
        # Recorded as a whole; only keys that influence results cause a rerun.
        config=Untracked(json.dumps(config)),
        used=as_json(USED),
        data=Untracked(shlex.join(str(data_file(table)) for table in (DATASET, TEST_SET) if table)),
        jobs=benchmark_files,
        benchmarks=subpath(input.benchmark, parent=True),
        code=script_digest("provenance.py"),
    shell:
        "{params.run}/provenance.py --workflow {params.base:q} --snakemake {params.snakemake}"
        " --inputs {params.data} {input.labels:q} {input.test_labels:q}"
        " --language-model {input.language_model} --proteins {input.proteins}"
        " --rejected {input.rejected} --structures {input.structures}"
        " --models {input.descriptions} --benchmarks {params.benchmarks} --jobs {params.jobs:q} --config {params.config:q}"
        " --out {output} --log {log}"


rule report:
    input:
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        assignments="<results>/split/assignments.csv",
        identity="<results>/split/identity.csv",
        leakage="<results>/split/leakage.json",
        structures="<results>/structures/manifest.csv",
        metrics="<results>/evaluation/metrics.json",
        predictions="<results>/evaluation/predictions.csv",
        histories=model_files("history.csv", PLAN.models(PLAN.methods.trained)),
        provenance="<results>/provenance.json",
        shards=joined_shards(),
        published=published_language_model,
    output:
        page=report(
            "<results>/report.html",
            caption="../workflow/report/page.rst",
            category="Report",
        ),
        figures=report(
            directory("<results>/evaluation/figures"),
            patterns=["{figure}.svg"],
            caption="../workflow/report/figures.rst",
            category="Figures",
        ),
    log:
        "<logs>/report.log",
    conda:
        "../envs/report.yaml"
    params:
        run=RUN,
        code=script_digest("report.py"),
    shell:
        "{params.run}/report.py --proteins {input.proteins} --rejected {input.rejected}"
        " --assignments {input.assignments} --identity {input.identity}"
        " --leakage {input.leakage} --structures {input.structures} --metrics {input.metrics}"
        " --predictions {input.predictions} --histories {input.histories}"
        " --provenance {input.provenance} --figures {output.figures} --page {output.page}"
        " --log {log}"
