"""Digest of the package's source that a job or a store stands on."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def code_digest(*sources: str | Path) -> str:
    """Digest of `sources` and of every module of the package that they import.

    A source is a module name (``"halo.graphs.build"``) or the path of a script. Imports
    are followed through the source text without running it, those inside of functions
    included, so that the digest changes exactly when something that the code stands on
    changes. The first 16 hexadecimal digits of a sha256.
    """
    found: set[Path] = set()
    for source in sources:
        _collect(_module_file(source) if isinstance(source, str) else Path(source), found)
    digests = sorted(
        hashlib.sha256(path.name.encode() + b"\0" + path.read_bytes()).hexdigest() for path in found
    )
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _collect(path: Path, found: set[Path]) -> None:
    if path in found:
        return
    found.add(path)
    for name in _imports(path.read_bytes()):
        _collect(_module_file(name), found)


@cache
def _imports(source: bytes) -> tuple[str, ...]:
    """Names of the package's modules that `source` imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = (name for name in names if name.split(".")[0] == PACKAGE.name)
    return tuple(sorted(name for name in ours if _exists(name)))


def _candidates(name: str) -> tuple[Path, Path]:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py"), path / "__init__.py"


def _exists(name: str) -> bool:
    return any(path.is_file() for path in _candidates(name))


def _module_file(name: str) -> Path:
    for path in _candidates(name):
        if path.is_file():
            return path
    raise ModuleNotFoundError(f"no module {name} in {PACKAGE}")
