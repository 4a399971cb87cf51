"""The documentation says what is so."""

import re

import pytest
from jsonschema import Draft202012Validator

from halo.config import checked_config, folds, load_yaml
from halo.config.model import RunConfig
from halo.config.reference import reference
from halo.config.registry import with_registry
from halo.config.schema import schema_of


def test_the_reference_of_the_configuration_is_that_of_the_model(root):
    """To correct it: `make config-reference`."""
    assert reference() in (root / "config/README.md").read_text()


def test_every_configuration_fits_the_model_and_its_json_schema(root):
    registry = load_yaml(root / "resources/datasets.yaml")
    schema = Draft202012Validator(schema_of(RunConfig))
    # Benchmarks are several configurations: tests/unit/test_benchmark.py.
    files = [f for f in (root / "config").glob("*.yaml") if not f.name.startswith("benchmark")]
    assert {"config.yaml", "deeploc2.yaml", "hpa.yaml", "protgps.yaml"} <= {f.name for f in files}
    for file in files:
        config, faults = with_registry(load_yaml(file), registry)
        assert not faults
        assert folds(checked_config(config))
        schema.validate(config)
    assert not schema.is_valid({"run": "x", "dataset": {}, "methods": {"a": {"class": "network",
                                "network": {"hiden": 8}}}})  # fmt: skip


def test_every_key_is_described():
    for line in reference().splitlines()[2:]:
        assert not line.endswith("|  |"), line


@pytest.mark.parametrize("pattern", ["*.md", "docs/**/*.md", "config/*.md", "resources/**/*.md"])
def test_links_between_documents_lead_somewhere(root, pattern):
    for file in root.glob(pattern):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (file.parent / target).exists(), f"{file}: {target}"
