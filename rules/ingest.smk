DATASET = config["dataset"]
LONG_LABELS = bool(DATASET["labels"]["label"])
INGEST_KEYS = (
    "id accession sequence split annotations labels task duplicates min_length max_length"
)


def dataset_file(wildcards):
    """The local file of the configuration, or the download of the registry's address."""
    if DATASET["proteins"]:
        return DATASET["proteins"]
    return f"{STORE}/downloads/{Path(DATASET['url']).name}"


def labels_file(wildcards):
    return DATASET["labels"]["table"] or []


rule download_dataset:
    output:
        f"{STORE}/downloads/{Path(DATASET['url'] or 'none').name}",
    params:
        url=DATASET["url"],
        sha256=f"--sha256 {DATASET['sha256']}" if DATASET["sha256"] else "",
    log:
        "<logs>/download_dataset.log",
    conda:
        "../envs/download.yaml"
    localrule: True
    shell:
        "{RUN}/download_dataset.py --url {params.url:q} {params.sha256} --out {output} --log {log}"


checkpoint ingest:
    input:
        table=dataset_file,
        labels=labels_file,
    output:
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        labels=["<results>/labels.json"] + ["<results>/labels.csv"] * LONG_LABELS,
        members=directory("<results>/members"),
        digests="<results>/members.json",
    params:
        settings=json.dumps({key: DATASET[key] for key in INGEST_KEYS.split()}),
        labels=lambda wildcards, input: f"--labels {input.labels}" if input.labels else "",
        long_labels="--long-labels" if LONG_LABELS else "",
        code=script_digest("ingest.py"),
    log:
        "<logs>/ingest.log",
    benchmark:
        "<benchmarks>/ingest.tsv"
    conda:
        "../envs/ingest.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "{RUN}/ingest.py --input {input.table:q} {params.labels} {params.long_labels}"
        " --proteins {output.proteins} --rejected {output.rejected} --members {output.members}"
        " --digests {output.digests} --settings {params.settings:q} --plan {PLAN:q} --log {log}"
