# Inputs and parameters of the rules in ../predict.smk.
import re

from snakemake.io import IOFile
from snakemake.logging import logger

from halo.embeddings.hub import model_name
from halo.methods import NETWORKS

PREDICT = config["predict"]
WARNED = set()  # folders whose content is replaced
# A bundle may have any network and any language model.
ANY_MODEL = sorted({module for known in LANGUAGE_MODELS.values() for module in known.modules})
PREDICT_DIGEST = script_digest("predict.py", *modules_of(NETWORKS), *ANY_MODEL)


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


def queries_of(stage, made):
    """An input function: `queries`, with a warning where `made` is of another file of that name."""

    def file(wildcards):
        given = queries(wildcards)
        name = folder_of(given)
        folder = f"{results_folder(config)}/{stage}/{name}"
        inputs_of = workflow.persistence.input if workflow.is_main_process else lambda file: None
        inputs = inputs_of(IOFile(f"{folder}/{made}")) or []
        before = [file for file in inputs if folder_of(file) == name]
        if before and given not in before and folder not in WARNED:
            WARNED.add(folder)
            logger.warning(
                f"{folder} is of another file of that name, {before[0]}, and {given} replaces it; "
                "rename the file to keep both"
            )
        return given

    return file


def own_language_model():
    """The checkpoint of the configuration, if the bundle was trained with one of that name."""
    local = local_checkpoint(None)
    if not local or config["bundle"] is None:
        return local
    description = Path(config["bundle"]) / "bundle.json"
    if not description.is_file():
        return None
    name = json.loads(description.read_text())["language_model"]["name"]
    return local if name == model_name(local) else None


def prediction_embeddings():
    """The file of embeddings of the proteins, of `predict` or, for bundles on them, of the run."""
    if PREDICT["embeddings"] or not FROM_FILE or config["bundle"] is None:
        return PREDICT["embeddings"] or (config["embeddings"]["path"] if FROM_FILE else None)
    description = Path(config["bundle"]) / "bundle.json"
    model = json.loads(description.read_text())["language_model"] if description.is_file() else {}
    own = model.get("source") == "file" and model["name"] == config["embeddings"]["made_by"]
    return config["embeddings"]["path"] if own else None


def embeddings_to_predict():
    """Its file or folder, as an input."""
    path = prediction_embeddings()
    return listed_input(split_pattern(path)[0] if path else None)


def listed_input(path):
    """A file or folder as an input whose time does not count: `prediction_content` lists it."""
    return ancient(literal(path)) if path else []


def prediction_settings(wildcards):
    """Settings that influence predictions, besides queries and bundle."""
    return json.dumps({**chosen(PREDICT, "confidence"), "download": PREDICT["download"]})


def prediction_content(wildcards):
    """Digests of the proteins, the bundle, and the user's structures and embeddings.

    A bundle of the run is made by a job, and no file of the user.
    """
    embeddings, pattern = prediction_embeddings(), None
    if embeddings:
        embeddings, pattern = split_pattern(embeddings)
    listed = [
        listing_digest([path]) if path else "none" for path in (PREDICT["structures"], embeddings)
    ]
    return " ".join(
        [content_of(config["fasta"], config["bundle"])(wildcards), *listed, pattern or ""]
    )


def predict_options(wildcards):
    """Options of both rules."""
    return Untracked(
        " ".join(
            [
                option("store", config["store"]),
                option("structures", PREDICT["structures"]),
                option("confidence", PREDICT["confidence"]),
                option("language-model", PREDICT["language_model"] or own_language_model()),
                option("embeddings", prediction_embeddings()),
                option("chunk", PREDICT["chunk"]),
                "" if PREDICT["download"] else "--no-download",
            ]
        )
    )
