# Structures of the proteins: from AlphaFold DB or from files. What asks AlphaFold DB runs where
# the workflow was started, since compute nodes often have no internet. The profiles allow one
# `afdb` at a time, so that the rate of the configuration is that of all shards together.


rule structures:
    input:
        members=members_dir,
        whole=whole_shard("structures"),
    output:
        manifest="<results>/structures/{shard}.csv",
        shard="<results>/structures/{shard}.json",
    log:
        "<logs>/structures/{shard}.log",
    benchmark:
        "<benchmarks>/structures/{shard}.tsv"
    localrule: any(source["kind"] == "afdb" for source in config["structures"]["sources"])
    conda:
        "../envs/structures.yaml"
    resources:
        afdb=1,
    params:
        run=RUN,
        store=STORE,
        buckets=shard_buckets,
        digest=shard_digest,
        settings=as_json({k: v for k, v in config["structures"].items() if k != "transport"}),
        transport=Untracked(json.dumps(config["structures"]["transport"])),
        code=script_digest("structures.py"),
    shell:
        "{params.run}/structures.py --members {input.members} --buckets {params.buckets}"
        " --store {params.store} --manifest {output.manifest} --shard {output.shard}"
        " --settings {params.settings:q} --transport {params.transport:q} --log {log}"


rule structures_manifest:
    input:
        proteins="<results>/proteins.csv",
        parts=expand("<results>/structures/{shard}.csv", shard=SHARDS),
    output:
        manifest="<results>/structures/manifest.csv",
    log:
        "<logs>/structures/manifest.log",
    benchmark:
        "<benchmarks>/structures/manifest.tsv"
    localrule: True
    conda:
        "../envs/structures.yaml"
    params:
        run=RUN,
        store=STORE,
        settings=as_json({"sources": config["structures"]["sources"]}),
        code=script_digest("structures_manifest.py"),
    shell:
        "{params.run}/structures_manifest.py --parts {input.parts} --proteins {input.proteins}"
        " --store {params.store:q} --manifest {output.manifest} --settings {params.settings:q}"
        " --log {log}"
