DATASET = config["dataset"]
TEST_SET = DATASET["test"] or {}
LONG_LABELS = bool(DATASET["labels"]["label"])
COLUMN_KEYS = ("id", "accession", "sequence", "annotations", "labels")
RULE_KEYS = ("split", "task", "duplicates", "min_length", "max_length")
INGEST_SETTINGS = {"train": {key: DATASET[key] for key in (*COLUMN_KEYS, *RULE_KEYS)}}
if TEST_SET:
    INGEST_SETTINGS["test"] = {key: TEST_SET[key] for key in COLUMN_KEYS}
# File name of each download, and where it comes from.
DOWNLOADS = {Path(table["url"]).name: table for table in (DATASET, TEST_SET) if table.get("url")}


def dataset_file(table):
    """The local file of the configuration, or the download of the registry's address."""
    if not table:
        return []
    return table["proteins"] or f"{STORE}/downloads/{Path(table['url']).name}"


def option(name, value):
    """A command line's option, or nothing where there is no value."""
    return f"--{name} {shlex.quote(str(value))}" if value else ""


rule download_dataset:
    output:
        f"{STORE}/downloads/{{name}}",
    params:
        url=lambda wildcards: DOWNLOADS[wildcards.name]["url"],
        sha256=lambda wildcards: option("sha256", DOWNLOADS[wildcards.name]["sha256"]),
    wildcard_constraints:
        name="|".join(map(re.escape, DOWNLOADS)) or "none",
    log:
        "<logs>/download/{name}.log",
    conda:
        "../envs/download.yaml"
    localrule: True
    shell:
        "{RUN}/download_dataset.py --url {params.url:q} {params.sha256} --out {output:q} --log {log}"


checkpoint ingest:
    input:
        table=dataset_file(DATASET),
        labels=DATASET["labels"]["table"] or [],
        test=dataset_file(TEST_SET),
        test_labels=(TEST_SET["labels"]["table"] or []) if TEST_SET else [],
    output:
        proteins="<results>/proteins.csv",
        rejected="<results>/rejected.csv",
        labels=["<results>/labels.json"] + ["<results>/labels.csv"] * LONG_LABELS,
        members=directory("<results>/members"),
        digests="<results>/members.json",
    params:
        settings=as_json(INGEST_SETTINGS),
        labels=lambda wildcards, input: option("labels", input.labels),
        test=lambda wildcards, input: option("test-input", input.test),
        test_labels=lambda wildcards, input: option("test-labels", input.test_labels),
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
        "{RUN}/ingest.py --input {input.table:q} {params.labels} {params.test} {params.test_labels}"
        " {params.long_labels} --proteins {output.proteins} --rejected {output.rejected}"
        " --members {output.members} --digests {output.digests} --settings {params.settings:q}"
        " --plan {PLAN:q} --log {log}"
