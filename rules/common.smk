import json
import re
import shlex
import sys
from pathlib import Path

import snakemake
from snakemake.exceptions import WorkflowError


include: "base.smk"


from halo.config.downloads import download_name
from halo.config.files import worth_reading
from halo.files import listing_digest, sha256_of_text
from halo.relevance import relevant
from halo.shards import is_lost
from halo.store import BUCKETS
from halo.uniprot.release import START as UNIPROT_START
from halo.uniprot.settings import UniprotSettings


def checked(config):
    """The configuration with defaults, or the end of the run with a list of its faults."""
    try:
        return halo_config.completed_config(config, BASE, LINES)
    except HaloError as error:
        raise WorkflowError(str(error)) from None


config.update(checked(config))
# What results depend on: the settings that rules pass on, and that set off a job again.
USED = relevant(config)

SHARDS = [f"{number:03d}" for number in range(config["shards"])]
SPLIT = config["split"]["name"] or config["split"]["mode"]
FOLDS = halo_config.folds(config)
FINETUNED = config["finetune"]["model"] == "finetuned"
METHODS = {name: method["class"] for name, method in config["methods"].items()}
MADE = halo_config.methods_of(config["methods"], FINETUNED)
NETWORKS, ESM, JOINED, BASELINES = MADE.networks, MADE.esm, MADE.joined, MADE.baselines
TRAINED = MADE.trained
# Networks that read the language model as it was published, though there is a fine-tuned one.
BESIDE = [
    name
    for name, m in config["methods"].items()
    if FINETUNED and m.get("embeddings") == "pretrained"
]
EMBEDDINGS = "<results>/{place}embeddings/{shard}.json"
LOST = set()  # shard files whose proteins the store does not hold any more
DROPPED = FINETUNED and not config["finetune"]["keep_embeddings"]
STORE = Untracked(config["store"])
DOWNLOADED = f"{literal(config['store'])}/downloads"
RELEASED = config["release"]["method"] or next(iter(JOINED + NETWORKS), None)
RELEASED_SEEDS = config["release"]["seeds"] or config["seeds"]
DATASET = config["dataset"]
TEST_SET = DATASET["test"] or {}
LONG_LABELS = bool(DATASET["labels"]["label"])
# Where each download goes in the folder of downloads, and where it comes from.
DOWNLOADS = {
    download_name(table["url"]): table for table in (DATASET, TEST_SET) if table.get("url")
}
# Data sets that UniProt is asked for.
FROM_UNIPROT = [t for t in (DATASET, TEST_SET) if t.get("uniprot") and not t["proteins"]]
PLAN = {
    "shards": len(SHARDS),
    "folds": len(FOLDS),
    "seeds": len(config["seeds"]),
    "networks": len(NETWORKS),
    "baselines": len(ESM + BASELINES),
    "finetunings": len(FOLDS) * FINETUNED,
    "embedded": len(FOLDS) + bool(BESIDE) if FINETUNED else 1,
    "model": config["embeddings"]["model"],
}


wildcard_constraints:
    split=SPLIT,
    shard=r"\d{3}",
    fold="|".join(FOLDS),
    seed=r"\d+",
    method="|".join(config["methods"]),


def as_json(section):
    """A `params` function for `section`; Snakemake would take braces in a string for wildcards."""
    return lambda wildcards: json.dumps(section, sort_keys=True)


def as_it_is(value):
    """A `params` function for a text that may have braces in it."""
    return lambda wildcards: value


def option(name, value):
    """A command line's option, or nothing where there is no value."""
    return f"--{name} {shlex.quote(str(value))}" if value else ""


def chosen(section, *keys):
    """Those keys of a section of the configuration that a stage reads."""
    return {key: section[key] for key in keys}


