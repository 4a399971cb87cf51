"""Read entries of UniProtKB in the JSON and TSV formats of its website and REST service."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from halo.errors import HaloError
from halo.tables.readers import LINE, read_table
from halo.text import open_text
from halo.uniprot.release import HEADER

DISPLAYED = "Displayed"  # status of the isoform whose sequence the entry has
# Required and optional columns of UniProt's TSV.
ENTRY, SEQUENCE, LOCATIONS = "Entry", "Sequence", "Subcellular location [CC]"
COMPONENTS = "Gene Ontology (cellular component)"
ISOFORMS = "Alternative products (isoforms)"
KINGDOMS = ("Metazoa", "Viridiplantae", "Fungi")

_COMMENT = re.compile(r"(?:^|;?\s*)SUBCELLULAR LOCATION:\s*")
_MOLECULE = re.compile(r"\[([^\]]*)\]:\s*")
_NOTE = re.compile(r"\bNote=")
_PART = re.compile(r"\s*([^{}.;]*)(?:\{([^}]*)\})?\s*([.;]|$)")
_EVIDENCE = re.compile(r"ECO:\d{7}")
_GO_ID = re.compile(r"GO:\d{7}")
_ISOFORM = re.compile(r"Name=([^;{]+?)\s*(?:\{[^}]*\})?\s*;.*?Sequence=([^;{]+)", re.DOTALL)


@dataclass(frozen=True)
class Location:
    """A subcellular location: path of its term, evidence codes, and molecule.

    `molecule` is an isoform or a chain, or "" for the protein.
    """

    term: str
    evidence: tuple[str, ...]
    molecule: str = ""


@dataclass(frozen=True)
class Component:
    """A cellular component of GO, and its evidence code ("" if unknown)."""

    id: str
    evidence: str


@dataclass(frozen=True)
class Entry:
    """Fields of an entry; `line` is its position in the file.

    `displayed` are the names of the isoforms with the entry's sequence.
    """

    accession: str
    name: str
    sequence: str
    reviewed: bool | None
    organism: str
    organism_id: str
    kingdom: str
    locations: tuple[Location, ...]
    components: tuple[Component, ...]
    displayed: frozenset[str]
    line: int

    def is_of_sequence(self, location: Location) -> bool:
        """Whether a location applies to the entry's sequence, not only to another isoform."""
        kind, _, name = location.molecule.partition(" ")
        return kind != "Isoform" or name in self.displayed


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries of a file: UniProt's JSON, JSON lines, or TSV; see `open_text`.

    Raises
    ------
    HaloError
        if it is something else
    """
    with open_text(path) as file:
        start = file.readline()
        if not start.lstrip().startswith(("{", "[")):
            yield from _tsv_entries(path)
            return
        try:
            whole = _json(path, 1, start) if start.rstrip().endswith(("}", "]")) else None
            if isinstance(whole, dict) and "results" not in whole:
                lines = enumerate(chain([start], file), start=1)
                entries = (
                    (number, _json(path, number, line)) for number, line in lines if line.strip()
                )
                yield from (
                    _entry(path, number, entry)
                    for number, entry in entries
                    if not (isinstance(entry, dict) and HEADER in entry)
                )
                return
            if whole is None:
                whole = _json(path, 1, start + file.read())
            else:
                _require_end(path, file)
        except UnicodeDecodeError as error:
            raise HaloError(f"{path}: not readable as JSON ({error}); download it again") from None
    results = whole.get("results") if isinstance(whole, dict) else whole
    if not isinstance(results, list):
        raise HaloError(f"{path}: not UniProt's JSON, it has no list of results")
    for number, entry in enumerate(results, start=1):
        yield _entry(path, number, entry)


def _require_end(path: Path, lines: Iterable[str]) -> None:
    """Require that only blank `lines` follow the first one, which is a whole JSON."""
    for number, line in enumerate(lines, start=2):
        if line.strip():
            raise HaloError(
                f"{path}: line {number}: more after the end of the JSON in line 1, as of several "
                "pages; join their `results` in one list"
            )


def _json(path: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HaloError(
            f"{path}: line {line} is not readable as JSON ({error}); download it again"
        ) from None


def _entry(path: Path, number: int, entry: Any) -> Entry:
    """Parse an entry of JSON; raises a HaloError with its number if it is not valid."""
    try:
        comments = entry.get("comments", [])
        organism = entry.get("organism", {})
        kind = entry.get("entryType", "")
        return Entry(
            _text(entry["primaryAccession"]),
            _text(entry.get("uniProtkbId", "")),
            _text(entry.get("sequence", {}).get("value", "")),
            ("Swiss-Prot" in kind) if kind else None,
            _text(organism.get("scientificName", "")),
            str(organism.get("taxonId", "")),
            kingdom(organism.get("lineage", [])),
            tuple(chain.from_iterable(map(_json_locations, comments))),
            tuple(_json_components(entry.get("uniProtKBCrossReferences", []))),
            frozenset(chain.from_iterable(map(_json_displayed, comments))),
            number,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise HaloError(
            f"{path}: entry {number} is none of UniProtKB's JSON ({error!r}); download it again"
        ) from None


def _text(value: Any) -> str:
    """Return `value`; raises a TypeError if it is not a text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _json_locations(comment: Mapping[str, Any]) -> Iterator[Location]:
    if comment["commentType"] == "SUBCELLULAR LOCATION":
        for entry in comment.get("subcellularLocations", []):
            location = entry["location"]
            codes = tuple(_text(e["evidenceCode"]) for e in location.get("evidences", []))
            yield Location(_text(location["value"]), codes, _text(comment.get("molecule", "")))


