rule graphs:
    input:
        members=members_dir,
        structures="<results>/structures/{shard}.json",
    output:
        "<results>/graphs/{shard}.json",
    params:
        buckets=shard_buckets,
        digest=shard_digest,
        settings=as_json(config["graphs"]),
        code=script_digest("graphs.py"),
    log:
        "<logs>/graphs/{shard}.log",
    benchmark:
        "<benchmarks>/graphs/{shard}.tsv"
    conda:
        "../envs/graphs.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        "{RUN}/graphs.py --members {input.members} --buckets {params.buckets}"
        " --structures {input.structures} --store {STORE} --shard {output}"
        " --settings {params.settings:q} --log {log}"
