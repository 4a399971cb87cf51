"""The subpackages import each other without a cycle, and know nothing of the workflow."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "workflow/halo"


def part_of(module: Path) -> str:
    """The subpackage of a module, or the module itself where it is in none."""
    parts = module.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else module.stem


def imported(module: Path) -> set[str]:
    """Subpackages and modules of the package that a module imports, inside of functions too."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("halo.")}
    return {
        name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
    }


def test_subpackages_import_each_other_without_a_cycle():
    graph: dict[str, set[str]] = {}
    for module in PACKAGE.rglob("*.py"):
        graph.setdefault(part_of(module), set()).update(imported(module) - {part_of(module)})
    assert graph["training"] >= {"network", "embeddings"}  # the imports are seen
    TopologicalSorter(graph).prepare()  # graphlib.CycleError names the cycle


# The rules pass commands, files and folders on; the configuration is the workflow's own, and has
# words of its own for them. The subcommands of halo call it.
WORKFLOW_WORDS = re.compile("snakemake|benchmarks/|results/", re.IGNORECASE)


@pytest.mark.parametrize(
    "module",
    [p for p in PACKAGE.rglob("*.py") if part_of(p) not in ("commands", "config")],
    ids=lambda p: p.stem,
)
def test_the_package_does_not_know_the_workflow(module):
    assert WORKFLOW_WORDS.findall(module.read_text(encoding="utf-8")) == []
