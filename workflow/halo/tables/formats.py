"""Recognize files in other formats than FASTA or a table, and name the fix."""

import re
from collections.abc import Iterable
from pathlib import Path

from halo.errors import HaloError

_GIVE = "give a FASTA, or a table with a header"
_STRUCTURE = "give the protein's sequence here, and the structure as a structure"
_ALIGNED = "convert it to FASTA without gaps"
# Pattern at the start of the text without blank lines (re.MULTILINE), name of the format, fix.
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
    (r"LOCUS {2,}\S", "GenBank", "convert it to FASTA, as proteins"),
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
    """Refuse files in one of `OTHER_FORMATS`, and FASTA files with text before the first header.

    Parameters
    ----------
    path : the file, for messages
    lines : first lines of the file

    Raises
    ------
    HaloError
        if the file is refused
    """
    content = [stripped for line in lines if (stripped := line.strip())]
    text = "\n".join(content)
    for pattern, what, fix in OTHER_FORMATS:
        if re.match(pattern, text, re.MULTILINE):
            raise HaloError(f"{path}: {what}; {fix}")
    first = next((line for line in content if not line.startswith((";", "#"))), "")
    if not re.search(r"^>|[,;\t|]", first) and any(line.startswith(">") for line in content):
        raise HaloError(f"{path}: {first[:40]!r} is before the first FASTA header; remove it")
