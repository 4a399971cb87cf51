rule split:
    input:
        proteins="<results>/proteins.csv",
        base=config["split"]["base"] or [],
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
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        run=RUN,
        settings=as_json(config["split"]),
        code=script_digest("split.py"),
    shell:
        "{params.run}/split.py --proteins {input.proteins} --assignments {output.assignments}"
        " --hits {output.hits} --leakage {output.leakage} --leaks {output.leaks}"
        " --identity {output.identity}"
        " --threads {threads} --settings {params.settings:q} --log {log}"
