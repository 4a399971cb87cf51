"""Read the variants to predict: notations in a list, a table or a VCF, or sequences in a FASTA."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from halo.cli import log
from halo.errors import HaloError
from halo.predict.records import regular_file
from halo.proteins.ingest import Rejected, letters_fault, residues_of
from halo.tables.fasta import UNSEEN, FastaRecord, fasta_records, is_fasta
from halo.tables.formats import refuse_other_formats
from halo.tables.readers import LINE, LOOKED_AT, read_table
from halo.tables.workbook import is_workbook
from halo.text import open_text
from halo.variants.edits import Edit, changes_of, edited, edits_between, edits_of, identity
from halo.variants.notation import Change, NotationError, parse, written

# Names of columns, in lower case; the first one in a table is used.
NOTATIONS = (
    "variant", "variants", "hgvs", "hgvsp", "hgvs_p", "hgvs.p", "mutation", "mutations", "mutant",
    "change", "protein_change", "aa_change",
)  # fmt: skip
PROTEINS = ("protein", "wildtype", "wild_type", "protein_id", "accession", "uniprot", "entry")
IDS = ("id", "name", "variant_id")
LEAST_IDENTITY = 0.5  # of a FASTA record with the nearest wild type
INFO = 7  # column of a VCF
# HGVS protein notations in the INFO of a VCF, as VEP (CSQ), SnpEff (ANN) and others write them.
_IN_VCF = re.compile(r"(?:^|[|;=,&])((?:[^|;=,&:\s]+:)?p\.[^|;,&\s]+)")
# After the name of another protein, a range that begins a fusion: GFP:1_238::1_97.
_FUSED = re.compile(r"[A-Za-z]*\d+_[A-Za-z]*\d+::")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class Variant:
    """A variant of a wild type.

    Attributes
    ----------
    id
        Name of the variant: that of the input, or its notation.
    protein
        Id of the wild type.
    line
        Line of the input, from 1; 0 for a variant of a scan.
    changes, edits
        What is changed; see `halo.variants.notation` and `halo.variants.edits`.
    sequence
        The sequence of the variant.
    origin
        Position of each residue in the wild type; see `halo.variants.edits.edited`.
    paired_by
        How a sequence found its wild type: ``name``, ``only`` (there is one) or ``nearest``; empty
        for a notation.
    """

    id: str
    protein: str
    line: int
    changes: tuple[Change, ...]
    edits: tuple[Edit, ...]
    sequence: str
    origin: np.ndarray = field(compare=False, repr=False)
    paired_by: str = ""

    @property
    def places(self) -> int:
        """Number of changed residues."""
        return sum(edit.places for edit in self.edits)

    @property
    def notation(self) -> str:
        """The changes in one-letter code."""
        return written(self.changes, short=True)


@dataclass(frozen=True)
class WildTypes:
    """Sequences of the wild types by id, and ids by accession."""

    sequences: Mapping[str, str]
    accessions: Mapping[str, str] = field(default_factory=dict)

    def id_of(self, name: str) -> str | None:
        """The id of the wild type with this id or accession, or None."""
        return name if name in self.sequences else self.accessions.get(name)

    @cached_property
    def names(self) -> list[str]:
        """All ids and accessions, the longest first."""
        return sorted({*self.sequences, *self.accessions}, key=lambda name: (-len(name), name))

    @cached_property
    def by_name(self) -> dict[str, str]:
        """Sequences by id and accession."""
        return {name: self.sequences[self.id_of(name) or name] for name in self.names}

    @property
    def only(self) -> str | None:
        """The id of the only wild type; None of several."""
        return next(iter(self.sequences)) if len(self.sequences) == 1 else None


@dataclass(frozen=True)
class _Entry:
    """One notation of the input; `id` and `protein` are "" where they are not given."""

    line: int
    text: str
    protein: str = ""
    id: str = ""


def make_variant(
    text: str, protein: str, wildtypes: WildTypes, line: int = 0, name: str = ""
) -> Variant:
    """The variant of the wild type with the id `protein` that the notation `text` describes.

    `name` is the id of the variant; its notation if it is empty.

    Raises
    ------
    NotationError
        see `halo.variants.notation.parse` and `halo.variants.edits.edits_of`
    """
    changes = tuple(sorted(parse(text), key=lambda one: one.first.position if one.first else 0))
    edits = edits_of(changes, wildtypes.sequences[protein], wildtypes.by_name)
    return _variant(changes, edits, protein, wildtypes, line, name)


def read_variants(
    path: Path, wildtypes: WildTypes, max_length: int
) -> tuple[list[Variant], list[Rejected]]:
    """The variants in `path`, in its order, and the records that cannot be used.

    Parameters
    ----------
    path : list with a notation in each line, table with a column of notations, VCF with
        annotations, or FASTA of variants; ``-`` is the standard input
    wildtypes : at least one
    max_length : longer variants are rejected (residues)

    Raises
    ------
    HaloError
        if the whole file cannot be used, or no variant can
    """
    variants: list[Variant] = []
    rejected: list[Rejected] = []
    first_line: dict[tuple[str, str, str], int] = {}
    with regular_file(Path(path)) as file:
        for candidate in _read(file, wildtypes):
            result = _checked(candidate, max_length, first_line)
            if isinstance(result, Variant):
                variants.append(result)
            else:
                rejected.append(result)
    for record in rejected[:20]:
        log.warning("%s: line %s, %s: %s", path, record.line, record.id, record.detail)
    if not variants:
        why = f"the first: line {rejected[0].line}, {rejected[0].detail}" if rejected else "empty"
        raise HaloError(f"{path}: no variant can be used ({why}); correct the file")
    return variants, rejected


def _checked(
    candidate: Variant | Rejected, max_length: int, first_line: dict[tuple[str, str, str], int]
) -> Variant | Rejected:
    """The variant, or why it is not used; `first_line` has the variants until now."""
    if isinstance(candidate, Rejected):
        return candidate
    if len(candidate.sequence) > max_length:
        detail = f"{len(candidate.sequence):,} residues, more than {max_length:,} (--max-length)"
        return Rejected(candidate.id, candidate.line, "too long", detail)
    key = (candidate.protein, candidate.notation, candidate.id if candidate.paired_by else "")
    if key in first_line:
        detail = f"{candidate.notation} of {candidate.protein} is also in line {first_line[key]}"
        return Rejected(candidate.id, candidate.line, "duplicate", detail)
    first_line[key] = candidate.line
    return candidate


def _read(path: Path, wildtypes: WildTypes) -> Iterator[Variant | Rejected]:
    if is_workbook(path):
        entries = _in_table(path)
    else:
        with open_text(path) as file:
            lines = file.readlines()
        if is_fasta(lines):
            refuse_other_formats(path, lines[:LOOKED_AT])
            yield from _in_fasta(path, lines, wildtypes)
            return
        head = next((line for line in lines if line.strip()), "")
        if head.startswith(("##fileformat=VCF", "#CHROM")):
            entries = _in_vcf(path, lines)
        elif _is_header(head):
            entries = _in_table(path)
        else:
            entries = _in_list(lines, wildtypes)
    for entry in entries:
        yield _of_notation(entry, wildtypes)


# ------------------------------------------------------------------ notations


def _is_header(line: str) -> bool:
    """Whether a line is the header of a table of variants."""
    texts = re.split(r"[,;\t|]", line.strip().strip(UNSEEN))
    fields = [text.strip().strip("\"'").strip().lower() for text in texts]
    return any(field in NOTATIONS for field in fields)


def _in_table(path: Path) -> Iterator[_Entry]:
    table = read_table(path)
    known = {name.strip().lower(): name for name in reversed(list(table.columns))}

    def column(names: Sequence[str]) -> Sequence[str]:
        name = next((known[name] for name in names if name in known), None)
        return table[name].tolist() if name is not None else [""] * len(table)

    if not set(NOTATIONS) & set(known):
        raise HaloError(
            f"{path}: no column of variants, it has {', '.join(map(str, table.columns))}; name it "
            f"{NOTATIONS[0]!r}"
        )
    rows = zip(table[LINE], column(NOTATIONS), column(PROTEINS), column(IDS), strict=True)
    for line, text, protein, name in rows:
        yield _Entry(int(line), text, protein, name)


def _in_list(lines: Sequence[str], wildtypes: WildTypes) -> Iterator[_Entry]:
    for number, line in enumerate(lines, start=1):
        text = _COMMENT.sub("", line.strip().strip(UNSEEN)).strip()
        if not text:
            continue
        word, _, rest = text.replace("\t", " ").partition(" ")
        if wildtypes.id_of(word) and rest.strip():
            yield _Entry(number, rest.strip(), word)
        else:
            yield _Entry(number, text)


def _in_vcf(path: Path, lines: Sequence[str]) -> Iterator[_Entry]:
    """The protein notations in the column INFO, in each line once."""
    any_change = False
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip("\n").split("\t")
        if line.startswith("#") or len(fields) <= INFO:
            continue
        for text in dict.fromkeys(_IN_VCF.findall(fields[INFO])):
            any_change = True
            name = fields[2] if fields[2] not in ("", ".") else ""
            yield _Entry(number, text.replace("%3D", "="), id=name)
    if not any_change:
        raise HaloError(
            f"{path}: a VCF without protein changes (p.) in the column INFO; annotate it, for "
            "instance with VEP --hgvs, or give a list of changes such as R97C"
        )


def _of_notation(entry: _Entry, wildtypes: WildTypes) -> Variant | Rejected:
    try:
        protein, text = _protein_of(entry, wildtypes)
        return make_variant(text, protein, wildtypes, entry.line, entry.id)
    except NotationError as error:
        return Rejected(entry.id or entry.text, entry.line, "notation", str(error))


def _protein_of(entry: _Entry, wildtypes: WildTypes) -> tuple[str, str]:
    """The id of the wild type of a notation, and the notation without its name."""
    name, text = entry.protein, entry.text
    before, after = _divided(text, wildtypes)
    if before:
        same = wildtypes.id_of(name) == wildtypes.id_of(before)
        if name and name != before and not (same and wildtypes.id_of(name)):
            raise NotationError(f"{text!r}: of the protein {before!r}, but the row names {name!r}")
        name, text = before, after
    wildtype = wildtypes.id_of(name) if name else wildtypes.only
    if wildtype is not None:
        return wildtype, text
    some = ", ".join(list(wildtypes.sequences)[:3])
    if name:
        raise NotationError(
            f"{entry.text!r}: the protein {name!r} is not among the wild types ({some}); correct "
            "the name, or add its sequence"
        )
    raise NotationError(
        f"{text!r}: does not say of which of {len(wildtypes.sequences)} wild types ({some}); write "
        f"the id before it, as in {next(iter(wildtypes.sequences))}:R97C"
    )


def _divided(text: str, wildtypes: WildTypes) -> tuple[str, str]:
    """The name of the protein before a notation, "" if there is none, and the notation."""
    names = (name for name in wildtypes.names if text.startswith(f"{name}:"))
    name = next(names, text.partition(":")[0])
    after = text[len(name) + 1 :]
    if not after or after.startswith(":") or _FUSED.match(after):
        return "", text
    return name, after


def _variant(
    changes: tuple[Change, ...],
    edits: Sequence[Edit],
    protein: str,
    wildtypes: WildTypes,
    line: int,
    name: str,
) -> Variant:
    sequence, origin = edited(wildtypes.sequences[protein], edits)
    label = written(changes, short=True)
    own = label if wildtypes.only else f"{protein}:{label}"
    return Variant(name or own, protein, line, changes, tuple(edits), sequence, origin)


# ------------------------------------------------------------------ sequences


def _in_fasta(
    path: Path, lines: Sequence[str], wildtypes: WildTypes
) -> Iterator[Variant | Rejected]:
    for record in fasta_records(lines, path):
        name = record.id or f"line {record.line}"
        sequence = residues_of(record.sequence)
        if fault := letters_fault(sequence):
            yield Rejected(name, record.line, "sequence", ": ".join(fault))
            continue
        try:
            yield _of_sequence(name, record, sequence, wildtypes)
        except NotationError as error:
            yield Rejected(name, record.line, "sequence", str(error))


def _of_sequence(
    name: str, record: FastaRecord, sequence: str, wildtypes: WildTypes
) -> Variant | Rejected:
    protein, paired_by = _pair(name, record.description, sequence, wildtypes)
    if protein is None:
        detail = (
            f"no wild type has its name or {LEAST_IDENTITY:.0%} identical residues; begin its id "
            f"with that of the wild type, as in {next(iter(wildtypes.sequences))}_1"
        )
        return Rejected(name, record.line, "no wild type", detail)
    wildtype = wildtypes.sequences[protein]
    edits = edits_between(wildtype, sequence)
    if not edits:
        detail = f"the sequence is that of the wild type {protein}; remove it"
        return Rejected(name, record.line, "no change", detail)
    changes = changes_of(edits, wildtype)
    variant = _variant(changes, edits, protein, wildtypes, record.line, name)
    return replace(variant, paired_by=paired_by)


def _pair(
    name: str, description: str, sequence: str, wildtypes: WildTypes
) -> tuple[str | None, str]:
    """The wild type of a sequence, and how it was found.

    By name: ``wildtype=ID`` in the description, or an id that is that of the wild type (or its
    accession), or begins with it and one of ``_-:/|.``; the longest such name. Else the only wild
    type, or the nearest one.
    """
    stated = re.search(r"(?:^|\s)wildtype=(\S+)", description)
    if stated and (named := wildtypes.id_of(stated[1])):
        return named, "name"
    for one in wildtypes.names:
        if name.startswith(one) and name[len(one) : len(one) + 1] in ("", *"_-:/|."):
            return wildtypes.id_of(one), "name"
    shares = {one: identity(text, sequence) for one, text in wildtypes.sequences.items()}
    best = max(shares, key=lambda one: shares[one])
    if shares[best] < LEAST_IDENTITY:
        return None, ""
    return best, "only" if wildtypes.only else "nearest"
