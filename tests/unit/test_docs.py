"""The documentation agrees with the code."""

import argparse
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from doc_blocks import blocks, pages
from halo.config import checked_benchmark, checked_config, folds, load_yaml
from halo.config.model import RunConfig
from halo.config.reference import HEADING, PAGE, reference
from halo.config.registry import with_registry
from halo.config.schema import schema_of
from halo.predict.command import add_arguments
from halo.variants.command import add_arguments as add_variant_arguments


def test_the_reference_of_the_configuration_is_that_of_the_model():
    """To correct it: `make config-reference`."""
    assert PAGE.read_text().endswith(HEADING + reference())


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
    for line in reference().splitlines():
        assert not line.endswith("|  |"), line


@pytest.mark.parametrize("pattern", ["*.md", "docs/**/*.md", "config/*.md", "resources/**/*.md"])
def test_links_between_documents_lead_somewhere(root, pattern):
    for file in root.glob(pattern):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (file.parent / target).exists(), f"{file}: {target}"


def test_the_reference_of_the_commands_has_every_option_of_halo_predict(root):
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    section = (root / "docs/reference/commands.md").read_text().split("\n## ")[2]
    listed = set(re.findall(r"`(--?[a-z-]+)`", section.replace("halo --version", "")))
    assert listed - {"--log"} == options


def test_the_reference_of_the_commands_has_every_option_of_halo_variants(root):
    parser = argparse.ArgumentParser(add_help=False)
    add_variant_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    text = (root / "docs/reference/commands.md").read_text()
    section = text.split("\n## halo variants")[1].split("\n## ")[0]
    assert set(re.findall(r"`(--?[a-z-]+)`", section)) - {"--log"} == options


@pytest.mark.parametrize("block", list(blocks("yaml")), ids=lambda block: block.page)
def test_the_configurations_of_the_pages_fit_the_model(block):
    config = {"run": "mine", "dataset": {}, **yaml.safe_load(block.text)}
    if "uniprot" not in config["dataset"]:
        config["dataset"] = {"proteins": "mine.csv", **config["dataset"]}
    if section := config.pop("benchmark", None):
        checked_benchmark(section)
    checked_config(config)


def test_the_targets_of_make_that_the_pages_name_exist(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    for page in pages():
        named = set(re.findall(r"`make ((?!bench-…)[a-z-]+)", page.read_text()))
        assert named <= targets, page


def test_the_files_of_the_repository_that_the_pages_name_exist(root):
    path = re.compile(r"`((?:envs|requirements|rules|scripts|tests|workflow)/[\w./-]+\w)`")
    for page in pages():
        if page.name != "CHANGELOG.md":
            for name in path.findall(page.read_text()):
                assert (root / name).exists(), f"{page}: {name}"
