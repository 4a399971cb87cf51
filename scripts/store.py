"""Maintain the store; see `halo.commands.store`."""

from halo.cli import job_parser, run_job
from halo.commands.store import DESCRIPTION, add_arguments, job

if __name__ == "__main__":
    parser = job_parser(DESCRIPTION)
    add_arguments(parser)
    run_job(parser, job)
