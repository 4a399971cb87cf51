"""Digests of the user's files and folders, by which a changed one repeats its jobs.

Times do not tell: a file that is restored from a backup or copied with its time (``cp -p``,
``rsync -a``) may be older than what was made of another one in its place.
"""

import json
from pathlib import Path

from halo.files import sha256_of_file, sha256_of_text, write_json


def content_digest(path: Path, notes: Path) -> str:
    """Digest of the bytes of a file, or of names and bytes of a folder's files.

    A file is read again only if its size, times or inode have changed: the folder `notes` keeps
    them, because the files of a data set or a bundle can have gigabytes, and every job of a run
    asks for the digest.
    """
    path = Path(path)
    if not path.is_dir():
        return _noted_sha256(path, notes)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = (f"{_noted_sha256(file, notes)}  {file.relative_to(path)}" for file in files)
    return sha256_of_text("\n".join(lines))


def _noted_sha256(file: Path, notes: Path) -> str:
    status = file.stat()
    # The time of the last change of the inode shows a rewritten file whose own time was restored.
    state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    note = notes / f"{sha256_of_text(str(file.absolute()))}.json"
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or cut off by a crash
        known = {}
    if known.get("state") == state:
        return str(known["sha256"])
    sha256 = sha256_of_file(file)
    write_json(note, {"state": state, "sha256": sha256}, durable=False)
    return sha256
