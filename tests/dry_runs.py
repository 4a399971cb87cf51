"""Many dry runs of Snakemake in little time, and runs whose results are empty files.

Snakemake is imported once; each call is a fork of the process that has done so.
"""

import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline import ROOT, Outcome, environment

# In the place of Python: it runs the ingest, and of other scripts writes the files that they would.
STAND_IN = """#!/bin/sh
case "$1" in */ingest.py) exec {python} "$@" ;; esac
for log; do :; done
while read -r file; do
  case "${{file##*/}}" in
    *.json) mkdir -p "$(dirname "$file")"; echo '{{"store": "a/b", "buckets": {{}}}}' > "$file" ;;
    *.*) mkdir -p "$(dirname "$file")"; : > "$file" ;;
    *) mkdir -p "$file" ;;
  esac
done < "{outputs}/$(echo "$log" | tr / _)"
"""


@dataclass
class Forks:
    """A process that has imported Snakemake, and calls it in a fork of its own each time."""

    process: subprocess.Popen = field(init=False)

    def __enter__(self) -> "Forks":
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), "PYTHONPATH": f"{ROOT}/workflow:{ROOT}/tests"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def call(self, folder: Path, *arguments: object) -> Outcome:
        """Call Snakemake from `folder`."""
        asked = {"folder": str(folder), "arguments": list(map(str, arguments))}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return Outcome(**json.loads(self.process.stdout.readline()))


@dataclass(frozen=True)
class EmptyRun:
    """A run that Snakemake takes for complete: only the ingest was carried out."""

    forks: Forks
    folder: Path
    config: Mapping[str, Any]
    snakefile: Path = ROOT / "Snakefile"

    def call(self, config: Mapping[str, Any], *arguments: object) -> Outcome:
        """Call Snakemake with a configuration."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        return self.forks.call(
            self.folder, "--snakefile", self.snakefile, "--configfile", file, "--cores", "2",
            *arguments,
        )  # fmt: skip

    def dry_run(self, config: Mapping[str, Any], *targets: str) -> Outcome:
        """Which jobs Snakemake would run with another configuration."""
        outcome = self.call(config, "--dry-run", "--", *targets)
        assert outcome.status == 0, outcome.output
        return outcome

    def make(self, *targets: str) -> "EmptyRun":
        """Carry out the ingest; all other jobs write empty files."""
        results = f"results/{self.config['run']}"
        done = self.call(self.config, "--", f"{results}/proteins.csv")
        assert done.status == 0, done.output
        listed = self.dry_run(self.config, *targets).output
        for job in re.split(r"\n(?=\[)", listed):
            output, log = (re.search(rf"^ +{key}: (.+)$", job, re.M) for key in ("output", "log"))
            if output and log:
                names = re.sub(r" \(.*?\)", "", output[1]).split(", ")
                self.outputs.mkdir(exist_ok=True)
                (self.outputs / log[1].replace("/", "_")).write_text("\n".join([*names, ""]))
        stand_in = self.folder / "bin/python"
        stand_in.parent.mkdir()
        stand_in.write_text(STAND_IN.format(python=sys.executable, outputs=self.outputs))
        stand_in.chmod(0o755)
        made = self.call(self.config, "--", *targets)
        assert made.status == 0, made.output
        again = self.dry_run(self.config, *targets)
        assert again.nothing_to_do, again.output
        return self

    @property
    def outputs(self) -> Path:
        """Folder of the lists of each job's files, by the name of its log."""
        return self.folder / "outputs"


def serve(calls: Sequence[str]) -> None:
    """Answer each call, a line of JSON, with its status and output."""
    import snakemake.cli
    import snakemake.workflow

    for line in calls:
        asked = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            os.dup2(write, 1)
            os.dup2(write, 2)
            status = 1
            try:
                os.chdir(asked["folder"])
                os.environ["PATH"] = f"{asked['folder']}/bin:{os.environ['PATH']}"
                snakemake.cli.main(asked["arguments"])
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        os.close(write)
        with os.fdopen(read, errors="replace") as stream:
            output = stream.read()
        _, status = os.waitpid(child, 0)
        answer = {"status": os.waitstatus_to_exitcode(status), "output": output}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.stdin)
