# A checkpoint: Snakemake evaluates the DAG again when the split exists, for rules that depend on
# its content (rules/finetune.smk).
checkpoint split:
    input:
        proteins="<results>/proteins.csv",
        base=file_of(config["split"], "base"),
    output:
        assignments="<results>/split/assignments.csv",
        hits="<results>/split/hits.csv.gz",
        leakage="<results>/split/leakage.json",
        leaks="<results>/split/leaks.csv",
        identity="<results>/split/identity.csv",
    log:
        "<logs>/split.log",
    benchmark:
        "<benchmarks>/split.tsv"
    conda:
        "../envs/split.yaml"
    threads: 64
    params:
        run=RUN,
        settings=as_json(USED["split"]),
        base=lambda wildcards, input: option("base", input.base),
        content=content_of(config["split"]["base"]),
        code=script_digest("split.py"),
    shell:
        "{params.run}/split.py --proteins {input.proteins} --assignments {output.assignments}"
        " --hits {output.hits} --leakage {output.leakage} --leaks {output.leaks}"
        " --identity {output.identity}"
        " --threads {threads} {params.base} --settings {params.settings:q} --log {log}"


# With release.all_proteins: the parts of the fold `all`, whose models are for the bundle.
rule all_proteins:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        hits="<results>/split/hits.csv.gz",
    output:
        "<results>/split/all.csv",
    log:
        "<logs>/all_proteins.log",
    benchmark:
        "<benchmarks>/all_proteins.tsv"
    conda:
        "../envs/evaluate.yaml"
    params:
        run=RUN,
        settings=as_json(USED["split"]),
        code=script_digest("all_proteins.py"),
    shell:
        "{params.run}/all_proteins.py --proteins {input.proteins} --assignments {input.assignments}"
        " --hits {input.hits} --out {output} --settings {params.settings:q} --log {log}"


# Audits the author partitions of the data set; nothing else depends on it.
rule audit:
    input:
        proteins="<results>/proteins.csv",
    output:
        table="<results>/audit/published.csv",
        markdown="<results>/audit/published.md",
    log:
        "<logs>/audit.log",
    benchmark:
        "<benchmarks>/audit.tsv"
    conda:
        "../envs/split.yaml"
    threads: 64
    params:
        run=RUN,
        settings=as_json(USED["split"]),
        title=config["run"],
        code=script_digest("audit.py"),
    shell:
        "{params.run}/audit.py --proteins {input.proteins} --table {output.table}"
        " --markdown {output.markdown} --title {params.title:q} --threads {threads}"
        " --settings {params.settings:q} --log {log}"
