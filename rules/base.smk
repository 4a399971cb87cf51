# Where the workflow lies, and how its rules run their scripts.
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The workflow's own folder: scripts and modules are found there, wherever the run is.
BASE = Path(str(workflow.current_basedir)).parent.resolve()
sys.path.insert(0, str(BASE / "workflow"))

try:
    from halo import config as halo_config
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Snakemake's own environment has no {error.name}: pip install {error.name}"
    ) from None

from halo.code import code_digest
from halo.errors import HaloError

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


def script_digest(name):
    """Digest of a script and of all modules that it imports: a `params` value of its rule."""
    return code_digest(BASE / "scripts" / name)
