"""Runs with empty result files, for dry runs of Snakemake after changes."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from forks import Forks
from pipeline import ROOT, Outcome, snakemake_in

# In the place of Python: it runs the ingest and what it needs, and of other scripts writes the
# files that they would. The description of the language model has the name and the checksum of its
# file, and that of a fine-tuned one is another each time.
STAND_IN = """#!/bin/sh
case "$1" in */ingest.py | */embedding_file.py) exec {python} "$@" ;; esac
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
        words = ("--snakefile", self.snakefile, "--configfile", file, "--cores", "2", *arguments)
        return snakemake_in(self.folder, map(str, words), self.forks, self.tools)

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
