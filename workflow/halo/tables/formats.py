"""Formats that people have at hand in place of a FASTA or a table: recognized and named."""

import re
from collections.abc import Iterable
from pathlib import Path

from halo.errors import HaloError

_GIVE = "give a FASTA, or a table with a header"
_STRUCTURE = "give the protein's sequence here, and the structure as a structure"
_ALIGNED = "convert it to FASTA without gaps"
# How a text begins without its blank lines (re.MULTILINE), what it is, and the fix.
OTHER_FORMATS = (
    (r"version https://git-lfs", "a Git LFS pointer and not the file", "fetch it: git lfs pull"),
    (
        r"(?i)<(!doctype html|html|head|body|div|p|table|pre)\b",
        "a web page",
        "download the file that the page is about",
    ),
    (r"<", "XML, or a part of a web page", _GIVE),
    (r"&gt;", "copied from a web page's source (&gt; stands for >)", "copy from the page itself"),
    (r"\{\\rtf", "a rich text document", "save it as plain text"),
    (r"[{\[]", "JSON", _GIVE),
    (r"LOCUS\s", "GenBank", "convert it to FASTA, as proteins"),
    (r"ID {3}\S", "a flat file of EMBL or UniProt", "download it as FASTA, or convert it"),
    (
        r"(HEADER|TITLE|ATOM|HETATM|REMARK|MODEL|CRYST1|COMPND|SEQRES|EXPDTA) ",
        "a PDB structure",
        _STRUCTURE,
    ),
    (r"data_\S*\s*$(?s:.*)^(_\w+\.|loop_)", "a structure in mmCIF", _STRUCTURE),
    (r"CLUSTAL|MUSCLE \(", "an alignment (Clustal)", _ALIGNED),
    (r"# STOCKHOLM", "an alignment (Stockholm)", _ALIGNED),
    (r"#NEXUS", "an alignment (NEXUS)", _ALIGNED),
    (r"##gff", "GFF", _GIVE),
    (r"##fileformat=VCF", "VCF", _GIVE),
    (r"@(?s:.*)^\+", "FASTQ, the reads of a sequencer", "give proteins as FASTA"),
)


def refuse_other_formats(path: Path | str, lines: Iterable[str]) -> None:
    """HaloError where `lines`, the first ones of a file, are of another format.

    That is one of `OTHER_FORMATS`, or a FASTA with other text before it.
    """
    content = [stripped for line in lines if (stripped := line.strip())]
    text = "\n".join(content)
    for pattern, what, fix in OTHER_FORMATS:
        if re.match(pattern, text, re.MULTILINE):
            raise HaloError(f"{path}: {what}; {fix}")
    first = next((line for line in content if not line.startswith((";", "#"))), "")
    if not re.search(r"^>|[,;\t|]", first) and any(line.startswith(">") for line in content):
        raise HaloError(f"{path}: {first[:40]!r} stands before the first FASTA header; remove it")
