"""The wild types of a call: those to predict, and those of the input that cannot be used.

Both are needed to find the wild type of a variant. One that cannot be used must not leave its
variants to the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from halo.predict.records import Queries
from halo.proteins.genes import names_of
from halo.proteins.ingest import RESIDUES
from halo.tables.readers import LINE
from halo.variants.notation import NotationError


class UnusableWildType(NotationError):
    """A variant is of a wild type that cannot be used."""


@dataclass(frozen=True)
class Unusable:
    """A wild type that cannot be used: its sequence, "" where there is none, and the reason."""

    sequence: str
    why: str


@dataclass(frozen=True)
class WildTypes:
    """Sequences of the wild types by id, and ids by accession.

    `genes` has the names of genes and transcripts by id; see `halo.proteins.genes.names_of`.
    `unusable` are the others of the input, by id, or by a text with the line where the id is
    missing or is that of another one. `accessions` and `genes` are also of these.
    """

    sequences: Mapping[str, str]
    accessions: Mapping[str, str] = field(default_factory=dict)
    genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unusable: Mapping[str, Unusable] = field(default_factory=dict)

    @cached_property
    def ids(self) -> list[str]:
        """The ids of all wild types, those that cannot be used last."""
        return [*self.sequences, *self.unusable]

    def sequence(self, one: str) -> str:
        """The sequence of the wild type with the id `one`; UnusableWildType if it has no use."""
        if one in self.unusable:
            raise UnusableWildType(
                f"the wild type {one} cannot be used: {self.unusable[one].why}; correct it in the "
                "file of wild types"
            )
        return self.sequences[one]

    def id_of(self, name: str) -> str | None:
        """The id of the only wild type with this id, accession, gene or transcript, or None."""
        found = self.ids_of(name)
        return found[0] if len(found) == 1 else None

    def ids_of(self, name: str) -> Sequence[str]:
        """The ids of all wild types with this name; an id goes before an accession and a gene."""
        if name in self.sequences or name in self.unusable:
            return [name]
        if name in self.accessions:
            return [self.accessions[name]]
        return self._by_gene.get(name, [])

    @cached_property
    def _by_gene(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self.ids:
            for name in self.genes_of(one):
                found.setdefault(name, []).append(one)
        return found

    def genes_of(self, one: str) -> tuple[str, ...]:
        """The names of genes and transcripts of the wild type with the id `one`."""
        return self.genes.get(one, names_of(one, ""))

    @cached_property
    def names(self) -> list[str]:
        """All ids and accessions, the longest first."""
        return sorted({*self.ids, *self.accessions}, key=lambda name: (-len(name), name))

    @cached_property
    def by_name(self) -> dict[str, str]:
        """Sequences by id and accession, of the wild types that can be used."""
        ids = {name: self.id_of(name) or name for name in self.names}
        return {name: self.sequences[one] for name, one in ids.items() if one in self.sequences}

    @cached_property
    def compared(self) -> dict[str, str]:
        """Sequences by id for comparisons, also of the wild types that cannot be used.

        Letters that are no residues are ``X`` there.
        """
        others = {
            one: "".join(letter if letter in RESIDUES else "X" for letter in each.sequence)
            for one, each in self.unusable.items()
            if each.sequence
        }
        return {**self.sequences, **others}

    @property
    def only(self) -> str | None:
        """The id of the only wild type; None of several, whether they can be used or not."""
        return next(iter(self.sequences)) if len(self.ids) == 1 and self.sequences else None


def wild_types(queries: Queries) -> WildTypes:
    """The wild types of a file; a record that repeats a usable one is none of its own."""
    usable = dict(zip(queries.table["id"], queries.table["sequence"], strict=True))
    why = {(one.id, one.line): f"{one.reason} ({one.detail})" for one in queries.rejected}
    ids: list[str] = []  # of each record, "" for one that is left out
    seen: set[str] = set()
    unusable: dict[str, Unusable] = {}
    for record in queries.records.to_dict("records"):
        name, sequence, line = record["id"], record["sequence"], record[LINE]
        is_first = name not in seen
        seen.add(name)
        if name in usable and (is_first or sequence == usable[name]):
            ids.append(name if is_first else "")
            continue
        if not name or not is_first:
            name = f"{name} (line {line})".strip()
        ids.append(name)
        unusable[name] = Unusable(sequence, why[record["id"], line])
    named = queries.records.assign(id=ids)
    named = named[(named["id"] != "") & (named["accession"] != "")]
    named = named.drop_duplicates("accession", keep=False)
    accessions = dict(zip(named["accession"], named["id"], strict=True))
    return WildTypes(usable, accessions, queries.genes, unusable)
