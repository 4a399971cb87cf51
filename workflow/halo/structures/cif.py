"""Read protein backbones from mmCIF, ModelCIF and BinaryCIF."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

import gemmi
import numpy as np

from halo.structures.atoms import (
    CA,
    MAX_ATOMS,
    SLOTS,
    Atoms,
    Header,
    experiment,
    one_letter,
    whole_numbers,
)
from halo.structures.bcif import read_blocks

# The column of a category (without underscores and points) as it is in the file: texts or
# numbers, one a row; None where there is none.
Column = Sequence[str] | np.ndarray
Columns = Callable[[str, str], Column | None]
_NULL = (".", "?", "")


def read_cif(text: bytes) -> Iterator[tuple[Atoms, Header]]:
    """The models of the first block with atoms; raises a RuntimeError if it is not mmCIF."""
    for block in gemmi.cif.read_string(text):
        columns = _columns_of(block)
        if columns("atom_site", "Cartn_x") is not None:
            yield from _models(columns)
            return


def read_bcif(data: bytes) -> Iterator[tuple[Atoms, Header]]:
    """The models of a BinaryCIF file; raises a ValueError if it is not BinaryCIF."""
    for columns in read_blocks(data):
        if columns("atom_site", "Cartn_x") is not None:
            yield from _models(columns)
            return


def _columns_of(block: gemmi.cif.Block) -> Columns:
    loops: dict[str, tuple[list[str], list[str]]] = {}  # tags and values, row by row

    def columns(category: str, item: str) -> list[str] | None:
        tag = f"_{category}.{item}"
        if category not in loops:
            loop = block.find_loop(tag).get_loop()
            if loop is None:
                value = block.find_value(tag)
                return None if value is None else [value]
            # All at once: several times as fast as column by column.
            loops[category] = [name.lower() for name in loop.tags], loop.values
        tags, values = loops[category]
        place = tags.index(tag.lower()) if tag.lower() in tags else None
        return None if place is None else values[place :: len(tags)]

    return columns


def _plain(value: object) -> str:
    """A text without its quotes, ``""`` where it is unknown."""
    text = str(value)
    if text in _NULL:
        return ""
    return gemmi.cif.as_string(text) if text[0] in "'\";" else text


def _texts(values: Iterable[object]) -> np.ndarray:
    """object [n] of str."""
    values = list(values)
    known = {value: _plain(value) for value in set(values)}
    return np.array([known[value] for value in values], object)


def _numbers(values: Column) -> np.ndarray:
    """float64 [n], NaN for unknown values and texts that are not numbers."""
    try:
        return np.array(values, np.float64)
    except ValueError:
        return np.array([gemmi.cif.as_number(str(value)) for value in values], np.float64)


def _models(columns: Columns) -> Iterator[tuple[Atoms, Header]]:
    table = _AtomSite(columns)
    for rows in table.models():
        yield table.atoms(rows), _header(columns)


class _AtomSite:
    """The table of the atoms, of which the backbone is read."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        names = self._first("label_atom_id", "auth_atom_id")
        names = [] if names is None else names
        if len(names) > MAX_ATOMS:
            raise OverflowError(f"more than {MAX_ATOMS:,} atoms")
        slots = {name.decode(): slot for slot, name in enumerate(SLOTS)}
        slots |= {f'"{name}"': slot for name, slot in slots.items()}
        rows = [row for row, name in enumerate(names) if name in slots]
        self._slot = np.full(len(names), -1)
        self._slot[rows] = [slots[names[row]] for row in rows]

    def models(self) -> Iterator[np.ndarray]:
        """The rows of the backbone, int [n], one model after the other."""
        rows = np.flatnonzero(self._slot >= 0)
        column = self._first("pdbx_PDB_model_num")
        if column is None:
            yield from [rows] if len(rows) else []
            return
        model = np.array(self._of(column, rows), object)
        for number in dict.fromkeys(model.tolist()):
            yield rows[model == number]

    def atoms(self, rows: np.ndarray) -> Atoms:
        """The atoms of some rows."""
        chain, label, number, insertion, sequence = (
            self._raw(rows, *items)
            for items in (
                ("auth_asym_id", "label_asym_id"),
                ("label_asym_id",),
                ("auth_seq_id", "label_seq_id"),
                ("pdbx_PDB_ins_code",),
                ("label_seq_id",),
            )
        )
        new = np.ones(len(rows), bool)
        keys = (chain, label, number, insertion, sequence)
        new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
        first = np.flatnonzero(new)
        entity = _texts(self._raw(rows[first], "label_entity_id"))
        polymers = _polymers(self._columns)
        metric = _metric(self._columns)
        places = zip(_texts(label[first]), _texts(sequence[first]), strict=True)
        return Atoms(
            residue=np.cumsum(new) - 1,
            slot=self._slot[rows],
            position=np.stack([self._number(rows, f"Cartn_{axis}") for axis in "xyz"], axis=1),
            occupancy=self._number(rows, "occupancy"),
            b_factor=self._b_factors(rows),
            name=self._raw(rows, "label_comp_id", "auth_comp_id"),
            chain=_texts(chain[first]),
            number=whole_numbers(_numbers(number[first])),
            hetero=self._raw(rows[first], "group_PDB") == "HETATM",
            block=np.zeros(len(first), int),
            entity=entity,
            polymer=np.isin(entity, polymers) if polymers and entity.any() else None,
            metric=np.array([metric.get(place, np.nan) for place in places]) if metric else None,
        )

    def _first(self, *items: str) -> Column | None:
        """The first existing column of these."""
        existing = (self._columns("atom_site", item) for item in items)
        return next((column for column in existing if column is not None), None)

    @staticmethod
    def _of(column: Column, rows: np.ndarray) -> Column:
        if isinstance(column, np.ndarray):
            return column[rows]
        return itemgetter(*rows.tolist())(column) if len(rows) > 1 else [column[rows[0]]]

    def _raw(self, rows: np.ndarray, *items: str) -> np.ndarray:
        """object [n], as the file has it; ``""`` where there is no such column."""
        column = self._first(*items)
        return np.array([""] * len(rows) if column is None else self._of(column, rows), object)

    def _number(self, rows: np.ndarray, item: str) -> np.ndarray:
        column = self._first(item)
        if column is None:
            return np.full(len(rows), np.nan)
        values = self._of(column, rows)
        if not isinstance(values, np.ndarray) and values.count(values[0]) == len(values):
            return np.full(len(rows), gemmi.cif.as_number(values[0]))
        return _numbers(values)

    def _b_factors(self, rows: np.ndarray) -> np.ndarray:
        """float64 [n], B-factors of the CA atoms; NaN for other atoms, which are not used."""
        values = np.full(len(rows), np.nan)
        centre = np.flatnonzero(self._slot[rows] == CA)
        if len(centre):
            values[centre] = self._number(rows[centre], "B_iso_or_equiv")
        return values