def _json_displayed(comment: Mapping[str, Any]) -> Iterator[str]:
    if comment["commentType"] == "ALTERNATIVE PRODUCTS":
        for isoform in comment.get("isoforms", []):
            if isoform.get("isoformSequenceStatus") == DISPLAYED:
                yield _text(isoform["name"]["value"])


def _json_components(references: Iterable[Mapping[str, Any]]) -> Iterator[Component]:
    for reference in references:
        if reference["database"] == "GO":
            said = {p["key"]: p["value"] for p in reference.get("properties", [])}
            if said.get("GoTerm", "C:").startswith("C:"):
                code = said.get("GoEvidenceType", "").partition(":")[0]
                yield Component(_text(reference["id"]), code)


def _tsv_entries(path: Path) -> Iterator[Entry]:
    table = read_table(path)
    missing = [name for name in (ENTRY, SEQUENCE, LOCATIONS) if name not in table]
    if missing:
        raise HaloError(
            f"{path}: no column {', '.join(map(repr, missing))}; choose it under 'Customize "
            "columns' when you download from UniProt, or give a JSON"
        )
    for row in table.to_dict("records"):
        reviewed = row.get("Reviewed", "")
        yield Entry(
            row[ENTRY],
            row.get("Entry Name", ""),
            row[SEQUENCE],
            reviewed == "reviewed" if reviewed else None,
            row.get("Organism", ""),
            row.get("Organism (ID)", ""),
            kingdom(re.split(r"\s*(?:\([^)]*\))?,\s*", row.get("Taxonomic lineage", ""))),
            tuple(text_locations(row[LOCATIONS])),
            tuple(Component(go, "") for go in _GO_ID.findall(row.get(COMPONENTS, ""))),
            frozenset(
                name.strip()
                for name, status in _ISOFORM.findall(row.get(ISOFORMS, ""))
                if status.strip() == DISPLAYED
            ),
            row[LINE],
        )


def text_locations(text: str) -> Iterator[Location]:
    """The locations in the text of a TSV.

    ``SUBCELLULAR LOCATION: Cytoplasm {ECO:0000269|PubMed:1}. Nucleus {ECO:0000305}. Note=…``;
    text after a semicolon is topology, a name in brackets is an isoform or a chain.
    """
    for comment in _COMMENT.split(text)[1:]:
        molecule = ""
        if match := _MOLECULE.match(comment):
            molecule, comment = match[1], comment[match.end() :]
        comment = _NOTE.split(comment)[0]
        of_location = True
        for part in _PART.finditer(comment):
            term, evidence, end = part.groups()
            if of_location and term.strip():
                codes = tuple(dict.fromkeys(_EVIDENCE.findall(evidence or "")))
                yield Location(term.strip(), codes, molecule)
            of_location = end != ";"


def kingdom(lineage: Iterable[Any]) -> str:
    """``Metazoa``, ``Viridiplantae``, ``Fungi`` or ``Other``; "" without a lineage."""
    names = [str(name).strip() for name in lineage if str(name).strip()]
    return next((name for name in KINGDOMS if name in names), "Other") if names else ""
