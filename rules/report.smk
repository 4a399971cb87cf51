from snakemake import __version__ as SNAKEMAKE_VERSION

# The whole configuration is noted, but a change of it sets off what depends on it and not the
# note: it is formatted into the command, and is no `params` value.
CONFIG = json.dumps(config)


rule provenance:
    input:
        table=dataset_file(DATASET),
        labels=DATASET["labels"]["table"] or [],
        test=dataset_file(TEST_SET),
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        language_model="<results>/language_model.json",
        structures="<results>/structures/manifest.csv",
        descriptions=model_files,
        metrics="<results>/evaluation/metrics.json",
        # One of the benchmark files, by which the folder of all is known.
        benchmark=ancient("<benchmarks>/evaluate.tsv"),
    output:
        "<results>/provenance.json",
    params:
        benchmarks=subpath(input.benchmark, parent=True),
        code=script_digest("provenance.py"),
    log:
        "<logs>/provenance.log",
    conda:
        "../envs/report.yaml"
    localrule: True
    shell:
        "{RUN}/provenance.py --workflow {BASE:q} --snakemake {SNAKEMAKE_VERSION}"
        " --inputs {input.table:q} {input.labels:q} {input.test:q}"
        " --language-model {input.language_model} --proteins {input.proteins}"
        " --rejected {input.rejected} --structures {input.structures}"
        " --models {input.descriptions} --benchmarks {params.benchmarks} --config {CONFIG:q}"
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
        histories=history_files,
        provenance="<results>/provenance.json",
        template=BASE / "workflow/halo/report/template.html",
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
    params:
        code=script_digest("report.py"),
    log:
        "<logs>/report.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    shell:
        "{RUN}/report.py --proteins {input.proteins} --rejected {input.rejected}"
        " --assignments {input.assignments} --identity {input.identity}"
        " --leakage {input.leakage} --structures {input.structures} --metrics {input.metrics}"
        " --predictions {input.predictions} --histories {input.histories}"
        " --provenance {input.provenance} --figures {output.figures} --page {output.page}"
        " --log {log}"
