# Inputs and parameters of the rules in ../ingest.smk.
import re

from halo.config.downloads import download_name
from halo.config.files import worth_reading
from halo.kept_downloads import is_outdated, with_advice
from halo.uniprot.release import START as UNIPROT_START
from halo.uniprot.settings import UniprotSettings

DATASET = config["dataset"]
TEST_SET = DATASET["test"] or {}
LONG_LABELS = bool(DATASET["labels"]["label"])
DOWNLOADED = Path(config["store"], "downloads")
# The run's records of files in this folder, which other runs use, too.
RECORDS = "<results>/downloads"
# URL and checksum of each file in the folder of downloads.
DOWNLOADS = {
    download_name(table["url"]): table for table in (DATASET, TEST_SET) if table.get("url")
}
# Data sets that are queried from UniProt.
FROM_UNIPROT = [t for t in (DATASET, TEST_SET) if t.get("uniprot") and not t["proteins"]]


def downloaded_name(table):
    """Name of the download of a data set from a URL or UniProt; None: it has a local file."""
    if not table or table["proteins"]:
        return None
    return uniprot_name(table) if table["uniprot"] else download_name(table["url"])


def dataset_file(table):
    """The local file of the configuration as an input, or the record of the download."""
    if not table:
        return []
    name = downloaded_name(table)
    return f"{RECORDS}/{name}.json" if name else literal(table["proteins"])


def data_file(table):
    """The local file of the configuration, or the downloaded one; None without a data set."""
    name = downloaded_name(table)
    if name:
        return DOWNLOADED / name
    return literal(table["proteins"]) if table else None


def downloaded_files():
    """The files of the data that were downloaded, for messages."""
    names = [downloaded_name(table) for table in (DATASET, TEST_SET)]
    return [DOWNLOADED / name for name in names if name]


def changed_download(wildcards):
    """An input function without files: the job runs if the store's file is not that of the record.

    Snakemake itself sees the record alone.
    """
    record = f"{results_folder(config)}/downloads/{wildcards.name}.json"
    if workflow.is_main_process:
        if is_outdated(record, DOWNLOADED / wildcards.name, DIGESTS):
            workflow.dag.forcefiles.add(record)
        else:  # also when it has been made again
            workflow.dag.forcefiles.discard(record)
    return []


def labels_file(table):
    """The table of labels, if the configuration has one."""
    return literal(table["labels"]["table"]) if table and table["labels"]["table"] else []


def tables_of_groups(table):
    """The separate tables of further groups of labels, by the name of the group."""
    groups = (table.get("groups") or {}) if table else {}
    return {name: literal(group["table"]) for name, group in groups.items() if group["table"]}


def files_of_data(table):
    """The user's files of a data set, always at the same places; None for one that is not given.

    By their places, files that are exchanged are other data.
    """
    if not table:
        return [None]
    given = [table["proteins"], table["labels"]["table"], (table["uniprot"] or {}).get("mapping")]
    groups = table.get("groups") or {}
    return given + [groups[name]["table"] for name in sorted(groups)]


def group_options(name, table):
    """Options of a command line with the tables of groups."""
    given = tables_of_groups(table).items()
    return " ".join(option(name, f"{group}={path}") for group, path in given)


def uniprot_name(table):
    """File name of the UniProt entries of a data set."""
    settings = UniprotSettings.from_config(table["uniprot"])
    return f"{UNIPROT_START}{sha256_of_text(settings.base_url + settings.search)[:12]}.jsonl.gz"


def uniprot_query(name):
    """Keys of the configuration that the entries of such a file depend on."""
    table = next(table for table in FROM_UNIPROT if uniprot_name(table) == name)
    return chosen(table["uniprot"], "query", "taxonomy", "reviewed", "base_url")


def uniprot_mappings():
    """Tables of the configuration that map locations of UniProt to labels."""
    used = [table["uniprot"] for table in (DATASET, TEST_SET) if table.get("uniprot")]
    return sorted({literal(section["mapping"]) for section in used if section["mapping"]})


def check_data():
    """Stop the run before the first job if its data do not fit its configuration."""
    test_labels = TEST_SET["labels"]["table"] if TEST_SET else None
    files = [data_file(DATASET), DATASET["labels"]["table"], data_file(TEST_SET), test_labels]
    groups = [tables_of_groups(DATASET), tables_of_groups(TEST_SET)]
    tables = [path for of_groups in groups for path in of_groups.values()]
    given = [*filter(None, [*files, *tables, config["split"]["base"]]), *CONFIGFILES]
    changed = {"dataset", "split"} & set(workflow.config_settings.config)  # on the command line
    made = None if changed else Path(results_folder(config), "proteins.csv")
    if not worth_reading(given, made):
        return
    # Not at the top: it loads pandas, which the processes of the jobs can do without, and so can
    # an environment of Snakemake alone. The ingest finds the same.
    try:
        from halo import preflight
        from halo.proteins import datasets
    except ModuleNotFoundError:
        return
    try:
        data = datasets.DataFiles(*(file or None for file in files), *groups)
        preflight.check_data(data, stage_settings.ingest_settings(USED), config["split"])
    except HaloError as error:
        raise WorkflowError(str(with_advice(error, downloaded_files()))) from None


if workflow.is_main_process:
    check_data()