def _table(columns: Columns, category: str, *items: str) -> list[tuple[str, ...]]:
    """Rows of some columns of a small category; ``""`` where one is not there."""
    present = [columns(category, item) for item in items]
    count = max((len(column) for column in present if column is not None), default=0)
    texts = [_texts(column).tolist() if column is not None else [""] * count for column in present]
    return list(zip(*texts, strict=True))


def _polymers(columns: Columns) -> list[str]:
    rows = _table(columns, "entity", "id", "type")
    polymers = [entity for entity, kind in rows if kind.lower() == "polymer"]
    return polymers or [entity for (entity,) in _table(columns, "entity_poly", "entity_id")]


def _header(columns: Columns) -> Header:
    methods = [text for (text,) in _table(columns, "exptl", "method")]
    edges = _table(columns, "cell", "length_a", "length_b", "length_c")
    cells = (list(map(gemmi.cif.as_number, row)) for row in edges)
    method = experiment(", ".join(filter(None, methods)), cells)
    items = ("pdb_strand_id", "seq_id", "auth_seq_num")
    scheme = _table(columns, "pdbx_poly_seq_scheme", *items) if method else []
    observed = Counter(
        chain for chain, _ in {(chain, place) for chain, place, seen in scheme if seen}
    )
    return Header(_declared(columns), method, observed)


def _declared(columns: Columns) -> dict[str, str]:
    """One-letter sequence of each polymer, by the id of its entity."""
    rows = _table(columns, "entity_poly_seq", "entity_id", "num", "mon_id")
    # Of several residues at one place the first counts.
    first = {(entity, number): name for entity, number, name in reversed(rows)}
    names: dict[str, list[str]] = {}
    for (entity, _), name in reversed(first.items()):
        names.setdefault(entity, []).append(name)
    declared = {entity: one_letter(residues) for entity, residues in names.items()}
    items = ("entity_id", "pdbx_seq_one_letter_code_can")
    for entity, letters in _table(columns, "entity_poly", *items):
        declared.setdefault(entity, "".join(letters.split()).upper())
    return declared


def _metric(columns: Columns) -> dict[tuple[str, str], float]:
    """pLDDT (0 to 100) by chain and position, from the local metrics of ModelCIF."""
    kinds = _table(columns, "ma_qa_metric", "id", "mode", "name", "type")
    wanted = {}
    for key, mode, name, kind in kinds:
        if mode.lower() == "local" and "plddt" in f"{name} {kind}".lower():
            wanted[key] = 100.0 if "[0,1]" in kind else 1.0
    items = ("label_asym_id", "label_seq_id", "metric_id", "metric_value")
    rows = _table(columns, "ma_qa_metric_local", *items) if wanted else []
    first = next((metric for *_, metric, _ in rows if metric in wanted), None)
    return {
        (chain, place): gemmi.cif.as_number(value) * wanted[metric]
        for chain, place, metric, value in rows
        if metric == first
    }