def ingest_settings():
    """What the ingest reads of the sections `dataset` and `dataset.test`."""
    columns = ("id", "accession", "sequence", "annotations", "labels", "sample", "uniprot")
    rules = ("split", "task", "duplicates", "min_length", "max_length")
    partitioned = config["split"]["mode"] in ("external", "predefined")
    dataset = USED["dataset"]
    settings = {"train": chosen(dataset, *columns, *rules), "partitioned": partitioned}
    if TEST_SET:
        settings["test"] = chosen(dataset["test"], *columns)
    return settings


def check_data():
    """End the run where its data do not fit its configuration, before there is a job."""
    test_labels = TEST_SET["labels"]["table"] if TEST_SET else None
    files = [dataset_file(DATASET), DATASET["labels"]["table"], dataset_file(TEST_SET), test_labels]
    given = [*filter(None, [*files, config["split"]["base"]]), *CONFIGFILES]
    changed = {"dataset", "split"} & set(workflow.config_settings.config)  # on the command line
    made = None if changed else Path("results", config["run"], "proteins.csv")
    if not worth_reading(given, made):
        return
    # Not at the top: it loads pandas, which the processes of the jobs can do without, and so can
    # an environment of Snakemake alone. The ingest finds the same.
    try:
        from halo.proteins import datasets, preflight
    except ModuleNotFoundError:
        return
    try:
        data = datasets.DataFiles(*(file or None for file in files))
        preflight.check_data(data, ingest_settings(), config["split"])
    except HaloError as error:
        raise WorkflowError(str(error)) from None


def network_settings(wildcards):
    """A method's network and training: the configuration's, with what the method changes."""
    base = chosen(USED, "network", "training")
    method = USED["methods"][wildcards.method]
    over = {key: method[key] for key in base if key in method}
    return json.dumps(halo_config.merged(base, over), sort_keys=True)


def training_execution(wildcards):
    """How a training is carried out, with no influence on its result."""
    section = config["training"] | config["methods"][wildcards.method].get("training", {})
    return Untracked(json.dumps(chosen(section, "workers", "cache_gb")))


def finetune_settings():
    """What of the configuration a fine-tuned model depends on."""
    section = USED.get("finetune", {})
    return {
        "finetune": {key: section[key] for key in section if key not in ("model", "refresh")},
        "embeddings": chosen(USED["embeddings"], "layer", "window", "overlap", "precision"),
    }


def python_of(gpus):
    """The program that runs a script in one process, or in one for each of several GPUs."""
    if gpus == 1:
        return "python"
    # After -- torchrun takes no option of the script for its own: --log would be its --log-dir.
    return f"python -m torch.distributed.run --standalone --nproc-per-node {gpus} --"


def gpus_of_a_job(count=1):
    """The resource `gpu` of a job: on this machine what it has, on a cluster what a profile says."""
    return count if GPUS and config["device"] != "cpu" else 0


def device(wildcards, resources):
    """What a job computes on: what the configuration says, and a GPU where the job asks for one."""
    wanted = config["device"]
    asked = getattr(resources, "gpu", 0)
    return Untracked("cuda" if wanted == "auto" and asked else wanted)


def dataset_file(table):
    """The local file of the configuration, or the download of an address or from UniProt."""
    if not table:
        return []
    if table["proteins"]:
        return literal(table["proteins"])
    name = uniprot_name(table) if table["uniprot"] else download_name(table["url"])
    return f"{DOWNLOADED}/{name}"


def labels_file(table):
    """The table of labels, where the configuration gives one."""
    return literal(table["labels"]["table"]) if table and table["labels"]["table"] else []


def file_of(section, key):
    """A file of the configuration as an input, or none."""
    return literal(section[key]) if section[key] else []


def uniprot_name(table):
    """File name of the entries that a data set asks UniProt for."""
    settings = UniprotSettings.from_config(table["uniprot"])
    return f"{UNIPROT_START}{sha256_of_text(settings.base_url + settings.search)[:12]}.jsonl.gz"


def uniprot_query(name):
    """What of the configuration the entries of such a file depend on."""
    table = next(table for table in FROM_UNIPROT if uniprot_name(table) == name)
    return chosen(table["uniprot"], "query", "taxonomy", "reviewed", "base_url")


