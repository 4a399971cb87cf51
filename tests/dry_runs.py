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
# The description of the language model has the name and the checksum of its file, and that of a
# fine-tuned one is another each time.
STAND_IN = """#!/bin/sh
case "$1" in */ingest.py) exec {python} "$@" ;; esac
for log; do :; done
content='{{"store": "a/b", "buckets": {{}}}}'
case "$1" in
*/finetune.py) content="{{\\"sha256\\": \\"$(date +%N)\\"}}" ;;
*/language_model.py)
  while [ "$1" != --model ]; do shift; done
  sum=$(sha256sum < "$2" | cut -c1-64)
  content="{{\\"name\\": \\"$(basename "$2" .pt)\\", \\"sha256\\": \\"$sum\\"}}" ;;
esac
while read -r file; do
  case "${{file##*/}}" in
    *.json) mkdir -p "$(dirname "$file")"; echo "$content" > "$file" ;;
    *.*) mkdir -p "$(dirname "$file")"; echo x > "$file" ;;
    *) mkdir -p "$file" ;;
  esac
done < "{outputs}/$(echo "$log" | tr / _)"
"""


@dataclass
class Forks:
    """A process that has imported Snakemake, and calls it in a fork of its own each time."""

    root: Path = ROOT  # the workflow whose modules are imported
    process: subprocess.Popen = field(init=False)

    def __enter__(self) -> "Forks":
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), "PYTHONPATH": f"{self.root}/workflow:{ROOT}/tests"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def call(self, folder: Path, tools: Path, *arguments: object) -> Outcome:
        """Call Snakemake from `folder`; programs in `tools` come before all others."""
        words = list(map(str, arguments))
        asked = {"folder": str(folder), "tools": str(tools), "arguments": words}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return Outcome(**json.loads(self.process.stdout.readline()))


@dataclass(frozen=True)
class EmptyRun:
    """A run that Snakemake takes for complete: only the ingest was carried out."""

    forks: Forks
    folder: Path
    tools: Path  # programs that are found first
    config: Mapping[str, Any]
    snakefile: Path = ROOT / "Snakefile"

    def call(self, config: Mapping[str, Any], *arguments: object) -> Outcome:
        """Call Snakemake with a configuration."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
        command = ("--snakefile", self.snakefile, "--configfile", file, "--cores", "2")
        return self.forks.call(self.folder, self.tools, *command, *arguments)

    def dry_run(self, config: Mapping[str, Any], *targets: str) -> Outcome:
        """Which jobs Snakemake would run with another configuration."""
        outcome = self.call(config, "--dry-run", "--", *targets)
        assert outcome.status == 0, outcome.output
        return outcome

    def make(self, *targets: str) -> str:
        """Carry out the ingest; all other jobs write empty files. What Snakemake says."""
        results = f"results/{self.config['run']}"
        done = self.call(self.config, "--", f"{results}/proteins.csv")
        assert done.status == 0, done.output
        self.list_outputs(self.config, *targets)
        stand_in = self.tools / "python"
        stand_in.write_text(STAND_IN.format(python=sys.executable, outputs=self.outputs))
        stand_in.chmod(0o755)
        made = self.call(self.config, "--", *targets)
        assert made.status == 0, made.output
        again = self.dry_run(self.config, *targets)
        assert again.nothing_to_do, again.output
        return made.output

    def list_outputs(self, config: Mapping[str, Any], *targets: str) -> None:
        """Write which files each job of a dry run makes, for the stand-in."""
        listed = self.dry_run(config, *targets).output
        self.outputs.mkdir(parents=True, exist_ok=True)
        for job in re.split(r"\n(?=\[)", listed):
            output, log = (re.search(rf"^ +{key}: (.+)$", job, re.M) for key in ("output", "log"))
            if output and log:
                names = re.sub(r" \(.*?\)", "", output[1]).split(", ")
                (self.outputs / log[1].replace("/", "_")).write_text("\n".join([*names, ""]))

    @property
    def outputs(self) -> Path:
        """Folder of the lists of each job's files, by the name of its log."""
        return self.tools / "outputs"


def serve(calls: Sequence[str]) -> None:
    """Answer each call, a line of JSON, with its status and output."""
    import snakemake.cli
    import snakemake.workflow

    from halo import config, machine, relevance, shards
    from halo.code_digest import code_digest
    from halo.proteins import datasets, preflight

    # What a call imports and computes later; the modules are of the folder that is tested.
    assert snakemake.workflow
    assert all((config, machine, relevance, shards, datasets, preflight))
    root = Path(machine.__file__).parents[2]
    for script in (root / "scripts").glob("*.py"):
        code_digest(script)
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
                os.environ["PATH"] = f"{asked['tools']}:{os.environ['PATH']}"
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
