# Structures of the proteins, from AlphaFold DB or from files. Jobs with requests to AlphaFold DB run
# where the workflow was started, because compute nodes often have no internet access, and one at a
# time (rules/base.smk).


include: "functions/structures.smk"


rule structures:
    input:
        members=members_dir,
        whole=whole_shard("structures"),
        names=file_of(config["structures"], "names"),
        sequences=file_of(config["structures"], "sequences"),
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
        settings=as_json(USED["structures"]),
        files=structure_files,
        content=content_of(config["structures"]["names"], config["structures"]["sequences"]),
        tables=lambda wildcards, input: " ".join(
            [option("names", input.names), option("sequences", input.sequences)]
        ),
        transport=Untracked(json.dumps(config["structures"]["transport"])),
        code=script_digest("structures.py"),
    shell:
        "{params.run}/structures.py --members {input.members} --buckets {params.buckets}"
        " --store {params.store:q} --manifest {output.manifest} --shard {output.shard}"
        " {params.tables} --settings {params.settings:q} --transport {params.transport:q} --log {log}"


# A checkpoint, like join_graphs.
checkpoint structures_manifest:
    input:
        proteins="<results>/proteins.csv",
        parts=shards_of("structures", "csv"),
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
        # Only for a message.
        settings=Untracked(json.dumps({"sources": config["structures"]["sources"]})),
        code=script_digest("structures_manifest.py"),
    shell:
        "{params.run}/structures_manifest.py --parts {input.parts} --proteins {input.proteins}"
        " --store {params.store:q} --manifest {output.manifest} --settings {params.settings:q}"
        " --log {log}"