def uniprot_mappings():
    """The tables by which UniProt's locations become labels, those of the configuration."""
    used = [table["uniprot"] for table in (DATASET, TEST_SET) if table.get("uniprot")]
    return sorted({literal(section["mapping"]) for section in used if section["mapping"]})


def local_checkpoint(wildcards):
    """The language model's file, where the configuration gives one and no published name."""
    model = config["embeddings"]["model"]
    return literal(model) if Path(model).suffix else []


def shard_buckets(wildcards):
    """The buckets of the store that a shard looks after."""
    count, number = len(SHARDS), int(wildcards.shard)
    return [b for i, b in enumerate(BUCKETS) if i * count // len(BUCKETS) == number]


def members_dir(wildcards):
    """The folder of member files; `ancient`, since `shard_digest` tells what has changed."""
    return ancient(checkpoints.ingest.get().output.members)


def whole_shard(stage):
    """An input function without a file: a shard whose proteins the store has lost is made again.

    Snakemake itself sees the shard file alone, and not that segments were removed.
    """

    def force_if_lost(wildcards):
        members = checkpoints.ingest.get().output.members
        place = wildcards.get("place", "")
        file = f"{Path(members).parent}/{place}{stage}/{wildcards.shard}.json"
        if not workflow.is_main_process or not Path(file).exists():
            return []
        if is_lost(Path(file), Path(members), Path(config["store"])):
            LOST.add(file)
            workflow.dag.forcefiles.add(file)
        elif file in LOST:  # it has been made again
            workflow.dag.forcefiles.discard(file)
        return []

    return force_if_lost


def shard_digest(wildcards):
    """Digest of a shard's members, so that a change of one protein runs one shard again."""
    digests = json.loads(Path(checkpoints.ingest.get().output.digests).read_text())
    return sha256_of_text("".join(digests[bucket] for bucket in shard_buckets(wildcards)))[:16]


def structure_files(wildcards):
    """Digest of the names, sizes and times of the files that structures are taken from.

    The job itself compares each protein's files, so that a newer time alone computes nothing.
    """
    paths = [Path(s["path"]) for s in config["structures"]["sources"] if s.get("path")]
    # The name of an archive may have wildcards.
    found = [sorted(path.parent.glob(path.name)) or [path] for path in paths]
    return listing_digest(path for some in found for path in some)


def shards_of(stage, suffix="json"):
    return expand(f"<results>/{stage}/{{shard}}.{suffix}", shard=SHARDS)


def folder_of(fasta):
    """Name of the folder for the predictions of a file: its own, without what tells its format."""
    name = re.sub(r"(?i)\.(gz|bz2|xz|zst)$", "", Path(fasta).name)
    name = re.sub(r"(?i)\.(fasta|fas|faa|fa|fsa|csv|tsv|txt)$", "", name)
    return re.sub(r"[{}<>]", "_", name)


PREDICTIONS = f"<results>/predict/{folder_of(config['fasta'] or 'none')}"


def benchmark_files():
    """Names of the files in which Snakemake notes the time of the run's jobs.

    {shard} stands for each shard: of a name a shard the command line would be too long.
    """
    folds = [f"{SPLIT}-{fold}" for fold in FOLDS]
    places = [f"{SPLIT}/{fold}/" for fold in FOLDS] if FINETUNED else []
    stages = ["ingest", "split", "structures/manifest", "language_model", "evaluate"]
    stages += ["structures/{shard}", "graphs/{shard}"]
    stages += [f"embeddings/{place}{{shard}}" for place in ["", *places]]
    stages += [f"finetune/{fold}" for fold in folds if FINETUNED]
    for stage, methods in (
        ("train", NETWORKS),
        ("esm", ESM),
        ("baseline", BASELINES),
        ("join_methods", JOINED),
    ):
        stages += [
            f"{stage}/{fold}-{seed}-{method}"
            for method in methods
            for fold in folds
            for seed in (config["seeds"] if method in NETWORKS + JOINED else config["seeds"][:1])
        ]
    return stages


def frozen_split(wildcards):
    """The split, as an input whose change is no reason to run again."""
    return ancient(checkpoints.split.get().output.assignments)


def embedding_model(wildcards):
    """The language model that a shard is embedded by."""
    own = f"{wildcards.place}finetune/" if wildcards.place else ""
    return f"<results>/{own}language_model.json"


def embedding_shards(place):
    """Shard files of the embeddings at a place."""
    return expand(EMBEDDINGS, place=place, shard=SHARDS)


def embedding_files(place):
    """The file that stands for all embeddings at a place; their shards where they do not stay."""
    return embedding_shards(place) if DROPPED else [f"<results>/{place}embeddings.json"]


def own_place(wildcards):
    """Where the fold's own language model and embeddings are, if a network reads these."""
    return own_place_of(wildcards.method, wildcards.fold)


def own_place_of(method, fold):
    return f"{SPLIT}/{fold}/" if FINETUNED and method not in BESIDE else ""


def joined_shards():
    """The files that stand for all shards of a stage.

    Inputs of what stands on them through other jobs, too: when a checkpoint has ended, Snakemake
    looks again only at the jobs that have its output as an input, and it would go on with the
    others though what they wait for need not be done.
    """
    places = {own_place_of(name, fold) for name in NETWORKS for fold in FOLDS}
    places |= {f"{SPLIT}/{fold}/" for fold in FOLDS if ESM}
    graphs = ["<results>/graphs.json"] if NETWORKS else []
    return graphs + [f"<results>/{place}embeddings.json" for place in sorted(places) if not DROPPED]


def network_embeddings(wildcards):
    """Shard files of the embeddings that a network reads."""
    return embedding_files(own_place(wildcards))


def network_language_model(wildcards):
    """The fold's own language model, and what it was fine-tuned on, if it was."""
    place = own_place(wildcards)
    names = ("language_model.json", "training.csv") if place else ()
    return [f"<results>/{place}finetune/{name}" for name in names]


def dropped_embeddings():
    """The notes that the folds' embeddings are gone, where they are not to be kept."""
    notes = expand(f"<results>/{SPLIT}/{{fold}}/dropped_embeddings.json", fold=FOLDS)
    return notes if DROPPED else []


def method_files(name, methods, seeds):
    return expand(
        f"<results>/{SPLIT}/{{fold}}/{{seed}}/{{method}}/{name}",
        fold=FOLDS,
        seed=seeds,
        method=methods,
    )


def methods_in_order():
    """Names of all methods, the one first that the others are compared with."""
    main = config["evaluation"]["main"] or MADE.all[0]
    return [main] + [name for name in MADE.all if name != main]


def prediction_files(wildcards):
    """Predictions of every method, fold and seed; only networks are trained with several."""
    several = NETWORKS + JOINED
    return [
        path
        for name in methods_in_order()
        for path in method_files(
            "predictions.csv", [name], config["seeds"] if name in several else config["seeds"][:1]
        )
    ]


def joined_predictions(wildcards):
    """Predictions of the two methods that a method joins; a network's are those of its seed."""
    return [
        f"<results>/{SPLIT}/{wildcards.fold}/{seed}/{member}/predictions.csv"
        for member in config["methods"][wildcards.method]["of"]
        for seed in [wildcards.seed if member in NETWORKS else config["seeds"][0]]
    ]


def joined_models(wildcards):
    """The descriptions that lie beside `joined_predictions`."""
    return [path.replace("predictions.csv", "model.json") for path in joined_predictions(wildcards)]


def model_files(wildcards):
    """The descriptions that lie beside `prediction_files`."""
    return [path.replace("predictions.csv", "model.json") for path in prediction_files(wildcards)]


def history_files(wildcards):
    """Training histories of the networks, and of the fine-tuning."""
    return method_files("history.csv", NETWORKS, config["seeds"]) + method_files(
        "history.csv", ESM, config["seeds"][:1]
    )


def released_members():
    """The methods that the released one joins, or itself."""
    return config["methods"].get(RELEASED, {}).get("of") or [RELEASED]


def released(name):
    """That file of each model that goes into the bundle."""
    if RELEASED not in TRAINED + JOINED:
        raise WorkflowError(
            f"release.method: {RELEASED!r} is no trained method of this run; give one of "
            f"{', '.join(TRAINED + JOINED)}"
        )
    beside = [name in BESIDE for name in released_members()]
    if any(beside) and not all(beside):
        raise WorkflowError(
            f"release.method: {RELEASED!r} joins a method on fine-tuned embeddings with one on those "
            "of the language model as published; a bundle has one language model a fold"
        )
    # A fine-tuned language model alone has the first seed only.
    seeds = config["seeds"][:1] if RELEASED in ESM else RELEASED_SEEDS
    folds = config["release"]["folds"] or FOLDS
    return expand(f"<results>/{SPLIT}/{{fold}}/{{seed}}/{RELEASED}/{name}", fold=folds, seed=seeds)


def released_files():
    """The weights that go into the bundle beside the descriptions, so that missing ones are made."""
    names = released_members()
    folds = config["release"]["folds"] or FOLDS
    networks = [name for name in names if name in NETWORKS]
    found = expand(
        f"<results>/{SPLIT}/{{fold}}/{{seed}}/{{method}}/model.safetensors",
        fold=folds,
        seed=RELEASED_SEEDS,
        method=networks,
    )
    if FINETUNED and not set(names) <= set(BESIDE):
        files = ("adapter.safetensors", "adapter.json", "head.safetensors", "language_model.json")
        found += expand(f"<results>/{SPLIT}/{{fold}}/finetune/{{file}}", fold=folds, file=files)
    return found


def release_settings():
    """What goes into the bundle; see halo.predict.build_bundle.BundleSettings."""
    registry = halo_config.load_yaml(BASE / "resources/datasets.yaml")
    entry = registry.get(
        DATASET.get("registry"), {"title": f"the data set of the run {config['run']}"}
    )
    embedding = ("layer", "window", "overlap", "tokens_per_batch", "precision")
    return {
        "name": config["run"],
        "version": config["release"]["version"],
        "sequences": config["release"]["sequences"],
        "data": {key: entry[key] for key in ("title", "citation", "licence") if entry.get(key)},
        "simulated": DATASET["simulated"],
        "finetuned": FINETUNED and not set(released_members()) <= set(BESIDE),
        "risk": config["cascade"]["risk"],
        "search": chosen(config["split"], "identity", "coverage", "evalue", "sensitivity"),
        "embeddings": chosen(config["embeddings"], *embedding),
        "graphs": config["graphs"],
        "structures": USED["structures"],
    }


def queries(wildcards):
    """The proteins to predict."""
    if config["fasta"] is None:
        raise WorkflowError("nothing to predict: snakemake predict --config fasta=proteins.fasta")
    return literal(config["fasta"])


def own_language_model():
    """The configuration's checkpoint, where the bundle was trained with one of that name."""
    local = local_checkpoint(None)
    if not local or config["bundle"] is None:
        return local
    description = Path(config["bundle"]) / "bundle.json"
    if not description.is_file():
        return None
    name = json.loads(description.read_text())["language_model"]["name"]
    return local if name == Path(local).stem else None


def prediction_settings(wildcards):
    """What predictions depend on besides the queries and the bundle."""
    section = config["predict"]
    return json.dumps({**chosen(section, "confidence"), "download": section["download"]})


def predict_options(wildcards):
    """Options that both of the rules have."""
    section = config["predict"]
    return Untracked(
        " ".join(
            [
                option("store", config["store"]),
                option("structures", section["structures"]),
                option("confidence", section["confidence"]),
                option("language-model", section["language_model"] or own_language_model()),
                option("chunk", section["chunk"]),
                "" if section["download"] else "--no-download",
            ]
        )
    )


if workflow.is_main_process:
    check_data()
