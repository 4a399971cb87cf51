"""Names of the genes and transcripts of proteins, in headers, tables and annotations."""

import re
from collections.abc import Iterable

from halo.proteins.accessions import is_entry_name, parse_accession
from halo.proteins.labels import MISSING_VALUES

# Names of columns, in lower case and with _ for blanks. UniProt's have all names of a gene.
COLUMNS = (
    "gene", "genes", "gene_name", "gene_names", "gene_names_(primary)", "gene_symbol", "symbol",
    "hugo_symbol", "hgnc_symbol", "gene_id", "transcript", "transcript_id",
)  # fmt: skip
# UniProt's GN=, NCBI's [gene=TP53], Ensembl's gene: and so on.
_IN_HEADER = re.compile(
    r"(?:^|[\s\[])(?:GN=|(?:gene|gene_name|gene_symbol|gene_id|transcript|transcript_id)[:=])"
    r"([^\s\]]+)"
)
_BETWEEN = re.compile(r"[;,&|\s]+")
_DATABASE = re.compile(r"[a-z]{2,3}")  # sp, tr, ref and others before the names in an id
_NO_NAME = MISSING_VALUES | {"", ".", "-"}
_VERSIONED = re.compile(r"(ENS[A-Z]*\d{6,}|[NXYWA][MRPC]_\d{6,})(?:\.\d+)?")
_TRANSCRIPT = re.compile(r"ENS[A-Z]*T\d{6,}|[NX][MR]_\d{6,}")
_GENE_ID = re.compile(r"ENS[A-Z]*G\d{6,}|\d+")
_PROTEIN_ID = re.compile(r"ENS[A-Z]*P\d{6,}|[NXYWA]P_\d{6,}")


def bare(name: str) -> str:
    """An id of Ensembl or RefSeq without its version; any other name as it is.

    Examples
    --------
    >>> bare("ENST00000269305.9"), bare("NKX2-1"), bare("AT1G01010.1")
    ('ENST00000269305', 'NKX2-1', 'AT1G01010.1')
    """
    match = _VERSIONED.fullmatch(name)
    return match[1] if match else name


def is_transcript(name: str) -> bool:
    """Whether a bare name is that of a transcript of Ensembl or RefSeq."""
    return _TRANSCRIPT.fullmatch(name) is not None


def is_protein_id(name: str) -> bool:
    """Whether a name is a protein's in UniProt, Ensembl or RefSeq, so that it tells no gene."""
    known = parse_accession(name) or is_entry_name(name)
    return bool(known) or _PROTEIN_ID.fullmatch(bare(name)) is not None


def is_database_id(name: str) -> bool:
    """Whether a name is an accession of UniProt, or an id of Ensembl or RefSeq.

    Entry names are left out, because names of variants have the same form (``TP53_R97C``).
    """
    return parse_accession(name) is not None or _VERSIONED.fullmatch(name) is not None


def names_in(*texts: str) -> tuple[str, ...]:
    """Bare names in cells or fields: symbols, then ids of genes, then transcripts, each once.

    Examples
    --------
    >>> names_in("ENST00000357654.9", "BRCA1 RNF53", ".")
    ('BRCA1', 'RNF53', 'ENST00000357654')
    """
    parts = (part for text in texts for part in _BETWEEN.split(text))
    names = dict.fromkeys(bare(part) for part in parts if part.casefold() not in _NO_NAME)
    return tuple(sorted(names, key=_rank))


def _rank(name: str) -> int:
    return 2 if is_transcript(name) else int(_GENE_ID.fullmatch(name) is not None)


def names_of(name: str, description: str, cells: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of a protein in its id, the rest of its header, and the cells of `COLUMNS`.

    Parameters
    ----------
    name : the id; of ids as ``sp|P04637|P53_HUMAN`` and those of GENCODE, the parts are names
    description : what follows in a FASTA
    cells : contents of columns of a table
    """
    parts = name.split("|")
    own = [part for part in parts if len(parts) == 1 or not _DATABASE.fullmatch(part)]
    return names_in(*own, *_IN_HEADER.findall(description), *cells)
