# Where the workflow lies, and how its rules run their scripts.
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

# The workflow's own folder: scripts and modules are found there, wherever the run is.
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
from halo.errors import HaloError
from halo.files import sha256_of_file, sha256_of_text
from halo.machine import gpus

# In a module the configuration is what the outer workflow gives it.
CONFIGFILES, LINES = [], {}
if workflow.modifier.is_main_snakefile():
    CONFIGFILES, given = workflow.configfiles, workflow.config_settings.config_args
    try:
        LINES = halo_config.key_lines(CONFIGFILES) | halo_config.command_line_keys(given)
        config.update(halo_config.with_command_line(config, given))
    except HaloError as error:
        raise WorkflowError(str(error)) from None


class Untracked:
    """A `params` value that sets off no rerun when it changes.

    For what has no influence on the content: where the workflow lies, how something is
    fetched, what is only noted. Snakemake compares `params` of its own types alone. A function's
    value is asked for when the job starts.
    """

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text() if callable(self.text) else str(self.text)


def run_with(program):
    """The start of a shell command: `program`, a Python, and the folder of the scripts.

    The modules are the workflow's, and the user's site-packages are kept out. Jobs wait for the
    store's segments, which Snakemake does not know, as long as for its own inputs.
    """
    return Untracked(
        lambda: f"HALO_LATENCY_WAIT={workflow.execution_settings.latency_wait} "
        f"PYTHONNOUSERSITE=1 PYTHONPATH={shlex.quote(str(BASE / 'workflow'))} "
        f"{program} {shlex.quote(str(BASE / 'scripts'))}"
    )


# Every job runs a script of the workflow with the Python of its own environment.
RUN = run_with("python")


def literal(path):
    """A file or folder of the user as an input, whatever its name is.

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


def script_digest(name):
    """Digest of a script and of all modules that it imports: a `params` value of its rule."""
    return code_digest(BASE / "scripts" / name)


def limit(resource, most):
    """Let jobs that are running use `most` of a resource, unless the command line says otherwise."""
    if resource not in workflow.global_resources:
        workflow.register_resource(resource, most)


# AlphaFold DB is asked by one job at a time, so that the rate of the configuration is that of all
# shards together; of runs that need the same language model the first downloads it.
limit("afdb", 1)
limit("language_model", 1)
# Jobs that use a GPU share those of this machine; on a cluster the scheduler deals them out.
GPUS = gpus() if workflow.local_exec and workflow.is_main_process else []
if GPUS:
    limit("gpu", len(GPUS))
