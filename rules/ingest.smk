# Data sets: downloaded to the store, by address or from UniProt, checked, and written as one table.
# Snakemake removes outputs of jobs that are repeated or fail: those of the downloads are records of
# the run, and the files are of all runs with the store.


include: "functions/ingest.smk"


rule download_dataset:
    input:
        changed=changed_download,
    output:
        f"{RECORDS}/{{name}}.json",
    log:
        "<logs>/download/{name}.log",
    wildcard_constraints:
        name="|".join(map(re.escape, DOWNLOADS)) or "none",
    localrule: True
    conda:
        "../envs/download.yaml"
    resources:
        downloads=1,
    params:
        run=RUN,
        file=lambda wildcards: Untracked(DOWNLOADED / wildcards.name),
        url=lambda wildcards: DOWNLOADS[wildcards.name]["url"],
        sha256=lambda wildcards: option("sha256", DOWNLOADS[wildcards.name]["sha256"]),
    shell:
        "{params.run}/download_dataset.py --url {params.url:q} {params.sha256} --file {params.file:q} --record {output:q} --log {log}"


rule download_uniprot:
    input:
        changed=changed_download,
    output:
        f"{RECORDS}/{{name}}.json",
    log:
        "<logs>/download/{name}.log",
    wildcard_constraints:
        name="|".join(re.escape(uniprot_name(table)) for table in FROM_UNIPROT) or "none",
    localrule: True
    conda:
        "../envs/download.yaml"
    resources:
        downloads=1,
    params:
        run=RUN,
        file=lambda wildcards: Untracked(DOWNLOADED / wildcards.name),
        settings=lambda wildcards: json.dumps(uniprot_query(wildcards.name)),
    shell:
        "{params.run}/download_uniprot.py --settings {params.settings:q} --file {params.file:q} --record {output:q} --log {log}"


rule regions:
    input:
        proteins="<results>/proteins.csv",
        table=file_of(DATASET["regions"] or {"table": None}, "table"),
    output:
        regions="<results>/regions.csv",
        kinds="<results>/regions.json",
    log:
        "<logs>/regions.log",
    benchmark:
        "<benchmarks>/regions.tsv"
    conda:
        "../envs/ingest.yaml"
    params:
        run=RUN,
        settings=as_json(USED["dataset"]["regions"]),
        content=content_of((DATASET["regions"] or {}).get("table")),
        code=script_digest("regions.py"),
    shell:
        "{params.run}/regions.py --input {input.table:q} --proteins {input.proteins}"
        " --out {output.regions} --settings {params.settings:q} --log {log}"


checkpoint ingest:
    input:
        table=dataset_file(DATASET),
        labels=labels_file(DATASET),
        groups=list(tables_of_groups(DATASET).values()),
        mappings=uniprot_mappings(),
        test=dataset_file(TEST_SET),
        test_labels=labels_file(TEST_SET),
        test_groups=list(tables_of_groups(TEST_SET).values()),
        embedding_index="<results>/embedding_index.csv" if FROM_FILE else [],
    output:
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        labels=["<results>/labels.json"] + ["<results>/labels.csv"] * LONG_LABELS,
        members=directory("<results>/members"),
        digests="<results>/members.json",
    log:
        "<logs>/ingest.log",
    benchmark:
        "<benchmarks>/ingest.tsv"
    conda:
        "../envs/ingest.yaml"
    params:
        run=RUN,
        settings=as_json(stage_settings.ingest_settings(USED)),
        content=content_of(*files_of_data(DATASET), *files_of_data(TEST_SET)),
        plan=Untracked(json.dumps({**PLAN.counts, "model": stage_settings.embedding_model(config)})),
        labels=lambda wildcards, input: option("labels", input.labels),
        table=Untracked(data_file(DATASET)),
        test=Untracked(option("test-input", data_file(TEST_SET))),
        downloaded=Untracked(shlex.join(map(str, downloaded_files()))),
        test_labels=lambda wildcards, input: option("test-labels", input.test_labels),
        groups=Untracked(group_options("group-labels", DATASET)),
        test_groups=Untracked(group_options("test-group-labels", TEST_SET)),
        embeddings=lambda wildcards, input: option("embedding-index", input.embedding_index),
        embedding_file=Untracked(option("embedding-file", config["embeddings"]["path"])),
        long_labels="--long-labels" if LONG_LABELS else "",
        code=script_digest("ingest.py"),
    shell:
        "{params.run}/ingest.py --input {params.table:q} {params.labels} {params.groups} {params.test} {params.test_labels} {params.test_groups}"
        " {params.embeddings} {params.embedding_file} {params.long_labels} --downloaded {params.downloaded} --proteins {output.proteins} --rejected {output.rejected}"
        " --members {output.members} --digests {output.digests} --settings {params.settings:q}"
        " --plan {params.plan:q} --log {log}"
