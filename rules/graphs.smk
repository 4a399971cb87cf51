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
        settings=as_json(USED["graphs"]),
        code=script_digest("graphs.py"),
    shell:
        "{params.run}/graphs.py --members {input.members} --buckets {params.buckets}"
        " --structures {input.structures} --store {params.store:q} --shard {output}"
        " --settings {params.settings:q} --log {log}"


# One file for all shards, so that a change of their number does not repeat trainings. A checkpoint:
# Snakemake evaluates dependent rules when its content is known.
checkpoint join_graphs:
    input:
        shards=shards_of("graphs"),
        members=members_dir,  # so that it is looked at again when the ingest has ended
    output:
        "<results>/graphs.json",
    log:
        "<logs>/graphs/joined.log",
    localrule: True
    conda:
        "../envs/ingest.yaml"
    params:
        run=RUN,
        code=script_digest("join_shards.py"),
    shell:
        "{params.run}/join_shards.py --shards {input.shards} --out {output} --log {log}"
