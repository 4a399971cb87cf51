# Configuration and plan of the run, and paths and parameters shared by several stages.
import json
import shlex
from pathlib import Path

import snakemake
from snakemake.exceptions import WorkflowError


include: "base.smk"


from halo import stage_settings
from halo.fold_parts import ALL
from halo.stage_settings import chosen
from halo.methods import modules_of
from halo.plan import ModelKey, Plan
from halo.relevance import relevant


def results_folder(config):
    """The folder of a run's results; Snakemake's `pathvars` can place it elsewhere."""
    return (config["pathvars"] or {}).get("results", f"results/{config['run']}")


try:
    config.update(
        halo_config.completed_config(
            config, BASE, LINES, lambda it: Path(results_folder(it), "split/assignments.csv")
        )
    )
except HaloError as error:
    raise WorkflowError(str(error)) from None

# Settings that influence results: rules pass them on, and a change repeats their jobs.
USED = relevant(config)
PLAN = Plan.from_config(config)
STORE = Untracked(config["store"])
FROM_FILE = config["embeddings"]["source"] == "file"
EMBEDDINGS = "<results>/{place}embeddings/{shard}.json"
# With finetune.keep_embeddings: false, embeddings of folds are removed after the trainings.
DROPPED = PLAN.finetuned and not config["finetune"]["keep_embeddings"]
# Regions of the data set, if it has any.
REGIONS = ["<results>/regions.csv"] * bool(config["dataset"]["regions"])


wildcard_constraints:
    split=PLAN.split,
    shard=r"\d{3}",
    fold="|".join(PLAN.all_folds),
    seed=r"\d+",
    method="|".join(config["methods"]),


def as_json(section):
    """A `params` function for `section`; Snakemake would take braces in a string for wildcards."""
    return lambda wildcards: json.dumps(section, sort_keys=True)


def as_it_is(value):
    """A `params` function for a text that may contain braces."""
    return lambda wildcards: value


def option(name, value):
    """An option of a command line, or nothing without a value."""
    return f"--{name} {shlex.quote(str(value))}" if value else ""


def file_of(section, key):
    """A file of the configuration as an input, or none."""
    return literal(section[key]) if section[key] else []


def class_of(wildcards):
    """The class of a method."""
    return config["methods"][wildcards.method]["class"]


def method_digest(script):
    """A `params` function: digest of the script and of the method that it makes."""
    return lambda wildcards: script_digest(script, *modules_of([class_of(wildcards)]))


def one_of(methods):
    """A wildcard constraint that matches these names."""
    return "|".join(methods) or "none"


def gpus_of_a_job(count=1):
    """The resource `gpu` of a job: from this machine, or from the profile on a cluster."""
    return count if GPUS and config["device"] != "cpu" else 0


def device(wildcards, resources):
    """Device of a job: that of the configuration, and cuda if the job requests a GPU."""
    wanted = config["device"]
    asked = getattr(resources, "gpu", 0)
    return Untracked("cuda" if wanted == "auto" and asked else wanted)


def key_of(wildcards):
    """The model that a job makes."""
    return ModelKey(wildcards.split, wildcards.fold, int(wildcards.seed), wildcards.method)


def parts_table(fold):
    """The table with the parts of a fold."""
    return "<results>/split/{}.csv".format("all" if fold == ALL else "assignments")


def assignments_of(wildcards):
    """`parts_table` of the fold of a job."""
    return parts_table(wildcards.fold)


def model_files(name, keys):
    """A file of each model."""
    return [f"<results>/{key.path}/{name}" for key in keys]


def files_of_all(name):
    """An input function: a file of every model of the run, those of the main method first."""
    return lambda wildcards: model_files(name, PLAN.models(PLAN.compared))


def region_files(wildcards):
    """Regions that the networks predict, if the data set has regions."""
    return model_files("regions.csv", PLAN.models(PLAN.methods.networks)) if REGIONS else []


def place_of(fold):
    """Folder of a fold's fine-tuned language model and embeddings; None: the pretrained one."""
    return "" if fold is None else f"{PLAN.split}/{fold}/"


def published_language_model(wildcards):
    """The pretrained language model of the fine-tuned ones, as an input like `joined_shards`."""
    of_fold = PLAN.finetuned and wildcards.get("place", "fold")
    return [ancient("<results>/language_model.json")] if of_fold else []


include: "functions/shards.smk"
