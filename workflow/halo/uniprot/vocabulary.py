"""Map UniProt's terms for subcellular locations, and GO terms, to labels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from halo.data_files import data_file
from halo.errors import HaloError
from halo.tables.readers import LINE, read_table, require_columns

TERMS = data_file("data/uniprot_locations.csv")
DEEPLOC = data_file("data/uniprot_deeploc.csv")


@dataclass(frozen=True)
class _Term:
    parents: tuple[str, ...]  # ids of what it is a kind or a part of
    go: tuple[str, ...]


class Vocabulary:
    """The hierarchy of UniProt's terms, and their labels.

    A term has the label of the mapping, or else those of its parents (is-a and part-of). A term
    with an empty label in the mapping has none. Terms are written as in UniProt's entries, with
    their path (``Cytoplasm, cytoskeleton``); for an unknown path, the longest known part is used.

    Parameters
    ----------
    mapping : table with the columns location and label

    Raises
    ------
    HaloError
        if a location of the mapping is not a term
    """

    def __init__(self, mapping: Path | None = None) -> None:
        mapping = mapping or DEEPLOC
        table = read_table(TERMS)
        self._ids = dict(zip(table["location"].str.casefold(), table["id"], strict=True))
        rows = zip(table["id"], table["parents"], table["go"], strict=True)
        self._terms = {
            name: _Term(tuple(filter(None, p.split(";"))), tuple(filter(None, go.split(";"))))
            for name, p, go in rows
        }
        given = read_table(mapping)
        wanted = {"its first column": "location", "its second column": "label"}
        require_columns(mapping, given, wanted)
        self._given: dict[str, frozenset[str]] = {}
        columns = (given["location"], given["label"], given[LINE])
        for location, label, line in zip(*columns, strict=True):
            term_id = self._ids.get(location.casefold())
            if term_id is None:
                raise HaloError(
                    f"{mapping}: line {line}: {location!r} is no subcellular location of UniProt "
                    f"({TERMS.name} has all)"
                )
            self._given[term_id] = self._given.get(term_id, frozenset()) | {label} - {""}
        self.labels = tuple(dict.fromkeys(label for label in given["label"] if label))

    def of_location(self, term: str) -> frozenset[str]:
        """The labels of a location of an entry."""
        parts = [part.strip() for part in term.casefold().split(",")]
        for length in range(len(parts), 0, -1):
            term_id = self._ids.get(", ".join(parts[:length]))
            if term_id is not None:
                return self._of_id(term_id)
        return frozenset()

    def of_component(self, go: str) -> frozenset[str]:
        """The labels of a cellular component of GO."""
        return self._of_go.get(go, frozenset())

    @cached_property
    def _of_go(self) -> dict[str, frozenset[str]]:
        labels: dict[str, frozenset[str]] = {}
        for name, term in self._terms.items():
            for go in term.go:
                labels[go] = labels.get(go, frozenset()) | self._of_id(name)
        return labels

    def _of_id(self, name: str) -> frozenset[str]:
        if name in self._given:
            return self._given[name]
        return frozenset().union(*map(self._of_id, self._terms[name].parents))
