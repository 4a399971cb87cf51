"""The demo on a real Slurm with the profile, including jobs that Slurm kills."""

import math
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cluster.one_node import Job, accounting, one_node_slurm, slurm
from halo.config import load_yaml, merged
from pipeline import ROOT
from serve import AlphaFoldServer

pytestmark = pytest.mark.cluster

PROFILE = load_yaml(ROOT / "slurm/profile.yaml")
SHORT = {"training": {"epochs": 2}}  # the queue is the point here, and two cores are shared
STARVED, CANCELLED = "ingest", "train"
STARVED_MB = 100  # less than Snakemake needs, which starts the job


@dataclass(frozen=True)
class Run:
    """What the run has left: the outputs of both calls, and Slurm's accounting."""

    folder: Path
    first: str
    second: str
    jobs: list[Job]
    by_gres: list[Job]  # of a third call, by the profile that asks for GPUs with --gres

    def jobs_of(self, rule: str) -> dict[str, list[Job]]:
        """Jobs of a rule or group by what they work at, each with its tries in order."""
        found = defaultdict(list)
        name = f"{PROFILE['groups'][rule]}_{rule}" if rule in PROFILE["groups"] else rule
        for job in self.jobs:
            if re.fullmatch(rf"rule_{name}(_wildcards_.*)?", job.comment):
                found[job.comment].append(job)
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the demo through Slurm, in which one job lacks memory and one is cancelled."""
    folder = tmp_path_factory.mktemp("run")
    with (
        # Room for each job of the profile at its second try, and not for many at once.
        one_node_slurm(cpus=32, memory_mb=128_000),
        AlphaFoldServer(ROOT / "resources/demo/afdb") as server,
    ):
        transport = {"structures": {"transport": {"base_url": server.url}}}
        # The node's GPUs are false: nothing can compute on them.
        here = {"device": "cpu", **transport}
        config = merged(load_yaml(ROOT / "config/config.yaml"), {**SHORT, **here})
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        # Jobs wait until the first one has lost its memory.
        slurm("scontrol", "update", "PartitionName=all", "State=DOWN")
        with ThreadPoolExecutor() as threads:
            meddling = threads.submit(meddle)
            first = snakemake(folder)
            meddling.result(timeout=0)
        second, jobs = snakemake(folder), accounting()
        embed_by_gres(folder)
        yield Run(folder, first, second, jobs, accounting()[len(jobs) :])


def embed_by_gres(folder: Path) -> None:
    """Embed a shard again, by the profile as docs/how-to/cluster.md changes it for --gres."""
    profile = load_yaml(ROOT / "slurm/profile.yaml")
    for asked in profile["set-resources"].values():
        if asked.pop("gpu", None):
            asked["gres"] = "'gpu:1'"
    (folder / "profile").mkdir()
    (folder / "profile/profile.yaml").write_text(yaml.safe_dump(profile))
    snakemake(folder, folder / "profile", "--force", "--", "results/demo/embeddings/000.json")


def meddle() -> None:
    """Take the memory of the first job, let the jobs run, and cancel a training in flight."""
    number = wait_for_job(f"rule_{STARVED}", "pending")
    slurm("scontrol", "update", f"JobId={number}", f"MinMemoryNode={STARVED_MB}")
    slurm("scontrol", "update", "PartitionName=all", "State=UP")
    slurm("scancel", wait_for_job(f"rule_{CANCELLED}", "running"))


def wait_for_job(comment: str, state: str) -> str:
    """Number of the first job in that state whose comment begins so."""
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        queue = slurm("squeue", "--noheader", f"--states={state}", "--format=%A %k")
        if found := re.search(rf"^(\d+) {comment}", queue, re.MULTILINE):
            return found[1]
        time.sleep(0.5)
    raise TimeoutError(f"no job {comment} was {state}")


def snakemake(folder: Path, profile: Path = Path("slurm"), *arguments: str) -> str:
    """Call ``snakemake --profile slurm`` in the project's folder for a run below `folder`."""
    command = [
        *(sys.executable, "-m", "snakemake", "--profile", str(profile)),
        *("--directory", str(folder), "--configfile", str(folder / "config.yaml")),
        # There is no conda here: jobs use the Python of this environment.
        *("--software-deployment-method", "env-modules"),
        *("--slurm-init-seconds-before-status-checks", "1"),
        *arguments,
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Jobs ask for more cores than there are: their threads shall not wait for them at work.
        env={**os.environ, "PATH": path, "OMP_WAIT_POLICY": "PASSIVE"},
        cwd=ROOT,
        timeout=2400,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def wanted(rule: str, resource: str, attempt: int) -> int:
    """What the profile asks for at that try."""
    asked = {**PROFILE["default-resources"], **PROFILE["set-resources"].get(rule, {})}
    return eval(str(asked.get(resource, 0)), {"attempt": attempt})


def started(output: str) -> Counter[str]:
    """How often each rule started that has no reason to run where Snakemake does."""
    rules = re.findall(r"^ *(?:rule|checkpoint) (\w+):$", output, re.MULTILINE)
    return Counter(rule for rule in rules if rule != "all")


def test_the_run_is_complete_and_a_second_call_has_nothing_to_do(run):
    assert (run.folder / "results/demo/report.html").stat().st_size > 50_000
    assert "Nothing to be done" in run.second


def test_every_job_went_to_slurm(run):
    """As many jobs as Snakemake started, tries again and shards of a group counted."""
    rules = started(run.first)
    assert {"ingest", "split", "embeddings", "graphs", "train", "evaluate"} <= rules.keys()
    for rule, number in rules.items():
        group = PROFILE["groups"].get(rule)
        size = PROFILE["group-components"].get(group, 1)
        jobs = sum(map(len, run.jobs_of(rule).values()))
        assert jobs == math.ceil(number / size), rule


def test_jobs_asked_for_the_resources_of_the_profile(run):
    shards = load_yaml(ROOT / "config/config.yaml")["shards"]
    for rule in started(run.first):
        together = shards if rule in PROFILE["groups"] else 1
        for tries in run.jobs_of(rule).values():
            for attempt, job in enumerate(tries, 1):
                memory = wanted(rule, "mem_mb", attempt) * together
                if (rule, attempt) == (STARVED, 1):
                    memory = STARVED_MB
                asked = (memory, wanted(rule, "runtime", attempt), wanted(rule, "gpu", attempt))
                assert (job.memory_mb, job.minutes, job.gpus) == asked, job
                assert job.cpus == PROFILE["set-threads"].get(rule, job.cpus), job


def test_a_job_killed_for_memory_is_tried_again_with_more(run):
    [tries] = run.jobs_of(STARVED).values()
    assert [job.state == "COMPLETED" for job in tries] == [False, True]
    assert tries[1].memory_mb == wanted(STARVED, "mem_mb", 2) > wanted(STARVED, "mem_mb", 1)
    log = run.folder / f".snakemake/slurm_logs/rule_{STARVED}/{tries[0].number}.log"
    assert "exceeded memory limit" in log.read_text()


def test_a_job_cancelled_in_flight_is_tried_again(run):
    states = [[job.state for job in tries] for tries in run.jobs_of(CANCELLED).values()]
    assert sorted(states) == [["CANCELLED", "COMPLETED"], ["COMPLETED"], ["COMPLETED"]]


def test_gpus_can_be_asked_for_by_gres(run):
    [job] = run.by_gres
    assert job.comment.startswith("rule_embeddings")
    assert (job.gpus, job.state) == (1, "COMPLETED")
