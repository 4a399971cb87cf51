# Where the workflow lies, and how its rules run their scripts.
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The workflow's own folder: scripts and modules are found there, wherever the run is.
BASE = Path(str(workflow.current_basedir)).parent.resolve()
sys.path.insert(0, str(BASE / "workflow"))

from halo import config as halo_config
from halo.code import code_digest
from halo.errors import HaloError

# In a module the configuration is what the outer workflow gives it.
CONFIGFILES = workflow.configfiles if workflow.modifier.is_main_snakefile() else []

if workflow.modifier.is_main_snakefile():
    try:
        config.update(halo_config.with_command_line(config, workflow.config_settings.config_args))
    except HaloError as error:
        raise WorkflowError(str(error)) from None


class Untracked:
    """A `params` value that sets off no rerun when it changes.

    For what has no influence on the content: where the workflow lies, how something is
    fetched, what is only noted. Snakemake compares `params` of its own types alone.
    """

    def __init__(self, text):
        self.text = str(text)

    def __str__(self):
        return self.text


# Seconds that a file of another node may come late; a store's segments are no outputs, so that
# Snakemake does not wait for them.
LATENCY_WAIT = workflow.execution_settings.latency_wait if workflow.execution_settings else 0


def run_with(program):
    """The start of a shell command: `program`, a Python, and the folder of the scripts.

    The modules are the workflow's, and the user's site-packages are kept out.
    """
    return Untracked(
        f"PYTHONNOUSERSITE=1 PYTHONPATH={shlex.quote(str(BASE / 'workflow'))} "
        f"HALO_LATENCY_WAIT={LATENCY_WAIT} "
        f"{program} {shlex.quote(str(BASE / 'scripts'))}"
    )


# Every job runs a script of the workflow with the Python of its own environment.
RUN = run_with("python")


def script_digest(name):
    """Digest of a script and of all modules that it imports: a `params` value of its rule."""
    return code_digest(BASE / "scripts" / name)
