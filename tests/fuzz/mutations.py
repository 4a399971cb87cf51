"""Mutations of inputs: bytes, trees of values, and archives with valid checksums."""

import gzip
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import msgpack

INTEGERS = (0, 1, -1, 127, 128, 255, 256, 32_767, 65_535, 65_536, 2**31 - 1, -(2**31), 2**32)
INTEGERS += (2**53, 2**63 - 1, -(2**63), 2**64 - 1, 10**30)
NUMBERS = (*map(str, INTEGERS), "1e5", "1e308", "-1e308", "1e999", "nan", "inf", "-inf", "0x10")
NUMBERS += ("1_000", "007", "-0", "0.0", "1e-320", ".5", "5.", "٣", "²")
SPECIAL = ("\0", "\x1a", "\ufeff", "\u200b", "\x85", "\u2028", "\r", "\n", "\r\n", "\t", '"', "'")
SPECIAL += ("\\", "\x7f", "é", "\U0001f9ec", " ", "%", "{", "}", "{0}", "%s", "=", ";", ",", "|")
WORDS = [text.encode() for text in (*NUMBERS, *SPECIAL)]
WORDS += [b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xed\xa0\x80", b"\x80", b"\x1f\x8b", b"PK\x03\x04"]
VALUES = (None, True, False, "", "x", [], {}, [[]], 0.5, -0.0, float("nan"), float("inf"), "\0")
VALUES += (*INTEGERS, "\ud800", "../x", "/etc/x", "a" * 300, b"", b"\0" * 8)
LONGEST = 1 << 18  # bytes of an input
DEEP = 100_000  # opening brackets
LONG = 100_000  # bytes of a part that is repeated


def mutated_bytes(random: Random, data: bytes, others: Sequence[bytes], words: Sequence[bytes]):
    """`data` with one to eight changes; `words` are of the format, `others` are spliced in."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        data = random.choice(_CHANGES)(random, data, others, words)
    return data[:LONGEST]


def _places(random: Random, data: bytes) -> tuple[int, int]:
    """Begin and end of a part, mostly of a short one."""
    start = random.randrange(len(data) + 1)
    length = random.choice((1, 2, 4, 8, 64, 512, len(data)))
    return start, min(len(data), start + random.randint(0, length))


def _flip(random: Random, data: bytes, *_: Any) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _byte(random: Random, data: bytes, *_: Any) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.choice((0, 1, 127, 128, 255, 10))]) + data[at + 1 :]


def _truncate(random: Random, data: bytes, *_: Any) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _delete(random: Random, data: bytes, *_: Any) -> bytes:
    start, stop = _places(random, data)
    return data[:start] + data[stop:]


def _duplicate(random: Random, data: bytes, *_: Any) -> bytes:
    start, stop = _places(random, data)
    times = random.choice((2, 2, 3, 10)) if stop - start < 4096 else 2
    return data[:start] + data[start:stop] * times + data[stop:]


def _move(random: Random, data: bytes, *_: Any) -> bytes:
    start, stop = _places(random, data)
    part, rest = data[start:stop], data[:start] + data[stop:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + part + rest[at:]


def _splice(random: Random, data: bytes, others: Sequence[bytes], _: Any) -> bytes:
    other = random.choice(others)
    start, stop = _places(random, other)
    at, end = _places(random, data)
    return data[:at] + other[start:stop] + data[end if random.random() < 0.5 else at :]


def _insert(random: Random, data: bytes, _: Any, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    word = random.choice(words if words and random.random() < 0.6 else WORDS)
    end = at + len(word) * random.randint(0, 1)
    return data[:at] + word * random.choice((1, 1, 1, 3)) + data[end:]


def _number(random: Random, data: bytes, *_: Any) -> bytes:
    """A number in a text becomes another, of the same width where columns count."""
    found = [match.span() for match in re.finditer(rb"-?\d[\d.]*", data[: 1 << 15])]
    if not found:
        return _flip(random, data)
    start, stop = random.choice(found)
    text = random.choice(NUMBERS).encode()
    text = text.rjust(stop - start)[: stop - start] if random.random() < 0.4 else text
    return data[:start] + text + data[stop:]


def _binary_number(random: Random, data: bytes, *_: Any) -> bytes:
    width = random.choice((1, 2, 4, 8))
    at = random.randrange(max(1, len(data) - width))
    value = random.choice((*INTEGERS[:-1], len(data), len(data) - 1))
    new = (value % (1 << 8 * width)).to_bytes(width, random.choice(("little", "big")))
    return data[:at] + new + data[at + width :]


def _lines(random: Random, data: bytes, *_: Any) -> bytes:
    """A line deleted, doubled, emptied, or exchanged with another."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one] = b""
        case _:
            lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _fields(random: Random, data: bytes, *_: Any) -> bytes:
    """Two words of a text are exchanged."""
    words = re.split(rb"([\s,;|:]+)", data[: 1 << 15])
    if len(words) < 4:
        return data
    one, other = (2 * random.randrange(len(words) // 2) for _ in "ab")
    words[one], words[other] = words[other], words[one]
    return b"".join(words) + data[1 << 15 :]


def _nest(random: Random, data: bytes, *_: Any) -> bytes:
    if random.random() < 0.9:
        return _byte(random, data)
    at = random.choice((0, random.randrange(len(data) + 1)))
    return data[:at] + random.choice((b"[", b"{", b'{"a":', b"- ", b"(", b"\x91")) * DEEP


def _repeat(random: Random, data: bytes, _: Any, words: Sequence[bytes]) -> bytes:
    """A short part many times: what takes the square of its length takes too long."""
    if random.random() < 0.8:
        return _duplicate(random, data)
    at = random.randrange(len(data) + 1)
    part = data[at : at + random.randint(1, 8)]
    part = random.choice((part, b" ", random.choice(words or WORDS))) or b"a"
    return data[:at] + part * (LONG // len(part)) + data[at:]


_CHANGES = (_flip, _byte, _truncate, _delete, _duplicate, _move, _splice, _insert, _insert)
_CHANGES += (_number, _number, _binary_number, _lines, _fields, _nest)
_CHANGES += (_repeat,)


def mutated_tree(random: Random, tree: Any, others: Sequence[bytes], words: Sequence[bytes]) -> Any:
    """A tree of dicts, lists and plain values with one to four nodes changed."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        tree = _changed_node(random, tree, others, words)
    return tree


def _changed_node(random: Random, node: Any, *more: Any) -> Any:
    if isinstance(node, dict | list) and node and random.random() < 0.85:
        node = dict(node) if isinstance(node, dict) else list(node)
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = random.choice(keys)
        match random.randrange(12):
            case 0:
                del node[key]
            case 1 if isinstance(node, list):
                node.insert(random.choice(keys), node[key])
            case 1:
                node[random.choice(("", "x", "\ud800", str(key) + " "))] = node.pop(key)
            case 2:
                other = random.choice(keys)
                node[key], node[other] = node[other], node[key]
            case _:
                node[key] = _changed_node(random, node[key], *more)
        return node
    if isinstance(node, bytes) and random.random() < 0.9:
        return mutated_bytes(random, node, *more)
    if isinstance(node, str) and random.random() < 0.5:
        return mutated_bytes(random, node.encode("utf-8", "replace"), *more).decode(
            "utf-8", "replace"
        )
    if isinstance(node, int | float) and random.random() < 0.5:
        return random.choice((node + 1, node - 1, -node, node * 2, str(node), float(node)))
    return random.choice(VALUES)


@dataclass(frozen=True)
class Format:
    """A packed format: to a tree of its parts, and back with right lengths and checksums."""

    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]


def _load_zip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _dump_zip(tree: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in tree.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of a fixed time
    return out.getvalue()


def _load_safetensors(data: bytes) -> list[Any]:
    length = int.from_bytes(data[:8], "little")
    return [json.loads(data[8 : 8 + length]), data[8 + length :]]


def _dump_safetensors(tree: list[Any]) -> bytes:
    header = json.dumps(tree[0]).encode()
    return len(header).to_bytes(8, "little") + header + tree[1]


def _load_staged(data: bytes) -> list[Any]:
    line, _, body = data.partition(b"\n")
    return [json.loads(line), body]


def _dump_staged(tree: list[Any]) -> bytes:
    head = {**tree[0], "crc": zlib.crc32(tree[1])}
    return json.dumps(head).encode() + b"\n" + tree[1]


_TAR = ("name", "size", "mode", "mtime", "type", "linkname")


def _load_tar(data: bytes) -> list[Any]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [
            [
                {key: getattr(info, key) for key in _TAR},
                archive.extractfile(info).read() if info.isreg() else b"",
            ]
            for info in archive
        ]


def _dump_tar(tree: list[Any]) -> bytes:
    """The size in a header may be another than that of its content, the checksum is right."""
    parts = []
    for header, content in tree:
        info = tarfile.TarInfo()
        for key, value in header.items():
            setattr(info, key, value)
        parts += [info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"), content]
        parts += [b"\0" * (-len(content) % 512)]
    return b"".join(parts) + b"\0" * 1024


ZIP = Format(_load_zip, _dump_zip)
GZIP = Format(lambda data: [gzip.decompress(data)], lambda tree: gzip.compress(tree[0], 1, mtime=0))
JSON = Format(json.loads, lambda tree: json.dumps(tree, default=repr).encode())
JSON_LINES = Format(
    lambda data: [json.loads(line) for line in data.splitlines()],
    lambda tree: "\n".join(json.dumps(each, default=repr) for each in tree).encode(),
)
MSGPACK = Format(lambda data: msgpack.unpackb(data), lambda tree: msgpack.packb(tree))
SAFETENSORS = Format(_load_safetensors, _dump_safetensors)
TAR = Format(_load_tar, _dump_tar)
STAGED = Format(_load_staged, _dump_staged)


def mutated(
    random: Random, corpus: Sequence[bytes], words: Sequence[bytes], formats: Sequence[Format]
) -> bytes:
    """An input made of one of the `corpus`: in its bytes, or in the parts of a format."""
    data = random.choice(corpus)
    others = [*corpus[:8], random.choice(corpus)]
    if formats and random.random() < 0.7:
        form = random.choice(formats)
        try:
            return form.dump(mutated_tree(random, form.load(data), others, words))[:LONGEST]
        except Exception:  # the corpus has damaged inputs, and a tree may be no such format's
            pass
    return mutated_bytes(random, data, others, words)
