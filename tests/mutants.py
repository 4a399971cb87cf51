"""Mutation testing of the modules that a wrong result would not show: `make mutants`.

A mutant is a module with one operator or constant changed. For each one the module's tests run in a
fork of this process, which has imported the libraries, but nothing of HALO. A mutant survives where
all of them pass: a test is missing, or the change makes no difference. Survivors are printed as
``file:line: before -> after``.

    python tests/mutants.py --sample 20 --modules split.folds training.decisions

The mutants of a module run in an order that is drawn by a seed, until all have run or the minutes
of the module are over; what was left out is printed, and another seed draws another order.
"""

import argparse
import ast
import copy
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

import hypothesis
import pandas
import pytest
import scipy.stats
import sklearn.metrics
import torch

ROOT = Path(__file__).parents[1]
LIBRARIES = (hypothesis, pandas, scipy.stats, sklearn.metrics, torch)  # imported once
# A mutant that takes this many times as long as the module itself does not end: it is killed.
PATIENCE, LEAST_SECONDS = 10, 30
# The modules, and the tests that have to notice what is changed in them.
TESTS = {
    "split.folds": ("test_split_folds", "test_split_packing"),
    "split.cutting": ("test_split_cutting", "test_split_folds"),
    "split.groups": ("test_split_folds", "test_split_run"),
    "split.incremental": ("test_split_folds", "test_split_run"),
    "split.audit": ("test_split_audit", "test_split_run"),
    "split.leakage": ("test_split_leakage", "test_split_run"),
    "embeddings.leakage": ("test_finetuning",),
    "decisions": ("test_training_thresholds", "test_evaluation_thresholds", "test_cascade"),
    "network.modalities": ("test_network", "test_network_parts"),
    "network.loss": ("test_network_parts", "test_partial_labels"),
    "training.decisions": ("test_training_thresholds", "test_partial_labels"),
    "training.thresholds": ("test_training_thresholds",),
    "evaluation.thresholds": ("test_evaluation_thresholds",),
    "evaluation.metrics": ("test_evaluation_metrics",),
    "evaluation.bootstrap": ("test_evaluation_bootstrap",),
    "evaluation.conformal": ("test_cascade",),
    "cascade.calibration": ("test_cascade",),
    "cascade.combination": ("test_cascade",),
    "homologues.rule": ("test_homologues",),
    "regions.decode": ("test_regions_decode",),
    "fold_parts": ("test_fold_parts",),
}
SWAPPED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    file: Path
    line: int
    before: str
    after: str
    code: CodeType

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: {self.before} -> {self.after}"


def changed(node: ast.AST) -> ast.AST | None:
    """What takes the place of a node, or None."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
            new.ops = [SWAPPED[type(operator)]()]
        case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in SWAPPED:
            new.op = SWAPPED[type(operator)]()
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            new = operand
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int(value) | float(value)):
            new.value = value + 1
        case _:
            return None
    return new


def is_typing(node: ast.AST) -> bool:
    """Whether a node says something of types alone, or of the text of an error."""
    frozen = isinstance(node, ast.keyword) and node.arg == "frozen"  # of a dataclass
    return frozen or isinstance(node, ast.JoinedStr | ast.Raise | ast.AnnAssign | ast.ImportFrom)


def nodes(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Parent, field, index and node of all that a change may take the place of."""
    for name, value in ast.iter_fields(parent):
        if name in ("annotation", "returns"):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST) and not is_typing(node):
                yield parent, name, index, node
                yield from nodes(node)


def mutants(file: Path) -> list[Mutant]:
    """All mutants of a module."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = []
    for parent, name, index, node in list(nodes(tree)):
        new = changed(node)
        if new is None:
            continue
        place = getattr(parent, name)
        if index is None:
            setattr(parent, name, new)
        else:
            place[index] = new
        code = compile(ast.fix_missing_locations(tree), str(file), "exec")
        found.append(Mutant(file, node.lineno, ast.unparse(node), ast.unparse(new), code))
        if index is None:
            setattr(parent, name, node)
        else:
            place[index] = node
    return found


class Instead(MetaPathFinder, SourceFileLoader):
    """Gives the mutant in place of its module."""

    def __init__(self, module: str, mutant: Mutant) -> None:
        super().__init__(module, str(mutant.file))
        self.mutant = mutant

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """The module of the mutant."""
        if name != self.name:
            return None
        return spec_from_file_location(name, self.mutant.file, loader=self)

    def get_code(self, _: str) -> CodeType:
        """The mutant."""
        return self.mutant.code


def survives(module: str, mutant: Mutant | None, tests: list[str], seconds: float) -> bool:
    """Whether all tests pass, in time, in a fork with the mutant, or with the module itself."""
    child = os.fork()
    if not child:
        os.setsid()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        if mutant is not None:
            sys.meta_path.insert(0, Instead(module, mutant))
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        profile = ["--hypothesis-profile", "mutants"]
        os._exit(pytest.main([*options, *profile, *tests]))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def run_module(name: str, sample: int | None, seed: int, minutes: float) -> bool:
    """Run the mutants of a module and print the survivors; False where its tests fail without one.

    `sample` and `minutes` limit how many run; `seed` draws their order.
    """
    file = ROOT / "workflow/halo" / f"{name.replace('.', '/')}.py"
    tests = [str(ROOT / f"tests/unit/{test}.py") for test in TESTS[name]]
    found = mutants(file)
    drawn = random.Random(seed).sample(found, len(found))[:sample]
    start = time.monotonic()
    if not survives(f"halo.{name}", None, tests, 60 * minutes):
        print(f"{name}: its tests fail without a mutant", flush=True)
        return False
    seconds = max(LEAST_SECONDS, PATIENCE * (time.monotonic() - start))
    left = done = 0
    for mutant in drawn:
        if time.monotonic() - start > 60 * minutes:
            break
        done += 1
        if survives(f"halo.{name}", mutant, tests, seconds):
            left += 1
            print(mutant, flush=True)
    print(f"{name}: {left} of {done} survive ({len(found)} in all)", flush=True)
    return True


def main() -> int:
    """Run the mutants; 1 where the tests fail without one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--modules", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--sample", type=int, help="mutants of a module (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--minutes", type=float, default=15, help="for a module (default: 15)")
    arguments = parser.parse_args()
    for name in arguments.modules:
        if not run_module(name, arguments.sample, arguments.seed, arguments.minutes):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
