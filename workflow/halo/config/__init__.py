"""The configuration: a typed model, validated before the first job.

Its sections are the settings of the stages (see `halo.settings`), which `model` combines.
"""

from halo.config.check import checked_benchmark, checked_config
from halo.config.command_line import check_options, command_line_keys, with_command_line
from halo.config.complete import completed_config
from halo.config.merge import Config, merged
from halo.config.methods import methods_of
from halo.config.rules import folds
from halo.config.yaml_file import key_lines, load_yaml

__all__ = [
    "Config",
    "check_options",
    "checked_benchmark",
    "checked_config",
    "command_line_keys",
    "completed_config",
    "folds",
    "key_lines",
    "load_yaml",
    "merged",
    "methods_of",
    "with_command_line",
]
