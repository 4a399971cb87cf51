# The folder of the workflow, and how rules run scripts.
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import contains_wildcard, regex_from_filepattern
from snakemake.sourcecache import HostingProviderFile, LocalGitFile


def checkout(source):
    """A folder with the workflow, of which Snakemake reads the file or folder `source`.

    Of a Git repository (`module` with `github(...)`) Snakemake takes its own files one by one. The
    scripts and the package are taken from the clone that it keeps, once for each commit.
    """
    if isinstance(source, LocalGitFile):
        clone = Path(source.repo_path)
    elif isinstance(source, HostingProviderFile):
        clone = Path(source.hosted_repo.repo.git_dir)
    elif Path(str(source)).is_absolute():
        return Path(str(source)).parent.resolve()
    else:
        raise WorkflowError(
            f"{source}: HALO needs its whole repository, not single files of it; clone it and name "
            "the Snakefile's path, or use github(...) with a tag or commit"
        )
    git = ("git", "-C", str(clone))
    names = (f"{source.ref}^{{commit}}", f"origin/{source.ref}^{{commit}}")
    asked = [
        subprocess.run([*git, "rev-parse", "--verify", name], capture_output=True, text=True)
        for name in names
    ]
    commit = next(done.stdout.strip() for done in asked if done.returncode == 0)
    folder = Path(".snakemake/halo").resolve() / commit
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = Path(scratch) / "archive.tar"
            subprocess.run([*git, "archive", "--output", archive, commit], check=True)
            work = Path(scratch) / "work"
            work.mkdir()
            subprocess.run(["tar", "-xf", archive, "-C", work], check=True)
            try:
                work.rename(folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


try:
    re.compile(regex_from_filepattern(str(Path.cwd())))
except re.error:
    raise WorkflowError(
        f"{Path.cwd()}: Snakemake takes the braces in the path of its working directory for a "
        "pattern, and fails; rename it"
    ) from None

# Executors without a shared file system require one, such as aws-batch and kubernetes.
if workflow.storage_settings.default_storage_provider is not None:
    raise WorkflowError(
        "--default-storage-provider: segments of the store are no outputs of rules, so HALO needs a "
        "file system that all jobs share, without a storage provider; docs/how-to/engines.md says "
        "what to use in place of an executor that has none (Kubernetes: profiles/kubernetes, AWS: "
        "Slurm of ParallelCluster)"
    )

# The workflow's own folder, with scripts and modules, independent of the working directory.
BASE = checkout(workflow.current_basedir)
if ":" in str(BASE):
    raise WorkflowError(
        f"{BASE}: the workflow's path has a colon, which PYTHONPATH cannot hold; move it"
    )
sys.path.insert(0, str(BASE / "workflow"))

try:
    from halo import config as halo_config
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Snakemake's own environment has no {error.name}: pip install {error.name}"
    ) from None

from halo.code_digest import code_digest
from halo.content_digest import content_digest
from halo.errors import HaloError
from halo.files import sha256_of_file, sha256_of_text
from halo.machine import gpus

# In a module the configuration is what the outer workflow gives it.
CONFIGFILES, LINES = [], {}
if workflow.modifier.is_main_snakefile():
    CONFIGFILES, given = workflow.configfiles, workflow.config_settings.config_args
    try:
        if workflow.is_main_process:
            halo_config.check_options(sys.argv)
        LINES = halo_config.key_lines(CONFIGFILES) | halo_config.command_line_keys(given)
        config.update(halo_config.with_command_line(config, given))
    except HaloError as error:
        raise WorkflowError(str(error)) from None


class Untracked:
    """A `params` value whose changes cause no rerun.

    For what has no influence on the content: where the workflow lies, how something is
    fetched, what is only noted. Snakemake compares `params` of its own types alone. A function's
    value is asked for when the job starts.
    """

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text() if callable(self.text) else str(self.text)


def run_with(program):
    """The beginning of a shell command: environment, `program`, and the folder of scripts.

    The modules are the workflow's, and the user's site-packages are kept out. Jobs wait for the
    store's segments, which Snakemake does not know, as long as for its own inputs. Where no job is
    run (--report), Snakemake has no such settings.
    """
    return Untracked(
        lambda: f"HALO_LATENCY_WAIT={getattr(workflow.execution_settings, 'latency_wait', 0)} "
        f"PYTHONNOUSERSITE=1 PYTHONPATH={shlex.quote(str(BASE / 'workflow'))} "
        f"{program} {shlex.quote(str(BASE / 'scripts'))}"
    )


# Every job runs a script with the Python of its environment.
RUN = run_with("python")


def literal(path):
    """A file or folder of the user as an input, with any name.

    Snakemake takes {name} for a wildcard and knows no other way to write braces: such a path is
    reached through a link without them.
    """
    path = str(path)
    if not contains_wildcard(path):
        return path
    target = Path(path).absolute()
    link = Path(".snakemake/halo/links", f"{sha256_of_text(str(target))[:16]}-{target.name}")
    link = link.with_name(re.sub("[{}]", "_", link.name))
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)
    return str(link)


# Where `content_digest` notes what it has read.
DIGESTS = Path(".snakemake/halo/digests")


def content_of(*paths):
    """A `params` function: digests of files or folders of the user; None stands for none.

    Snakemake itself compares the content of newer inputs alone, and no content of folders.
    """
    return lambda wildcards: " ".join(
        content_digest(path, DIGESTS) if path else "none" for path in paths
    )


def script_digest(name, *modules):
    """Digest of a script, of all modules that it imports, and of more: a `params` value of a rule."""
    return code_digest(BASE / "scripts" / name, *modules)


def limit(resource, most):
    """Limit a resource for all running jobs to `most`, unless the command line sets it."""
    if resource not in workflow.global_resources:
        workflow.register_resource(resource, most)


# Only one job at a time sends requests to AlphaFold DB, so that the configured rate holds for all
# shards together. Of several runs with the same language model or data set, the first one
# downloads it.
limit("afdb", 1)
limit("language_model", 1)
limit("downloads", 1)
# Jobs with a GPU share those of this machine; on a cluster, the scheduler assigns them.
GPUS = gpus() if workflow.local_exec and workflow.is_main_process else []
if GPUS:
    limit("gpu", len(GPUS))
