"""Variants are read as HGVS describes them, and what contradicts the wild type is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.predict.records import KnownSequences, read_queries
from halo.variants.edits import NEW, changes_of, edited, edits_between, edits_of
from halo.variants.notation import RESIDUES, NotationError, parse, written
from halo.variants.read import read_variants
from halo.variants.wildtypes import WildTypes, wild_types

WILDTYPE = "MKTAYIAKQRGSVLEDWHCF"
OTHERS = {"GFP": "MSKGEELFTG"}
LETTERS = "".join(RESIDUES)[:20]
SEQUENCES = st.text(LETTERS, min_size=1, max_size=60)

KNOWN = {
    "R10C": "MKTAYIAKQCGSVLEDWHCF",
    "p.Arg10Cys": "MKTAYIAKQCGSVLEDWHCF",
    "p.(Arg10Cys)": "MKTAYIAKQCGSVLEDWHCF",
    "W17U": "MKTAYIAKQRGSVLEDUHCF",
    "p.Lys2del": "MTAYIAKQRGSVLEDWHCF",
    "K2_A4del": "MYIAKQRGSVLEDWHCF",
    "p.Lys2_Thr3insArgSer": "MKRSTAYIAKQRGSVLEDWHCF",
    "K2_T3delinsW": "MWAYIAKQRGSVLEDWHCF",
    "Lys2delinsTrpVal": "MWVTAYIAKQRGSVLEDWHCF",
    "K2dup": "MKKTAYIAKQRGSVLEDWHCF",
    "p.Lys2_Ala4dup": "MKTAKTAYIAKQRGSVLEDWHCF",
    "Q9*": "MKTAYIAK",
    "p.Gln9Ter": "MKTAYIAK",
    "p.Gln9ProfsTer23": "MKTAYIAK",
    "Q9fs": "MKTAYIAK",
    "Q9Pfs*23": "MKTAYIAK",
    "M1extMAS": "MASMKTAYIAKQRGSVLEDWHCF",
    "p.Ter21extGlnArg": "MKTAYIAKQRGSVLEDWHCFQR",
    "*21extQR": "MKTAYIAKQRGSVLEDWHCFQR",
    "R10C; K2del": "MTAYIAKQCGSVLEDWHCF",
    "p.[Lys2del;Arg10Cys]": "MTAYIAKQCGSVLEDWHCF",
    "p.Lys2del;p.Arg10Cys": "MTAYIAKQCGSVLEDWHCF",
    "1_5::MSKGE": "MKTAYMSKGE",
    "MetSerLys::Lys2_Tyr5::GFP:1_3": "MSKKTAYMSK",
    "K2_Y5::A7_Q9": "KTAYAKQ",
}

# What is wrong, and a part of the message that says so and how to correct it.
BAD = {
    "K10C": "the wild type has R (Arg) at position 10, not K (Lys)",
    "p.Lys2_Arg4del": "the wild type has A (Ala) at position 4, not R (Arg)",
    "R97C": "beyond the end of the wild type, which has 20 residues",
    "R0C": "positions count from 1",
    "10C": "without the residue of the wild type",
    "R10": "says no change",
    "R10R": "changes a residue to itself",
    "p.Arg10=": "no known change",
    "p.?": "no known change",
    "p.Met1?": "no known change",
    "r10c": "not a change of a protein",
    "p.Agr10Cys": "is Arg meant?",
    "R10X": "or * for a stop",
    "R10B": "name a single one",
    "R10cys": "residues are one capital letter",
    "ARG10CYS": "not a change of a protein",
    "K2_A4C": "a range takes del, dup, ins or delins",
    "A4_K2del": "exchange its ends",
    "K2_4del": "the end of the range is not a residue and a position",
    "K2_A4insRS": "between two neighbours",
    "K2insRS": "between two neighbours",
    "K2_T3ins5": "not written out",
    "K2_T3ins": "not written out",
    "K2_T3insRxS": "neither in one-letter code",
    "K2_T3insRTer": "'K2_T3insRTer'",
    "K2_T3insR*": "a stop among new residues",
    "K2_A4delKTA": "are not part of the notation; remove them",
    "p.Met1ext-5": "the length of an extension and not its sequence",
    "p.Ter21GlnextTer17": "the length of an extension and not its sequence",
    "*15extQR": "its stop is at 21",
    "K2extMA": "an extension is at position 1",
    "*21Q": "begins at the stop",
    "c.289C>T": "describes DNA or RNA",
    "NM_000546.6:c.289C>T": "describes DNA or RNA",
    "R10C;": "nothing before or after a ';'",
    "R10C;R10H": "two changes concern the same residues",
    "K2_Y5del;A4C": "two changes concern the same residues",
    "Q9*;R10C": "two changes concern the same residues",
    "M1*": "no residue remains",
    "MSK::GFP:1_3": "has no part of the wild type",
    "5_9::1_3": "overlap or are not in its order",
    "1_5::GFP:1_30": "GFP has no residue at position 30",
    "1_5::RFP:1_3": "no protein 'RFP'",
    "1_R7::MSK": "the wild type has A at position 7",
    "1_5::MSK;R10C": "a fusion with other changes",
    "banana": "not a change of a protein",
    "": "empty",
}  # fmt: skip


@pytest.mark.parametrize("text", KNOWN)
def test_a_change_makes_its_sequence(text):
    edits = edits_of(parse(text), WILDTYPE, OTHERS)
    sequence, origin = edited(WILDTYPE, edits)
    assert sequence == KNOWN[text]
    kept = origin != NEW
    assert len(origin) == len(sequence)
    assert (origin[kept][1:] > origin[kept][:-1]).all()
    for short in (True, False):
        again = parse(written(parse(text), short))
        assert edits_of(again, WILDTYPE, OTHERS) == edits


@pytest.mark.parametrize("text", BAD)
def test_bad_notation_is_refused(text):
    with pytest.raises(NotationError) as error:
        edits_of(parse(text), WILDTYPE, OTHERS)
    assert BAD[text] in str(error.value)


def test_what_replaces_a_residue_has_its_place_and_what_is_fused_has_none():
    _, origin = edited(WILDTYPE, edits_of(parse("K2C;T3_A4delinsWW"), WILDTYPE))
    assert origin.tolist() == list(range(20))
    _, origin = edited(WILDTYPE, edits_of(parse("1_15::GGGGG"), WILDTYPE))
    assert origin.tolist() == [*range(15), *[NEW] * 5]
    _, origin = edited(WILDTYPE, edits_of(parse("K2_T3insGG;Y5del"), WILDTYPE))
    assert origin.tolist() == [0, 1, NEW, NEW, 2, 3, *range(5, 20)]


@given(SEQUENCES, SEQUENCES)
def test_differences_of_sequences_are_written_and_read_again(wildtype, variant):
    edits = edits_between(wildtype, variant)
    assert edited(wildtype, edits)[0] == variant
    if edits:
        changes = changes_of(edits, wildtype)
        for short in (True, False):
            assert parse(written(changes, short)) == changes
        # Neighbouring edits, such as a substitution and an insertion, stay what they are.
        assert edited(wildtype, edits_of(changes, wildtype))[0] == variant


@st.composite
def notations(draw):
    """A wild type, the notation of an event, and the sequence that it makes, by slicing."""
    wildtype = draw(st.text(LETTERS, min_size=4, max_size=40))
    first = draw(st.integers(1, len(wildtype) - 2))
    last = draw(st.integers(first + 1, len(wildtype)))
    new = draw(st.text(LETTERS, min_size=1, max_size=5))
    three = draw(st.booleans())

    def code(letters):
        return "".join(RESIDUES[one] for one in letters) if three else letters

    start = f"{code(wildtype[first - 1])}{first}"
    span = f"{start}_{code(wildtype[last - 1])}{last}"
    stop = "Ter" if three else "*"
    before, inside, after = wildtype[: first - 1], wildtype[first - 1 : last], wildtype[last:]
    behind = wildtype[first:]
    next_one = f"{start}_{code(wildtype[first])}{first + 1}"
    events = {
        f"{start}{code(new[0])}": before + new[0] + behind,
        f"{start}del": before + behind,
        f"{span}del": before + after,
        f"{span}dup": before + inside + inside + after,
        f"{span}delins{code(new)}": before + new + after,
        f"{next_one}ins{code(new)}": wildtype[:first] + new + behind,
        f"{start}{stop}": before,
        f"{start}fs": before,
        f"{code(wildtype[0])}1ext{code(new)}": new + wildtype,
        f"{stop}{len(wildtype) + 1}ext{code(new)}": wildtype + new,
        f"{first}_{last}::{code(new)}": inside + new,
    }
    text = draw(st.sampled_from(sorted(events)))
    return wildtype, draw(st.sampled_from(["", "p."])) + text, events[text]


@given(notations())
def test_every_event_by_slicing(case):
    wildtype, text, expected = case
    if expected in ("", wildtype):
        with pytest.raises(NotationError):
            edits_of(parse(text), wildtype)
        return
    assert edited(wildtype, edits_of(parse(text), wildtype))[0] == expected


@given(st.text(max_size=40) | st.from_regex(r"(p\.)?[A-Z*][a-z]{0,2}[0-9]{0,3}[A-Za-z*_:;0-9]*"))
def test_any_text_is_read_or_refused(text):
    try:
        changes = parse(text)
    except NotationError:
        return
    assert parse(written(changes)) == changes


# ------------------------------------------------------------------ files

WILDTYPES = {"P1": WILDTYPE, "GFP": OTHERS["GFP"]}


def read(tmp_path, content, wildtypes=None, name="variants.txt"):
    file = tmp_path / name
    file.write_text(content)
    return read_variants(file, WildTypes(wildtypes or {"P1": WILDTYPE}), 1000)


def found(variants):
    return [(v.line, v.protein, v.id, v.notation) for v in variants]


def test_a_list(tmp_path):
    text = "# mine\nR10C\n\np.Lys2del;T3S  # two\nK10C\nR10C\n"
    variants, rejected = read(tmp_path, text)
    assert found(variants) == [(2, "P1", "R10C", "R10C"), (4, "P1", "K2del;T3S", "K2del;T3S")]
    assert [(r.line, r.reason) for r in rejected] == [(5, "notation"), (6, "duplicate")]
    assert "has R (Arg) at position 10" in rejected[0].detail


def test_a_list_of_several_proteins(tmp_path):
    text = "P1:R10C\nGFP p.Lys3del\nR10C\nP2:R10C\nP1 GFP:1_4::1_5\n"
    variants, rejected = read(tmp_path, text, WILDTYPES)
    assert found(variants) == [
        (1, "P1", "P1:R10C", "R10C"),
        (2, "GFP", "GFP:K3del", "K3del"),
        (5, "P1", "P1:GFP:1_4::1_5", "GFP:1_4::1_5"),
    ]
    assert variants[2].sequence == "MSKGMKTAY"
    assert "of which of 2 wild types" in rejected[0].detail
    assert "'P2' is not among the wild types" in rejected[1].detail


def test_accessions_name_wild_types(tmp_path):
    file = tmp_path / "variants.txt"
    file.write_text("P12345:R10C\nsp|P12345|A_B:K2R\nsp|P12345|A_B K2C\nP12345:1_4::P99999:1_3\n")
    known = WildTypes(
        {"sp|P12345|A_B": WILDTYPE, "x:y": OTHERS["GFP"]},
        {"P12345": "sp|P12345|A_B", "P99999": "x:y"},
    )
    variants, rejected = read_variants(file, known, 1000)
    assert [(v.protein, v.notation) for v in variants] == [
        ("sp|P12345|A_B", "R10C"), ("sp|P12345|A_B", "K2R"), ("sp|P12345|A_B", "K2C"),
    ]  # fmt: skip
    assert [r.line for r in rejected] == [4]  # a part of another protein begins the fusion
    file.write_text("x:y:K3R\nP12345 1_4::P99999:1_3\n")
    variants, _ = read_variants(file, known, 1000)
    assert [v.sequence for v in variants] == ["MSRGEELFTG", "MKTAMSK"]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table(tmp_path, separator):
    rows = [["name", "HGVSp", "protein"], ["one", "p.Arg10Cys", "P1"], ["two", "GFP:K3del", "GFP"]]
    rows += [["three", "R10C", "GFP"], ["four", "P1:R10C", "GFP"]]
    text = "\n".join(separator.join(row) for row in rows)
    variants, rejected = read(tmp_path, text, WILDTYPES, "variants.csv")
    assert found(variants) == [(2, "P1", "one", "R10C"), (3, "GFP", "two", "K3del")]
    assert [(r.id, r.line) for r in rejected] == [("three", 4), ("four", 5)]


def test_a_table_of_one_column(tmp_path):
    variants, rejected = read(tmp_path, "variant\nR10C\n", name="variants.csv")
    assert found(variants) == [(2, "P1", "R10C", "R10C")]
    assert rejected == []


def test_a_table_with_quotation_marks_and_the_variants_last(tmp_path):
    text = '\ufeff"id","protein","Variant"\r\n"x","P1","R10C;K2del"\r\n'
    variants, rejected = read(tmp_path, text, WILDTYPES, "variants.csv")
    assert found(variants) == [(2, "P1", "x", "K2del;R10C")]
    assert rejected == []


VCF = """\
##fileformat=VCFv4.2
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO
17	7	rs1	C	T	.	PASS	AC=1;HGVSp=P1:p.Arg10Cys
17	9	.	C	T	.	PASS	CSQ=T|missense|P1:c.28C>T|P1:p.Lys2Arg,T|synonymous||P1:p.Lys2%3D
17	9	.	C	T	.	PASS	ANN=T|stop_gained|HIGH|x|p.Gln9*|1/2
17	9	.	C	T	.	PASS	AC=1
"""


def test_a_vcf(tmp_path):
    variants, rejected = read(tmp_path, VCF, name="variants.vcf")
    assert found(variants) == [
        (3, "P1", "rs1", "R10C"),
        (4, "P1", "K2R", "K2R"),
        (5, "P1", "Q9*", "Q9*"),
    ]
    assert [(r.line, r.reason) for r in rejected] == [(4, "notation")]


def annotated(*genes, text="p.Lys2Arg"):
    """A VCF by SnpEff, whose lines are in a transcript of each of the `genes`."""
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    return head + "".join(
        f"17\t{number}\tr{number}\tC\tT\t.\tPASS\tANN=T|missense_variant|MODERATE|{symbol}|{gene}|"
        f"transcript|{transcript}|protein_coding|1/9|c.5A>G|{text}|5/99|5/60|2/20||\n"
        for number, (symbol, gene, transcript) in enumerate(genes, start=1)
    )


TP53 = ("TP53", "ENSG00000141510", "ENST00000269305.9")
BRCA1 = ("BRCA1", "ENSG00000012048", "ENST00000357654.9")


def outcome(path, content, wildtypes):
    """Ids of variants with their wild types, and ids and details of what is rejected."""
    path.write_text(content)
    variants, rejected = read_variants(path, wildtypes, 1000)
    assert {one.reason for one in rejected} <= {"no wild type", "notation", "duplicate"}
    return [(one.id, one.protein) for one in variants], [(one.id, one.detail) for one in rejected]


@pytest.mark.parametrize(
    "wildtypes",
    [
        WildTypes({"TP53": WILDTYPE}),
        WildTypes({"ENST00000269305.4": WILDTYPE}),
        WildTypes({"P04637": WILDTYPE}, genes={"P04637": ("P04637", "TP53")}),
        WildTypes({"A": WILDTYPE}, genes={"A": ("A", "ENSG00000141510")}),
        WildTypes({"A": WILDTYPE, "B": WILDTYPE}, genes={"B": ("TP53",)}),
    ],
)
def test_annotations_of_other_genes_are_rejected(tmp_path, wildtypes):
    found, rejected = outcome(tmp_path / "v.vcf", annotated(TP53, BRCA1, TP53), wildtypes)
    assert found == [("r1", list(wildtypes.sequences)[-1])]
    assert [name for name, _ in rejected] == ["r2", "r3"]
    assert "names BRCA1, which is no wild type" in rejected[0][1]
    assert "is also in line 3" in rejected[1][1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.vcf", annotated(BRCA1)),
        ("v.vcf", annotated().rstrip("\n") + "\n1\t2\t.\tC\tT\t.\t.\tGENE=BRCA1;AA=p.Lys2Arg\n"),
        ("v.vcf", annotated() + "1\t2\t.\tC\tT\t.\t.\tAA=p.K2R;GENEINFO=BRCA1:672|NBR2:10230\n"),
        ("v.csv", "gene,mutation\nBRCA1,T3A\n"),
        ("v.csv", "transcript_id,gene_symbol,mutation\nNM_007294.4,BRCA1,T3A\n"),
    ],
)
def test_a_gene_is_compared_with_the_name_of_a_wild_type(tmp_path, name, content):
    with pytest.raises(HaloError, match=r"names BRCA1, which is no wild type \(A\); add"):
        outcome(tmp_path / name, content, WildTypes({"A": WILDTYPE}))
    found, rejected = outcome(tmp_path / name, content, WildTypes({"BRCA1": WILDTYPE}))
    assert [protein for _, protein in found] == ["BRCA1"]
    assert rejected == []


def test_fields_of_annotations_are_those_of_the_header(tmp_path):
    head = (
        '##fileformat=VCFv4.2\n##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence '
        'annotations from Ensembl VEP. Format: Allele|SYMBOL|Gene|Feature|HGVSp">\n'
    )
    head += (
        "##INFO=<ID=ANN,Number=.,Type=String,Description=\"Functional annotations: 'Allele | "
        "Gene_Name | HGVS.p' \">\n"
    )
    lines = [
        "1\t3\t.\tC\tT\t.\t.\tANN=T|TP53|p.Gln9Ter,T|BRCA1|p.Gln9Arg",
        "1\t1\t.\tC\tT\t.\t.\tCSQ=T|TP53|ENSG00000141510|ENST00000269305|p.Lys2Arg,"
        "T|WRAP53|ENSG00000141499|ENST00000316024|p.Thr3Ala",
        "1\t2\t.\tC\tT\t.\t.\tCSQ=T|BRCA1|||A:p.Arg10Cys",  # the protein is named
    ]
    known = WildTypes({"A": WILDTYPE}, genes={"A": ("A", "TP53")})
    found, rejected = outcome(tmp_path / "v.vcf", head + "\n".join(lines), known)
    assert found == [("Q9*", "A"), ("K2R", "A"), ("R10C", "A")]
    assert [detail.split(",")[0] for _, detail in rejected] == [
        "'p.Gln9Arg': names BRCA1",
        "'p.Thr3Ala': names WRAP53",
    ]


def test_transcripts_tell_isoforms_of_a_gene_apart(tmp_path):
    other = ("TP53", "ENSG00000141510", "ENST00000413465.6")
    genes = {"one": ("TP53", "ENST00000269305"), "two": ("TP53", "ENST00000413465")}
    known = WildTypes({"one": WILDTYPE, "two": WILDTYPE}, genes=genes)
    found, _ = outcome(tmp_path / "v.vcf", annotated(TP53, other), known)
    assert found == [("r1", "one"), ("r2", "two")]
    both = annotated(TP53).rstrip("\n") + "," + annotated(other).rpartition("ANN=")[2]
    found, rejected = outcome(tmp_path / "v.vcf", both, known)
    assert found == [("r1", "one"), ("r1", "two")]
    shorter = replace(known, sequences={"one": WILDTYPE[1:], "two": WILDTYPE})
    found, rejected = outcome(tmp_path / "v.vcf", both, shorter)
    assert found == [("r1", "two")]
    assert "the wild type has T (Thr) at position 2" in rejected[0][1]
    with pytest.raises(HaloError, match=r"names TP53, which is several wild types \(one, two\)"):
        outcome(tmp_path / "v.csv", "gene,variant\nTP53,K2R\n", known)
    alone = WildTypes({"one": WILDTYPE}, genes={"one": genes["one"]})
    found, rejected = outcome(tmp_path / "v.vcf", annotated(TP53, other), alone)
    assert found == [("r1", "one")]
    assert "of the transcript ENST00000413465, and one is that of ENST00000269305" in rejected[0][1]
    refseq = ("TP53", "7157", "NM_000546.6")  # cannot be compared with Ensembl's
    assert outcome(tmp_path / "v.vcf", annotated(refseq), alone) == ([("r1", "one")], [])


@pytest.mark.parametrize("name", ["P04637", "sp|P04637|P53_HUMAN", "NP_000537.3", "P53_HUMAN"])
def test_the_only_gene_is_that_of_a_wild_type_whose_gene_is_not_known(tmp_path, caplog, name):
    caplog.set_level("WARNING", "halo")
    known = WildTypes({name: WILDTYPE})
    two = annotated(TP53) + annotated(TP53, text="p.Thr3Ala")
    assert outcome(tmp_path / "v.vcf", two, known) == ([("r1", name), ("r1", name)], [])
    assert f"all variants name TP53, which is taken for the wild type {name}" in caplog.text
    with pytest.raises(HaloError, match="names TP53, which is no wild type"):
        outcome(tmp_path / "v.vcf", annotated(TP53, BRCA1), known)


def test_a_column_of_ids_that_names_proteins(tmp_path, caplog):
    caplog.set_level("WARNING", "halo")
    known = WildTypes({"A": WILDTYPE})
    text = "id,variant_id,variant\nA,one,K2R\nBRCA1,two,T3A\n"
    found, rejected = outcome(tmp_path / "v.csv", text, known)
    assert found == [("one", "A")]
    assert "the protein 'BRCA1' is not among the wild types (A)" in rejected[0][1]
    with pytest.raises(HaloError, match="'P38398' is not among the wild types"):
        outcome(tmp_path / "v.csv", "id,variant\nP38398,K2R\n", known)
    caplog.clear()
    assert outcome(tmp_path / "v.csv", "id,variant\nv1,K2R\n", known) == ([("v1", "A")], [])
    assert not caplog.records
    found, _ = outcome(tmp_path / "v.csv", "id,variant\nBRCA1,T3A\n", known)
    assert found == [("BRCA1", "A")]
    assert "ids such as 'BRCA1' are taken as names of variants of A" in caplog.text


def test_sequences_are_paired_by_name_or_with_the_nearest(tmp_path):
    mutant = WILDTYPE.replace("R", "C")
    text = (
        f">GFP_1\nMSKGEEL\n>b wildtype=P1\n{mutant}\n>c\n{WILDTYPE[3:]}\n>d\nWWWWWWWWHH\n"
        f">e\n{WILDTYPE}\n>P1-x\nMK1\n"
    )
    variants, rejected = read(tmp_path, text, WILDTYPES, "variants.fasta")
    assert [(*row, v.paired_by) for row, v in zip(found(variants), variants, strict=True)] == [
        (1, "GFP", "GFP_1", "F8_G10del", "name"),
        (3, "P1", "b", "R10C", "name"),
        (5, "P1", "c", "M1_T3del", "nearest"),
    ]
    assert [(r.line, r.reason) for r in rejected] == [
        (7, "no wild type"), (9, "no change"), (11, "sequence"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sequence", "detail"),
    [
        ("ATGAAAACCGCTTATATTGCTAAACAGCGT", "DNA or RNA: not a protein; translate it"),
        ("MKTA\u0131AKQRGSVLEDWHCF", "illegal residue letters: U+0131, first at residue 5"),
        ("MKTAYIAKQRG\u00dfVLEDWHCF", "illegal residue letters: U+00DF, first at residue 12"),
        ("MKTA-IAKQRGSVLEDWHCF", "gaps of an alignment; remove them"),
        ("*", "empty sequence"),
    ],
)
def test_a_sequence_of_no_protein_is_rejected(tmp_path, sequence, detail):
    text = f">P1_v1\n{sequence}\n>P1_v2\n{WILDTYPE.lower().replace('r', 'c')}*\n"
    variants, rejected = read(tmp_path, text, name="variants.fasta")
    assert found(variants) == [(3, "P1", "P1_v2", "R10C")]
    assert [(r.id, r.line, r.reason) for r in rejected] == [("P1_v1", 1, "sequence")]
    assert detail in rejected[0].detail


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "variants.txt", "no variant can be used (empty)"),
        ("K10C\n", "variants.txt", "line 1, 'K10C': the wild type has R"),
        ("id,variants ,x\n", "variants.csv", "no variant can be used (empty)"),
        ("##fileformat=VCFv4.2\n1\t2\t.\tC\tT\t.\t.\tAC=1\n", "v.vcf", "without protein changes"),
    ],
)
def test_a_file_without_variants(tmp_path, text, name, message):
    with pytest.raises(HaloError) as error:
        read(tmp_path, text, name=name)
    assert message in str(error.value)


def test_a_long_variant_is_rejected(tmp_path):
    file = tmp_path / "variants.txt"
    file.write_text("R10C\n*21extQQQQQ\n")
    variants, rejected = read_variants(file, WildTypes({"P1": WILDTYPE}), 22)
    assert len(variants) == 1
    assert rejected[0].reason == "too long"


# ------------------------------------------------------------------ wild types without use

FAULTY = "".join(reversed(WILDTYPE)) + "1"


def input_with_a_fault(tmp_path, text=f">A GN=AAA\n{WILDTYPE}\n>B GN=BBB\n{FAULTY}\n"):
    """The wild types of a FASTA of which the second record cannot be used."""
    file = tmp_path / "wildtypes.fasta"
    file.write_text(text)
    return wild_types(read_queries(file, None, KnownSequences(tmp_path / "none"), with_genes=True))


@pytest.mark.parametrize(
    ("name", "content", "reason", "detail"),
    [
        ("list", "R10C\nA:R10C\n", "notation", "which of 2 wild types (A, B)"),
        ("list", "B:R10C\nA:R10C\n", "wild type", "wild type B cannot be used: illegal"),
        ("list", "B R10C\nA:R10C\n", "wild type", "wild type B cannot be used"),
        ("csv", "gene,mutation\nBBB,R10C\nAAA,R10C\n", "wild type", "wild type B cannot be used"),
        ("csv", "gene,mutation\nTP53,R10C\nAAA,R10C\n", "no wild type", "names TP53"),
        ("fasta", f">B_1\n{WILDTYPE}\n>A_1\nMC{WILDTYPE[2:]}\n", "wild type", "wild type B"),
        ("fasta", f">x\n{FAULTY[:-1]}\n>A_1\nMC{WILDTYPE[2:]}\n", "wild type", "wild type B"),
    ],
)
def test_no_variant_goes_to_another_wild_type(tmp_path, name, content, reason, detail):
    file = tmp_path / f"variants.{name}"
    file.write_text(content)
    variants, rejected = read_variants(file, input_with_a_fault(tmp_path), 1000)
    assert [variant.protein for variant in variants] == ["A"]
    assert [record.reason for record in rejected] == [reason]
    assert detail in rejected[0].detail


def test_the_gene_is_not_assumed_beside_a_wild_type_without_use(tmp_path):
    text = f">P04637\n{WILDTYPE}\n>P12345\n{FAULTY}\n"
    file = tmp_path / "variants.csv"
    file.write_text("gene,mutation\nTP53,R10C\n")
    with pytest.raises(HaloError, match="names TP53, which is no wild type"):
        read_variants(file, input_with_a_fault(tmp_path, text), 1000)


def test_a_repeated_record_is_no_other_wild_type(tmp_path):
    same = input_with_a_fault(tmp_path, f">A\n{WILDTYPE}\n>A\n{WILDTYPE}\n")
    assert (same.only, same.ids) == ("A", ["A"])
    other = input_with_a_fault(tmp_path, f">A\n{WILDTYPE}\n>A\n{OTHERS['GFP']}\n")
    assert (other.only, other.ids) == (None, ["A", "A (line 3)"])
