from snakemake.utils import min_version

min_version("9.27")


# A configuration of the command line replaces the demo's; merging would inherit the demo's data.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.current_basedir}/config/config.yaml"


# A benchmark of several runs, each of which is this workflow, or a single run.
if "benchmark" in config:

    include: "rules/benchmark.smk"

    rule benchmark:
        default_target: True
        input:
            rules.benchmark_table.output,
            results_of("report.html"),

else:

    include: "rules/common.smk"

    pathvars:
        results=f"results/{config['run']}",
        logs=f"results/{config['run']}/logs",
        benchmarks=f"results/{config['run']}/benchmarks",

    # With --sdm apptainer, jobs run in this image and not in the environments of their rules.
    container: config["container"]

    include: "rules/ingest.smk"
    include: "rules/split.smk"
    include: "rules/structures.smk"
    include: "rules/finetune.smk"
    include: "rules/embeddings.smk"
    include: "rules/graphs.smk"
    include: "rules/train.smk"
    include: "rules/baselines.smk"
    include: "rules/cascade.smk"
    include: "rules/evaluate.smk"
    include: "rules/report.smk"
    include: "rules/predict.smk"
    include: "rules/variants.smk"

    rule all:
        default_target: True
        input:
            "<results>/report.html",
            "<results>/provenance.json",
            dropped_embeddings(),
