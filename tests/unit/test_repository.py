"""Files of the repository that other programs read: GitHub, Zenodo, the workflow catalog."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {
    "vendor.github-workflows": sorted(ROOT.glob(".github/workflows/*.yml")),
    "vendor.github-issue-forms": [
        ROOT / ".github/ISSUE_TEMPLATE" / f"{n}.yml" for n in ("bug", "feature")
    ],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_file_fits_the_schema_of_its_reader(schema):
    assert SCHEMAS[schema]
    program = Path(sys.executable).parent / "check-jsonschema"
    words = [program, "--builtin-schema", schema, *SCHEMAS[schema]]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_workflows_call_targets_of_make_that_exist():
    targets = (ROOT / "Makefile").read_text()
    for path in SCHEMAS["vendor.github-workflows"]:
        jobs = yaml.safe_load(path.read_text())["jobs"].values()
        commands = [step.get("run", "") for job in jobs for step in job["steps"]]
        for command in commands:
            if command.startswith("make "):
                assert f"\n{command.split()[1]}:" in targets, f"{path.name}: {command}"


def test_the_workflow_catalog_finds_what_a_standardized_workflow_has():
    # https://snakemake.github.io/snakemake-workflow-catalog/docs/catalog.html
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert set(usage) == {"software-stack-deployment", "mandatory-flags", "report"}
    for name in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (ROOT / name).is_file()
