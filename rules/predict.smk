# Build a model bundle from a run, and predict new proteins with a bundle:
#   snakemake predict --config fasta=proteins.fasta bundle=bundle/
# The default bundle is that of the run. Downloads are made where the workflow was started, because
# compute nodes often have no internet access.

import re

from halo.methods import NETWORKS

PREDICT = config["predict"]
# A bundle may have any network.
PREDICT_DIGEST = script_digest("predict.py", *modules_of(NETWORKS))


def folder_of(fasta):
    """Name of the folder for the predictions of a file: the file name without suffixes."""
    name = re.sub(r"(?i)\.(gz|bz2|xz|zst)$", "", Path(fasta).name)
    name = re.sub(r"(?i)\.(fasta|fas|faa|fa|fsa|csv|tsv|txt)$", "", name)
    return re.sub(r"[{}<>]", "_", name)


PREDICTIONS = f"<results>/predict/{folder_of(config['fasta'] or 'none')}"


def released(name):
    """An input function: a file of each model in the bundle."""

    def files(wildcards):
        try:
            return model_files(name, PLAN.released_models)
        except HaloError as error:
            raise WorkflowError(str(error)) from None

    return files


def released_files(wildcards):
    """Weights in the bundle, as inputs so that missing ones are created."""
    folds = PLAN.released_folds if PLAN.released_finetuned else ()
    names = ("adapter.safetensors", "adapter.json", "head.safetensors", "language_model.json")
    return model_files("model.safetensors", PLAN.released_networks) + [
        f"<results>/{place_of(fold)}finetune/{name}" for fold in folds for name in names
    ]


def queries(wildcards):
    """The proteins to predict."""
    if config["fasta"] is None:
        raise WorkflowError("nothing to predict: snakemake predict --config fasta=proteins.fasta")
    return literal(config["fasta"])


def own_language_model():
    """The checkpoint of the configuration, if the bundle was trained with one of that name."""
    local = local_checkpoint(None)
    if not local or config["bundle"] is None:
        return local
    description = Path(config["bundle"]) / "bundle.json"
    if not description.is_file():
        return None
    name = json.loads(description.read_text())["language_model"]["name"]
    return local if name == Path(local).stem else None


def prediction_settings(wildcards):
    """Settings that influence predictions, besides queries and bundle."""
    return json.dumps({**chosen(PREDICT, "confidence"), "download": PREDICT["download"]})


def predict_options(wildcards):
    """Options of both rules."""
    return Untracked(
        " ".join(
            [
                option("store", config["store"]),
                option("structures", PREDICT["structures"]),
                option("confidence", PREDICT["confidence"]),
                option("language-model", PREDICT["language_model"] or own_language_model()),
                option("chunk", PREDICT["chunk"]),
                "" if PREDICT["download"] else "--no-download",
            ]
        )
    )


rule bundle:
    input:
        proteins="<results>/proteins.csv",
        assignments="<results>/split/assignments.csv",
        predictions=released("predictions.csv"),
        descriptions=released("model.json"),
        language_model="<results>/language_model.json",
        shards=joined_shards(),
        metrics="<results>/evaluation/metrics.json",
        files=released_files,
        licence=file_of(config["release"], "licence"),
    output:
        directory("<results>/bundle"),
    log:
        "<logs>/bundle.log",
    benchmark:
        "<benchmarks>/bundle.tsv"
    conda:
        "../envs/predict.yaml"
    params:
        run=RUN,
        settings=as_json(stage_settings.release_settings(config, USED, PLAN, BASE)),
        licence=lambda wildcards, input: Untracked(input.licence or BASE / "LICENSE"),
        licence_digest=sha256_of_file(config["release"]["licence"] or BASE / "LICENSE"),
        code=script_digest("bundle.py"),
    shell:
        "{params.run}/bundle.py --proteins {input.proteins} --assignments {input.assignments}"
        " --predictions {input.predictions} --language-model {input.language_model}"
        " --metrics {input.metrics} --licence {params.licence:q} --out {output}"
        " --beside .snakemake_timestamp"
        " --settings {params.settings:q} --log {log}"


rule predict_fetch:
    input:
        queries=queries,
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        # An added structure changes the modification time of the folder.
        structures=file_of(PREDICT, "structures"),
    output:
        f"{PREDICTIONS}/fetched.json",
    log:
        "<logs>/predict_fetch.log",
    localrule: PREDICT["download"]
    conda:
        "../envs/predict.yaml"
    resources:
        afdb=1,
    params:
        run=RUN,
        options=predict_options,
        settings=prediction_settings,
        transport=Untracked(json.dumps(config["structures"]["transport"])),
        folder=subpath(output[0], parent=True),
        code=PREDICT_DIGEST,
    shell:
        "{params.run}/predict.py {input.queries:q} --bundle {input.bundle:q} -o {params.folder:q}"
        " --stage fetch {params.options} --settings {params.transport:q} --log {log}"


rule predict:
    input:
        queries=queries,
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        fetched=f"{PREDICTIONS}/fetched.json",
    output:
        table=f"{PREDICTIONS}/predictions.csv",
        json=f"{PREDICTIONS}/predictions.json",
        rejected=f"{PREDICTIONS}/rejected.csv",
        page=f"{PREDICTIONS}/predictions.html",
        structures=directory(f"{PREDICTIONS}/structures"),
    log:
        "<logs>/predict.log",
    benchmark:
        "<benchmarks>/predict.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 8
    resources:
        gpu=gpus_of_a_job(),
    params:
        run=RUN,
        device=lambda wildcards, resources: Untracked(f"--device {device(wildcards, resources)}"),
        options=predict_options,
        settings=prediction_settings,
        page=PREDICT["page"],
        folder=subpath(output.table, parent=True),
        code=PREDICT_DIGEST,
    shell:
        "{params.run}/predict.py {input.queries:q} --bundle {input.bundle:q} -o {params.folder:q}"
        " --stage predict --threads {threads} {params.device} --page {params.page} {params.options} --log {log}"
