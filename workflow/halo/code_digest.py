"""Digest of the code and data files that a result depends on."""

import ast
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
DATA_FILE = "data_file"  # the function of halo.data_files by which modules find data files
NOT_CONTENT = "__version__"  # the version number does not influence results


@dataclass(frozen=True)
class _Module:
    """A module, analysed without running it.

    Attributes
    ----------
    digest
        Digest of the syntax tree, see `_walk`.
    imports
        Names of modules of the package that may be imported.
    data
        Names of the data files that it reads.
    """

    digest: str
    imports: tuple[str, ...]
    data: tuple[str, ...]


def code_digest(*sources: str | Path) -> str:
    """Digest of `sources`, of every module of the package that they import, and of their data.

    A source is a module name (``"halo.graphs.build"``) or the path of a script. Imports, including
    those within functions, are followed in the source text without running it. The digest is over
    syntax trees without docstrings, so that it does not depend on comments, line breaks and the
    version number, and over the bytes of files that are read through `halo.data_files.data_file`.
    Returns the first 16 hexadecimal digits of a SHA-256.
    """
    paths: set[Path] = set()
    for source in sources:
        _collect(_module_file(source) if isinstance(source, str) else Path(source), paths)
    digests = []
    for path in paths:
        module = _parsed(path.read_bytes())
        digests.append(_sha256(path.name, module.digest))
        for name in module.data:
            digests += [_sha256(name, digest) for digest in _data_digests(PACKAGE / name)]
    return hashlib.sha256("".join(sorted(set(digests))).encode()).hexdigest()[:16]


def package_digest() -> str:
    """Digest of the bytes of all modules of the package and of the tables in ``data``.

    It takes some milliseconds, and `code_digest` of a whole prediction half a second, but it also
    changes with comments and with modules that are not used.
    """
    files = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.glob("data/*.csv")])
    content = (f"{file.relative_to(PACKAGE)} {_bytes_digest(file)}" for file in files)
    return _sha256(*content)[:16]


def _collect(path: Path, paths: set[Path]) -> None:
    if path in paths:
        return
    paths.add(path)
    for name in _parsed(path.read_bytes()).imports:
        if file := _file_of(name):
            _collect(Path(file), paths)


@cache
def _parsed(source: bytes) -> _Module:
    """Digest, imports and data files of a source text."""
    tree = ast.parse(source)
    digest = hashlib.sha256()
    names: set[str] = set()
    data: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == DATA_FILE:
            data.add(ast.literal_eval(node.args[0]))
    for text in _walk(tree):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    ours = (name for name in names if name.split(".")[0] == PACKAGE.name)
    return _Module(digest.hexdigest(), tuple(sorted(ours)), tuple(sorted(data)))


def _walk(node: ast.AST) -> Iterator[str]:
    """The syntax tree as texts, without docstrings and positions.

    Unlike `ast.dump`, empty fields are omitted, because they differ between versions of Python; the
    digest is the same in all versions.
    """
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(value, list):
            children = [child for child in _without_docstring(value) if not _is_version(child)]
        for child in children:
            if isinstance(child, ast.AST):
                if not isinstance(child, ast.expr_context):
                    yield name
                    yield from _walk(child)
            elif child is not None:
                yield f"{name}={child!r}"
    yield ""


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0].value if body and isinstance(body[0], ast.Expr) else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return body[1:] if is_text else body


def _is_version(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(getattr(target, "id", "") == NOT_CONTENT for target in targets)


def _data_digests(place: Path) -> list[str]:
    """Digest of a file, or digests of all files of a folder with their names."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    return [_sha256(file.name, _bytes_digest(file)) for file in files if file.is_file()]


def _bytes_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _file_of(name: str) -> str | None:
    """The file of a module, or None where the package has no module of this name."""
    path = os.path.join(PACKAGE.parent, *name.split("."))  # noqa: PTH118
    files = (f"{path}.py", f"{path}/__init__.py")
    return next(filter(os.path.isfile, files), None)


def _module_file(name: str) -> Path:
    file = _file_of(name)
    if file is None:
        raise ModuleNotFoundError(f"no module {name} in {PACKAGE}")
    return Path(file)
