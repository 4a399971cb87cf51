"""Proteins with one sequence and structures of their own, which are predicted one after the other.

The stores of structures and graphs have one entry for a sequence.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from halo.predict.settings import PredictSettings
from halo.predict.sources import files_by_name, files_of
from halo.proteins.accessions import accession_within
from halo.proteins.members import Member
from halo.structures.files import NO_SPELLINGS, all_spellings
from halo.structures.layout import Note
from halo.structures.resolve import Directory, names_of
from halo.structures.sources import names_to_try


def by_structure(
    table: pd.DataFrame, settings: PredictSettings, spelt: Mapping[str, str] = NO_SPELLINGS
) -> list[pd.DataFrame]:
    """Parts of `table` in which proteins with the same sequence can only find the same structure.

    `table` has the columns of `halo.proteins.table.CORE_COLUMNS`. The first part has the first
    record of each sequence; there is one part alone unless two records of a sequence differ in
    their accession (if AlphaFold DB is asked), or in their files in `settings.structures`.
    `spelt` are the spellings of all names of the input, of which `table` may be a chunk.
    """
    repeated = table["seq_hash"].duplicated(keep=False)
    if not repeated.any():
        return [table]
    pairs = [[row.accession, row.id] for row in table[repeated].itertuples()]
    spelt = spelt or all_spellings(name for pair in pairs for name in pair if name)
    files, _ = files_by_name(settings, spelt)
    kept: dict[str, list[tuple]] = {}
    rounds = pd.Series(0, index=table.index)
    rows = zip(table.index[repeated], table["seq_hash"][repeated], pairs, strict=True)
    for row, seq_hash, names in rows:
        own = [entry[0] for entry in files_of(files, filter(None, names))]
        key = (*own, *(_accessions(names) if settings.download else ()))
        keys = kept.setdefault(seq_hash, [])
        if key not in keys:
            keys.append(key)
        rounds[row] = keys.index(key)
    return [table[rounds == number] for number in range(rounds.max() + 1)]


def _accessions(names: Iterable[str]) -> tuple[str, ...]:
    found = (accession_within(name) for name in names if name)
    return tuple(dict.fromkeys(str(one) for one in found if one is not None))


def is_of_another(note: Note, member: Member) -> bool:
    """Whether the structure of a search is of another protein, which has the same sequence."""
    names = [name.text for name in names_of(member, Directory({}, {}))]
    own = {text for name in names for text in names_to_try(name)}
    return note.status == "ok" and bool(note.accession) and note.accession not in own
