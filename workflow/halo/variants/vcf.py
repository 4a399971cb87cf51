"""Read protein changes from the annotations of a VCF, with the genes and transcripts they name."""

import re
from collections.abc import Iterator, Mapping, Sequence

from halo.proteins.genes import COLUMNS, names_in

INFO = 7  # column of a VCF
# HGVS protein notations in the INFO of a VCF, as VEP (CSQ), SnpEff (ANN) and others write them.
_NOTATION = re.compile(r"(?:^|[|;=,&])((?:[^|;=,&:\s]+:)?p\.[^|;,&\s]+)")
_HEADER = re.compile(r"##INFO=<ID=([^,>]+),.*Description=\"([^\"]*)")  # of a key of INFO
# The layout of ANN, which SnpEff and others share, for a VCF without its header.
_ANN = (
    "allele", "annotation", "annotation_impact", "gene_name", "gene_id", "feature_type",
    "feature_id", "transcript_biotype", "rank", "hgvs.c", "hgvs.p",
)  # fmt: skip
_NAMES = {*COLUMNS, "feature", "feature_id"}
_GENE_INFO = "geneinfo"  # ClinVar's key, with symbol:number


def changes_in(lines: Sequence[str]) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
    """Line from 1, id of the record, notation, and names of the gene and its transcripts.

    A notation is yielded once for each gene of a line. One with the name of a protein before it has
    no further names.
    """
    layouts = dict(filter(None, map(_layout, lines)))
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip("\n").split("\t")
        if line.startswith("#") or len(fields) <= INFO:
            continue
        name = fields[2] if fields[2] not in ("", ".") else ""
        found: dict[tuple[str, str], list[str]] = {}
        for text, names in _in_info(fields[INFO], layouts):
            found.setdefault((text, names[0] if names else ""), []).extend(names)
        for (text, _), all_names in found.items():
            yield number, name, text.replace("%3D", "="), names_in(*all_names)


def _layout(line: str) -> tuple[str, tuple[str, ...]] | None:
    """A key of INFO and the names of its fields, in lower case, if the line is its header."""
    match = _HEADER.match(line)
    if match is None or "|" not in match[2]:
        return None
    # "Format: Allele|Gene" of VEP, "Functional annotations: 'Allele | Gene_Name'" of SnpEff.
    first, *others = match[2].split("|")
    names = [re.split("[:']", first)[-1], *others]
    return match[1], tuple(name.strip(" '").lower() for name in names)


def _in_info(
    info: str, layouts: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The notations of a record, and the names that are given with each."""
    parts = [_key_and_value(part) for part in info.split(";")]
    alone = names_in(*(_plain_names(key, value) for key, value in parts))
    for key, value in parts:
        for entry in value.split(","):
            fields = entry.split("|")
            layout = layouts.get(key, _ANN if key == "ANN" and len(fields) >= len(_ANN) else ())
            known = zip(layout, fields, strict=False)
            given = names_in(*(text for name, text in known if name in _NAMES))
            names = given if layout else alone
            for text in _NOTATION.findall(entry):
                yield text, names if text.startswith("p.") else ()


def _key_and_value(part: str) -> tuple[str, str]:
    """Key and value of a part of INFO; of a notation without a key, "" and the notation."""
    key, equals, value = part.partition("=")
    return (key, value) if equals and not _NOTATION.match(part) else ("", part)


def _plain_names(key: str, value: str) -> str:
    """The names in a key of INFO without fields; "" if it names no gene."""
    if key.lower() == _GENE_INFO:
        return " ".join(part.partition(":")[0] for part in value.split("|"))
    return value if key.lower() in _NAMES else ""
