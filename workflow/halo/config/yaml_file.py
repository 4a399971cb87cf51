"""Read YAML files and the line numbers of their keys."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from halo.config.fault import Path as KeyPath
from halo.config.fault import path_text
from halo.errors import HaloError

# Exceptions of PyYAML for damaged documents and values that do not match their tag.
_FAULTS = (
    *(yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, IndexError),
    *(OverflowError, RecursionError),
)
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


def load_yaml(path: Path) -> Any:
    """The content of a YAML file; see `parse_yaml`."""
    return parse_yaml(_read(path), str(path))


def parse_yaml(text: str, name: str) -> Any:
    """The content of a YAML document.

    HaloError, with the line, where it is not YAML or has a key twice: YAML's own rule forbids
    that, but its readers take the last one and say nothing. So do numbers that YAML 1.1 reads as
    no one else does: 0500 as octal, and 1:30 in base 60. `name` is what messages call it.
    """
    loader, node = _composed(text, name)
    twice = [
        f"  - {path_text(keys)}: given twice, in line {first} and in line {second}; remove one"
        for keys, first, second in _doubled(node, ())
    ]
    if twice:
        raise HaloError(f"{name}: keys that are given twice:\n" + "\n".join(twice))
    odd = [
        "  - " + ": ".join(filter(None, (path_text(keys), fault)))
        for keys, fault in _odd_numbers(node, ())
    ]
    if odd:
        raise HaloError(f"{name}: numbers that YAML reads as others:\n" + "\n".join(odd))
    try:
        return None if node is None else loader.construct_document(node)
    except _FAULTS as error:
        raise HaloError(f"{name}: not readable as YAML: {error}") from None


def key_lines(paths: Iterable[Path]) -> dict[KeyPath, str]:
    """The file and the line of each key of YAML files, of which the last one takes precedence.

    HaloError as in `parse_yaml`.
    """
    places: dict[KeyPath, str] = {}
    for path in paths:
        load_yaml(path)
        node = _composed(_read(path), str(path))[1]
        places |= {keys: f"{path}, line {line}" for keys, line in _lines(node)}
    return places


def _read(path: Path) -> str:
    """The text of a file; tabs, which JSON allows and YAML does not, are blanks in JSON."""
    try:
        # Not `read_text`, to which one or two bytes of a byte-order mark are an empty file.
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HaloError(f"{path}: not UTF-8; save it in this encoding") from None
    except OSError as error:
        raise HaloError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


def _composed(text: str, name: str) -> tuple[yaml.SafeLoader, Node | None]:
    try:
        loader = yaml.SafeLoader(text)
        return loader, loader.get_single_node()
    except _FAULTS as error:
        raise HaloError(f"{name}: not readable as YAML: {error}") from None


def _children(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Node, Node]]:
    """The path, the key (or the item itself) and the value of all directly below a node."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                yield (*path, key.value), key, value
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            yield (*path, number), item, item


def _lines(
    node: Node | None, path: KeyPath = (), above: tuple[int, ...] = ()
) -> Iterator[tuple[KeyPath, int]]:
    if node is None or id(node) in above:  # an alias to a node that it is part of
        return
    for keys, key, value in _children(node, path):
        yield keys, key.start_mark.line + 1
        yield from _lines(value, keys, (*above, id(node)))


def _doubled(
    node: Node | None, path: KeyPath, above: tuple[int, ...] = ()
) -> Iterator[tuple[KeyPath, int, int]]:
    if node is None or id(node) in above:
        return
    first: dict[KeyPath, int] = {}
    for keys, key, value in _children(node, path):
        line = key.start_mark.line + 1
        if keys in first:
            yield keys, first[keys], line
        first.setdefault(keys, line)
        yield from _doubled(value, keys, (*above, id(node)))


def _odd_numbers(
    node: Node | None, path: KeyPath, above: tuple[int, ...] = ()
) -> Iterator[tuple[KeyPath, str]]:
    """The path of each number, also as a key, that YAML reads as another, and the fix."""
    if node is None or id(node) in above:
        return
    if isinstance(node, ScalarNode) and (fault := _number_fault(node)):
        yield path, fault
    for keys, key, value in _children(node, path):
        if key is not value:
            yield from _odd_numbers(key, keys)
        yield from _odd_numbers(value, keys, (*above, id(node)))


def _number_fault(node: ScalarNode) -> str | None:
    text, line = node.value, node.start_mark.line + 1
    if node.tag == _INT and re.fullmatch(r"[-+]?0[0-9_]+", text):
        way, instead = "that begin with 0 as octal", re.sub(r"^([-+]?)[0_]+(?=.)", r"\1", text)
    elif node.tag in (_INT, _FLOAT) and ":" in text:
        way, instead = "with colons in base 60", "it without colons"
    else:
        return None
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except _FAULTS:  # a tag that the text does not fit; the document cannot be read
        return None
    return (
        f"{text} in line {line} is {value} to YAML, which reads numbers {way}; write {instead}, "
        f"or '{text}' in quotes if it is text"
    )
