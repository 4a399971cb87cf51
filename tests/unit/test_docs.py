"""The documentation says what is so."""

import re

import pytest

from halo.config import checked_config, folds, load_yaml, with_registry_entry
from halo.config_reference import reference


def test_the_reference_of_the_configuration_is_that_of_the_schema(root):
    """To mend it: `make config-reference`."""
    schema = load_yaml(root / "workflow/schemas/config.schema.yaml")
    assert reference(schema) in (root / "config/README.md").read_text()


def test_every_configuration_passes_its_schema(root):
    schema = load_yaml(root / "workflow/schemas/config.schema.yaml")
    registry = load_yaml(root / "resources/datasets.yaml")
    # Benchmarks are several configurations: tests/unit/test_benchmark.py.
    files = [f for f in (root / "config").glob("*.yaml") if not f.name.startswith("benchmark")]
    assert {"config.yaml", "deeploc2.yaml", "hpa.yaml", "protgps.yaml"} <= {f.name for f in files}
    for file in files:
        config = load_yaml(file)
        config["dataset"] = with_registry_entry(config["dataset"], registry)
        assert folds(checked_config(config, schema))


def test_every_key_is_described(root):
    schema = load_yaml(root / "workflow/schemas/config.schema.yaml")
    for line in reference(schema).splitlines()[2:]:
        assert not line.endswith("|  |"), line


@pytest.mark.parametrize("pattern", ["*.md", "docs/*.md", "config/*.md", "resources/**/*.md"])
def test_links_between_documents_lead_somewhere(root, pattern):
    for file in root.glob(pattern):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (file.parent / target).exists(), f"{file}: {target}"
