rule graphs:
    input:
        members=members_dir,
        whole=whole_shard("graphs"),
        structures="<results>/structures/{shard}.json",
    output:
        "<results>/graphs/{shard}.json",
    log:
        "<logs>/graphs/{shard}.log",
    benchmark:
        "<benchmarks>/graphs/{shard}.tsv"
    conda:
        "../envs/graphs.yaml"
    params:
        run=RUN,
        store=STORE,
        buckets=shard_buckets,
        digest=shard_digest,
        settings=as_json(config["graphs"]),
        code=script_digest("graphs.py"),
    shell:
        "{params.run}/graphs.py --members {input.members} --buckets {params.buckets}"
        " --structures {input.structures} --store {params.store} --shard {output}"
        " --settings {params.settings:q} --log {log}"
