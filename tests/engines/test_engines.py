"""The profiles of other executors with their plugins, and files in S3 (make test-engines)."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import ROOT

pytestmark = pytest.mark.engines
SEQUENCES = [("MKVLATTRDEWWQ" * 4)[i:] + "ACDEFGHIKLMNPQRSTVWY"[: i + 1] for i in range(20)]


@pytest.fixture
def project(tmp_path) -> Path:
    """A working folder with the profiles, a table and its configuration."""
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    rows = [f"p{i},{sequence},{i % 2},{1 - i % 2}" for i, sequence in enumerate(SEQUENCES)]
    (tmp_path / "mine.csv").write_text("\n".join(["id,sequence,A,B", *rows]) + "\n")
    config = {"run": "mine", "dataset": {"proteins": "mine.csv"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def snakemake(folder: Path, *words: str, status: int = 0, **variables: str) -> str:
    """Call Snakemake with the workflow; what it printed."""
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml"]
    command += ["--snakefile", str(ROOT / "Snakefile")]
    programs = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": ":".join(programs), **variables}
    done = subprocess.run(
        [*command, *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def program(folder: Path, name: str, text: str) -> None:
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(0o755)


NO_CONDA = ("--software-deployment-method", "env-modules")


@pytest.mark.parametrize("engine", ["kubernetes", "lsf", "pbs"])
def test_a_profile_is_understood(project, engine):
    words = ["--profile", f"profiles/{engine}", *NO_CONDA, "--dry-run"]
    said = snakemake(project, *words)
    assert "rule train:" in said
    [resources] = {line for line in said.splitlines() if "mem_mb=32000" in line and "gpu" in line}
    asked = {"kubernetes": "gpus=1", "lsf": "-gpu num=1", "pbs": "ngpus=1"}
    assert asked[engine] in resources


@pytest.mark.parametrize(
    "executor",
    [
        "kubernetes",
        "aws-batch --aws-batch-region r --aws-batch-job-queue q --aws-batch-job-role r",
    ],
    ids=["kubernetes", "aws-batch"],
)
def test_an_executor_without_a_shared_file_system_is_refused(project, executor):
    """These plugins require a storage provider, with which jobs would not find the store."""
    storage = "--default-storage-provider s3 --default-storage-prefix s3://data --jobs 1 --dry-run"
    said = snakemake(project, *f"--executor {executor} {storage}".split(), status=1)
    assert "needs a file system that all jobs share" in said


# A PBS that runs each job at once.
QSUB = """
echo "$@" >> submitted
for script; do :; done
sh "$script" > job.log 2>&1
echo $? > status
echo 17.server
"""
QSTAT = """
printf 'Job Id: 17.server\\n    job_state = F\\n    Exit_status = %s\\n' "$(cat status)"
"""


def test_jobs_by_pbs(project):
    program(project, "qsub", QSUB)
    program(project, "qstat", QSTAT)
    words = ("results/mine/proteins.csv", "--profile", "profiles/pbs", *NO_CONDA)
    snakemake(project, *words)
    assert (project / "results/mine/proteins.csv").read_text().count("\n") == len(SEQUENCES) + 1
    submitted = (project / "submitted").read_text()
    assert "select=1:ncpus=1:mem=16000mb:ngpus=0 -l walltime=8:00:00" in submitted


# A Kubernetes that runs each job at once.
KUBECTL = """
[ "$1" = create ] || { [ -s status ] && printf '%s' "$(cat status)"; exit; }
cat > manifest
script=$(sed -n 's/.*command: .sh, "\\(.*\\)".*/\\1/p' manifest)
if sh "$script" > job.log 2>&1; then echo "1 " > status; else echo " 1" > status; fi
echo job.batch/halo-x7k2p
"""


def test_jobs_by_kubernetes(project):
    program(project, "kubectl", KUBECTL)
    words = ("results/mine/proteins.csv", "--profile", "profiles/kubernetes")
    snakemake(project, *words)
    assert (project / "results/mine/proteins.csv").is_file()
    job = yaml.safe_load((project / "manifest").read_text())["spec"]["template"]["spec"]
    [container] = job["containers"]
    assert container["workingDir"] == str(project)
    assert container["resources"]["limits"] == {"memory": "16000Mi", "nvidia.com/gpu": 0}
    assert job["volumes"][0]["persistentVolumeClaim"] == {"claimName": "halo"}


@pytest.mark.parametrize(
    ("engine", "answer", "state"),
    [
        ("pbs", "    job_state = R", "running"),
        ("pbs", "    job_state = F\n    Exit_status = 0", "success"),
        ("pbs", "    job_state = F\n    Exit_status = 271", "failed"),
        ("pbs", "    job_state = F", "failed"),  # deleted before it ran
        ("kubernetes", " ", "running"),
        ("kubernetes", "1 ", "success"),
        ("kubernetes", " 1", "failed"),
    ],
)
def test_the_state_of_a_job(tmp_path, engine, answer, state):
    name = {"pbs": "qstat", "kubernetes": "kubectl"}[engine]
    program(tmp_path, name, f"cat <<'END'\n{answer}\nEND\n")
    words = ["sh", str(ROOT / f"profiles/{engine}/status.sh"), "17"]
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == state


# ---------------------------------------------------------------------- files in S3


@pytest.fixture
def s3() -> Iterator[Any]:
    """A client of a server with S3's interface, which has the bucket ``data``."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="data")
    yield client
    server.stop()


def test_a_table_from_s3_and_results_to_it(project, s3):
    """As docs/how-to/engines.md shows it."""
    page = (ROOT / "docs/how-to/engines.md").read_text()
    [snakefile] = re.findall(r"```snakemake\n(# s3\.smk.*?)```", page, re.DOTALL)
    (project / "s3.smk").write_text(snakefile)
    s3.upload_file(str(project / "mine.csv"), "data", "mine.csv")
    (project / "mine.csv").unlink()
    variables = {
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": s3.meta.endpoint_url,
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key",
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret",
    }
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", "s3.smk"]

    def call(target: str) -> None:
        environment = {**os.environ, **variables}
        done = subprocess.run(
            [*command, target],
            cwd=project, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    call("mine.csv")
    assert (project / "mine.csv").read_text().startswith("id,sequence,A,B")
    report = project / "results/mine/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<html>")
    call("publish")
    stored = s3.get_object(Bucket="data", Key="results/mine/report.html")
    assert stored["Body"].read() == b"<html>"
