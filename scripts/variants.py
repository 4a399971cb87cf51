"""Predict what changes of the sequence do to where proteins are, with a model bundle."""

from halo.cli import job_parser, run_job
from halo.variants.command import add_arguments, job

if __name__ == "__main__":
    parser = job_parser(__doc__)
    add_arguments(parser)
    run_job(parser, job)
