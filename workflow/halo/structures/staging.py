"""Staging of finished proteins until there are enough for a segment.

Fetching is slow and segments should not be small. Each finished protein is written to a file at
once; when the job ends, or many proteins are finished, the files are combined to segments and
removed. Files of a killed job are used by the next job.
"""

import json
import math
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from halo.files import atomic_path
from halo.store import Store, bucket_of
from halo.structures.layout import LAYOUT, Note
from halo.structures.search import Result

SUFFIX = ".staged"
OLD = 86_400.0  # seconds


class Staging:
    """Finished proteins of a store that are in no segment yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.path / "staging"

    def put(self, seq_hash: str, result: Result) -> None:
        """Write `result` to disk, where it survives the end of this process."""
        file = self._folder / bucket_of(seq_hash) / f"{seq_hash}{SUFFIX}"
        with atomic_path(file, shared=True, durable=False) as temporary:
            temporary.write_bytes(_pack(result))

    def settle(self, bucket: str) -> None:
        """Write the staged proteins of a bucket as one segment."""
        folder = self._folder / bucket
        files = sorted(folder.glob(f"*{SUFFIX}"))
        with self._store.writer() as writer:
            for file in files:
                seq_hash = file.stem
                try:
                    record = _unpack(file.read_bytes())
                except FileNotFoundError:  # another job has taken it
                    continue
                if record is not None and not self._settled(seq_hash, record[1]):
                    writer.add(seq_hash, record[0], {"manifest": record[1]})
        for file in files:
            file.unlink(missing_ok=True)
        _remove_leftovers(folder)

    def _settled(self, seq_hash: str, manifest: str) -> bool:
        """Whether a protein is in a segment already; a job was killed before removing its file."""
        return seq_hash in self._store and self._store.attributes(seq_hash)["manifest"] == manifest


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed jobs; younger files may belong to running jobs."""
    for file in folder.glob(".*"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > OLD:
                file.unlink()


def _pack(result: Result) -> bytes:
    """A line of JSON (manifest, rows of each array, checksum), then the arrays' bytes."""
    body = b"".join(
        np.ascontiguousarray(result.arrays[name], kind.dtype).tobytes()
        for name, kind in LAYOUT.arrays.items()
    )
    rows = {name: len(result.arrays[name]) for name in LAYOUT.arrays}
    head = {"manifest": result.note.to_json(), "rows": rows, "crc": zlib.crc32(body)}
    return json.dumps(head).encode() + b"\n" + body


def _unpack(data: bytes) -> tuple[dict[str, np.ndarray], str] | None:
    """Arrays and manifest; None if the bytes are damaged, for example after a power failure."""
    try:
        line, _, body = data.partition(b"\n")
        head = json.loads(line)
        if zlib.crc32(body) != head["crc"]:
            return None
        arrays: dict[str, np.ndarray] = {}
        start = 0
        for name, kind in LAYOUT.arrays.items():
            shape = (head["rows"][name], *(kind.row or ()))
            values = np.frombuffer(body, kind.dtype, math.prod(shape), start)
            arrays[name] = values.reshape(shape)
            start += values.nbytes
        Note.from_json(head["manifest"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return arrays, head["manifest"]
