"""Find the embeddings of proteins in a file, and say why others have none."""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from halo.files import read_text_table, write_table
from halo.proteins.identifiers import Forms, spellings
from halo.proteins.members import Member

log = logging.getLogger(__name__)

DIGEST = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{64}")  # md5 or sha256
# Rows of special tokens at the start and the end, by the number of rows beyond the residues:
# T5 (ProtT5, Ankh) ends with one; ESM and BERT start and end with one, as ProstT5 does.
SPECIAL = {0: (0, 0), 1: (0, 1), 2: (1, 1)}
SEVERAL = 2  # proteins that are found by name, of whose rows special tokens are believed


@dataclass(frozen=True)
class Entry:
    """One embedding of a file.

    Attributes
    ----------
    key
        Name of the data set, or of the file in the folder.
    name
        Id of the protein in the file, or a digest of its sequence.
    """

    key: str
    name: str


@dataclass(frozen=True)
class Indexed:
    """An embedding of a file: rows and columns, or the reason why it cannot be used."""

    entry: Entry
    rows: int = 0
    dim: int = 0
    fault: str = ""


class Names:
    """Embeddings by all names that a protein may have in the file."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_name: dict[str, list[Entry]] = {}
        by_form = []
        for entry in entries:
            first = entry.name.split(maxsplit=1)[0] if entry.name.strip() else entry.name
            by_form += [(entry.name, entry), (first, entry)]
            texts = {*spellings(entry.name), *spellings(first)}
            if DIGEST.fullmatch(entry.key):
                texts.add(entry.key)
            for text in texts:
                own = text.lower() if DIGEST.fullmatch(text) else text
                self._by_name.setdefault(own, []).append(entry)
        self._forms = Forms(by_form)

    def of(self, member: Member) -> list[Entry]:
        """The embeddings of a protein: of its sequence, else of its names, else of their forms."""
        return self.found(member)[1]

    def found(self, member: Member) -> tuple[int, list[Entry]]:
        """The same, and by what they are found; a smaller number is closer."""
        digests = (member.seq_hash, hashlib.md5(member.sequence.encode()).hexdigest())
        names = member.accessions
        by_prottrans = [re.sub(r"[./]", "_", name) for name in names]  # as it writes ids
        found = [
            [entry for text in texts for entry in self._by_name.get(text, ())]
            for texts in (digests, names, by_prottrans)
        ]
        found.append([entry for name in names for entry in self._forms.of(name)])
        for place, entries in enumerate(found):
            if entries:
                return place, list(dict.fromkeys(entries))
        return len(found), []


def faults(
    file: str | Path, index: Sequence[Indexed], members: Iterable[Member]
) -> dict[str, tuple[str, str]]:
    """Reason and details for each protein, by its hash, whose embedding cannot be used.

    Rows beyond the residues are special tokens only where that is certain, see `special_tokens`:
    else the first residue may be missing in the sequence, and every row would be that of the next.
    """
    names, of = Names(each.entry for each in index), {each.entry: each for each in index}
    candidates = [(member, *names.found(member)) for member in members]
    claimed: dict[Entry, list[int]] = {}  # by how close its proteins are
    for _, place, entries in candidates:
        for entry in entries:
            claimed.setdefault(entry, []).append(place)
    found: dict[str, tuple[str, str]] = {}
    fitting: list[tuple[Member, int, Indexed]] = []
    dims = Counter(each.dim for each in index if not each.fault)
    dim = dims.most_common(1)[0][0] if dims else 0
    for member, place, entries in candidates:
        if not entries:
            found[member.seq_hash] = ("no embedding", f"{file} has none of this protein")
            continue
        one = of[entries[0]]
        if len(entries) > 1:
            named = " and ".join(entry.key for entry in entries[:2])
            found[member.seq_hash] = ("unusable embedding", f"{file} has several: {named}")
        elif min(claimed[one.entry]) < place:
            detail = f"{file} has none of this protein: {one.entry.key} is that of another one"
            found[member.seq_hash] = ("no embedding", detail)
        elif claimed[one.entry].count(place) > 1:
            detail = f"{one.entry.key} is that of several proteins with different sequences"
            found[member.seq_hash] = ("unusable embedding", detail)
        elif one.fault:
            found[member.seq_hash] = ("unusable embedding", f"{one.entry.key}: {one.fault}")
        elif one.dim != dim:
            found[member.seq_hash] = (
                "unusable embedding",
                f"{one.entry.key} has {one.dim:,} columns, and most others have {dim:,}",
            )
        else:
            fitting.append((member, place, one))
    usual = special_tokens(
        (one.rows - len(member.sequence), place == 0) for member, place, one in fitting
    )
    for member, _, one in fitting:
        extra = one.rows - len(member.sequence)
        if extra == usual:
            continue
        detail = f"{one.entry.key} has {one.rows:,} rows, and the sequence "
        detail += f"{len(member.sequence):,} residues"
        if usual:
            detail += f" and {usual} special tokens"
        elif extra in SPECIAL and len(fitting) < SEVERAL:
            detail += (
                ": of a single embedding it is not known whether the others are special tokens or "
                "residues that the sequence lacks; remove special tokens from the file, or name "
                "the embedding by the sha256 of the sequence that was embedded"
            )
        found[member.seq_hash] = ("unusable embedding", detail)
    if usual:
        start, end = SPECIAL[usual]
        log.info(
            "%s: the embeddings have %s more rows than residues: the first %s and the last %s are "
            "taken for special tokens and not used",
            *(file, usual, start, end),
        )
    return found


def special_tokens(extra: Iterable[tuple[int, bool]]) -> int:
    """Number of special tokens in each embedding of a file; 0 where it is not certain.

    It is the most frequent number of rows beyond the residues that `SPECIAL` has: of the embeddings
    that are known to be of the protein's very sequence, or if there are none, of those that are
    found by a name, which must be `SEVERAL`.

    Parameters
    ----------
    extra : of each embedding the rows beyond the residues, and whether it was found by a digest of
        the sequence
    """
    counted = Counter((rows, is_exact) for rows, is_exact in extra if rows in SPECIAL)
    exact = {rows: count for (rows, is_exact), count in counted.items() if is_exact}
    named = {rows: count for (rows, _), count in counted.items() if count >= SEVERAL}
    of = exact or named
    return max(of, key=lambda rows: (of[rows], -rows), default=0)


def write_index(path: Path, index: Sequence[Indexed]) -> None:
    """Write an index as a table."""
    rows = [(i.entry.key, i.entry.name, i.rows, i.dim, i.fault) for i in index]
    write_table(path, pd.DataFrame(rows, columns=["key", "name", "rows", "dim", "fault"]))


def read_index(path: Path) -> list[Indexed]:
    """Read what `write_index` wrote."""
    rows = read_text_table(path).itertuples(index=False)
    return [Indexed(Entry(r.key, r.name), int(r.rows), int(r.dim), r.fault) for r in rows]
