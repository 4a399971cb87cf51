"""Read the variants to predict: notations in a list, a table or a VCF, or sequences in a FASTA."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from halo.cli import log
from halo.errors import HaloError
from halo.predict.records import regular_file
from halo.proteins.genes import (
    COLUMNS,
    is_database_id,
    is_protein_id,
    is_transcript,
    names_in,
)
from halo.proteins.ingest import Rejected, letters_fault, residues_of
from halo.tables.fasta import UNSEEN, FastaRecord, fasta_records, is_fasta
from halo.tables.formats import refuse_other_formats
from halo.tables.readers import LINE, LOOKED_AT, read_table
from halo.tables.workbook import is_workbook
from halo.text import open_text
from halo.variants.edits import Edit, changes_of, edited, edits_between, edits_of, identity
from halo.variants.notation import Change, NotationError, parse, written
from halo.variants.vcf import changes_in
from halo.variants.wildtypes import UnusableWildType, WildTypes

# Names of columns, in lower case; the first one in a table is used.
NOTATIONS = (
    "variant", "variants", "hgvs", "hgvsp", "hgvs_p", "hgvs.p", "mutation", "mutations", "mutant",
    "change", "protein_change", "aa_change",
)  # fmt: skip
PROTEINS = ("protein", "wildtype", "wild_type", "protein_id", "accession", "uniprot", "entry")
VARIANT_IDS = ("id", "name", "variant_id")
OPEN_IDS = VARIANT_IDS[:2]  # may also be names of proteins
LEAST_IDENTITY = 0.5  # of a FASTA record with the nearest wild type
# After the name of another protein, a range that begins a fusion: GFP:1_238::1_97.
_FUSED = re.compile(r"[A-Za-z]*\d+_[A-Za-z]*\d+::")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SYMBOL = re.compile(r"[A-Z]{2}[A-Z0-9-]*")  # of a gene; a variant's name may look like it


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
class _Entry:
    """One notation of the input; `id` and `protein` are "" where they are not given.

    `genes` are the names of the gene and the transcripts, as `halo.proteins.genes.names_in` orders
    them.
    """

    line: int
    text: str
    protein: str = ""
    id: str = ""
    genes: tuple[str, ...] = ()


class OtherProtein(NotationError):
    """A variant names a gene or transcript that is that of no wild type."""


def make_variant(
    text: str, protein: str, wildtypes: WildTypes, line: int = 0, name: str = ""
) -> Variant:
    """The variant of the wild type with the id `protein` that the notation `text` describes.

    `name` is the id of the variant; its notation if it is empty.

    Raises
    ------
    NotationError
        see `halo.variants.notation.parse` and `halo.variants.edits.edits_of`, and where the wild
        type cannot be used
    """
    changes = tuple(sorted(parse(text), key=lambda one: one.first.position if one.first else 0))
    edits = edits_of(changes, wildtypes.sequence(protein), wildtypes.by_name)
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
        entries = _in_table(path, wildtypes)
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
            entries = _in_table(path, wildtypes)
        else:
            entries = _in_list(lines, wildtypes)
    known = list(entries)  # whether all name the same gene is told by the last one
    wildtypes = _with_assumed_gene(path, known, wildtypes)
    for entry in known:
        yield from _of_notation(entry, wildtypes)


# ------------------------------------------------------------------ notations


def _is_header(line: str) -> bool:
    """Whether a line is the header of a table of variants."""
    texts = re.split(r"[,;\t|]", line.strip().strip(UNSEEN))
    fields = [text.strip().strip("\"'").strip().lower() for text in texts]
    return any(field in NOTATIONS for field in fields)


def _in_table(path: Path, wildtypes: WildTypes) -> Iterator[_Entry]:
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
    cells = [table[name] for spelt, name in known.items() if spelt.replace(" ", "_") in COLUMNS]
    genes = list(map(names_in, *cells)) if cells else [()] * len(table)
    proteins, ids = column(PROTEINS), column(VARIANT_IDS)
    if not cells and not any(proteins):
        texts = column(OPEN_IDS)
        if _are_proteins(path, texts, wildtypes):
            proteins, ids = texts, column(VARIANT_IDS[-1:])
    rows = zip(table[LINE], column(NOTATIONS), proteins, ids, genes, strict=True)
    for line, text, protein, name, names in rows:
        yield _Entry(int(line), text, protein, name, names)


def _are_proteins(path: Path, texts: Sequence[str], wildtypes: WildTypes) -> bool:
    """Whether the column id or name of a table without a column of proteins names proteins.

    This is so if one of its `texts` is the name of a wild type, or has the form of an id of
    UniProt, Ensembl or RefSeq; else they are names of variants.
    """
    if any(wildtypes.ids_of(text) or is_database_id(text) for text in texts):
        return True
    symbols = [text for text in texts if _SYMBOL.fullmatch(text)]
    if symbols and wildtypes.only is not None:
        log.warning(
            "%s: ids such as %r are taken as names of variants of %s; if they name proteins, name "
            "their column 'protein'",
            *(path.name, symbols[0], wildtypes.only),
        )
    return False


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
    """The protein notations in the column INFO, in each line once for each gene."""
    any_change = False
    for number, name, text, genes in changes_in(lines):
        any_change = True
        yield _Entry(number, text, id=name, genes=genes)
    if not any_change:
        raise HaloError(
            f"{path}: a VCF without protein changes (p.) in the column INFO; annotate it, for "
            "instance with VEP --hgvs, or give a list of changes such as R97C"
        )


def _of_notation(entry: _Entry, wildtypes: WildTypes) -> Iterator[Variant | Rejected]:
    """The variants of a notation: one, or one of each wild type that its transcripts name."""
    name = entry.id or entry.text
    try:
        proteins, text = _proteins_of(entry, wildtypes)
    except NotationError as error:
        reason = "no wild type" if isinstance(error, OtherProtein) else "notation"
        yield Rejected(name, entry.line, reason, str(error))
        return
    for protein in proteins:
        try:
            yield make_variant(text, protein, wildtypes, entry.line, entry.id)
        except NotationError as error:
            yield Rejected(name, entry.line, _reason(error, "notation"), str(error))


def _reason(error: NotationError, otherwise: str) -> str:
    return "wild type" if isinstance(error, UnusableWildType) else otherwise


def _proteins_of(entry: _Entry, wildtypes: WildTypes) -> tuple[Sequence[str], str]:
    """The ids of the wild types of a notation, and the notation without its name."""
    name, text = entry.protein, entry.text
    before, after = _divided(text, wildtypes)
    if before:
        same = wildtypes.id_of(name) == wildtypes.id_of(before)
        if name and name != before and not (same and wildtypes.id_of(name)):
            raise NotationError(f"{text!r}: of the protein {before!r}, but the row names {name!r}")
        name, text = before, after
    if entry.genes and not name:
        return _of_gene(entry, wildtypes), text
    wildtype = wildtypes.id_of(name) if name else wildtypes.only
    if wildtype is not None:
        return [wildtype], text
    some = ", ".join(wildtypes.ids[:3])
    if name:
        raise NotationError(
            f"{entry.text!r}: the protein {name!r} is not among the wild types ({some}); correct "
            "the name, or add its sequence"
        )
    raise NotationError(
        f"{text!r}: does not say of which of {len(wildtypes.ids)} wild types ({some}); write "
        f"the id before it, as in {next(iter(wildtypes.sequences))}:R97C"
    )


def _of_gene(entry: _Entry, wildtypes: WildTypes) -> Sequence[str]:
    """The ids of the wild types that the transcripts of a notation name, or else that of its gene.

    OtherProtein if there is none, or if the gene is that of several.
    """
    named = map(wildtypes.ids_of, filter(is_transcript, entry.genes))
    if isoforms := list(dict.fromkeys(ids[0] for ids in named if len(ids) == 1)):
        return isoforms
    some = ", ".join(wildtypes.ids[:3])
    found = next(filter(None, map(wildtypes.ids_of, reversed(entry.genes))), [])
    if not found:
        gene = entry.genes[0]
        raise OtherProtein(
            f"{entry.text!r}: names {gene}, which is no wild type ({some}); add its sequence, or "
            f"if it is one of these, make {gene} its id, or write GN={gene} into its header"
        )
    if len(found) > 1:
        raise OtherProtein(
            f"{entry.text!r}: names {entry.genes[0]}, which is several wild types "
            f"({', '.join(found[:3])}); write the id of one before it, as in {found[0]}:R97C"
        )
    transcripts = [
        (own, given)
        for own in filter(is_transcript, wildtypes.genes_of(found[0]))
        for given in filter(is_transcript, entry.genes)
        if own[:3] == given[:3]  # of the same database
    ]
    if transcripts and all(own != given for own, given in transcripts):
        own, given = transcripts[0]
        raise OtherProtein(
            f"{entry.text!r}: of the transcript {given}, and {found[0]} is that of {own}; add the "
            f"protein of {given} to the wild types"
        )
    return found


def _with_assumed_gene(path: Path, entries: Sequence[_Entry], wildtypes: WildTypes) -> WildTypes:
    """The wild types; a single one of which no gene is known has that of the variants.

    This is assumed, with a warning, if its id is one of a protein in a database, which cannot be
    compared with genes, and all variants name the same gene.
    """
    only = wildtypes.only
    named = [entry.genes for entry in entries if entry.genes and not entry.protein]
    own = wildtypes.genes_of(only) if only is not None else ()
    if only is None or not named or not own or not all(map(is_protein_id, own)):
        return wildtypes
    gene = named[0][0]
    if any(names[0] != gene for names in named) or wildtypes.ids_of(gene):
        return wildtypes
    log.warning(
        "%s: all variants name %s, which is taken for the wild type %s, whose gene is not known; "
        "write GN=%s into its header if this is right, else another id",
        *(path.name, gene, only, gene),
    )
    return replace(wildtypes, genes={only: (*own, gene)})


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
            yield Rejected(name, record.line, _reason(error, "sequence"), str(error))


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
    wildtype = wildtypes.sequence(protein)
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
    type, or the nearest one. It may be one that cannot be used, of which then no other is taken.
    """
    stated = re.search(r"(?:^|\s)wildtype=(\S+)", description)
    if stated and (named := wildtypes.id_of(stated[1])):
        return named, "name"
    for one in wildtypes.names:
        if name.startswith(one) and name[len(one) : len(one) + 1] in ("", *"_-:/|."):
            return wildtypes.id_of(one), "name"
    shares = {one: identity(text, sequence) for one, text in wildtypes.compared.items()}
    best = max(shares, key=lambda one: shares[one])
    if shares[best] < LEAST_IDENTITY:
        return None, ""
    return best, "only" if wildtypes.only else "nearest"
