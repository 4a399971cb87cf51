"""Telling nucleic acids from proteins: their letters are letters of amino acids too."""

BASES = frozenset("ACGTU")
CODES = BASES | frozenset("RYSWKMBDHVN")  # IUPAC's ambiguity codes of nucleotides
SHORTEST = 10  # of ten residues of average proteins, 3 in 10 million times all are A, C, G or T
SHARE = 0.9  # of the letters that are A, C, G, T or U; silks have 0.75


def is_nucleotides(sequence: str) -> bool:
    """Whether a sequence in capitals is DNA or RNA and not a protein.

    That is so where it has at least `SHORTEST` letters, all of them `CODES` of nucleotides, at
    least `SHARE` of those that stand for one or are N are bases, and three of the four bases
    occur: repeats of two residues, as in silks, are proteins.
    """
    if len(sequence) < SHORTEST or not CODES.issuperset(sequence):
        return False
    counts = {letter: sequence.count(letter) for letter in CODES}
    known = len(sequence) - counts["N"]
    bases = sum(counts[letter] for letter in BASES)
    kinds = sum(map(bool, (counts["A"], counts["C"], counts["G"], counts["T"] + counts["U"])))
    return bases >= SHORTEST and bases >= SHARE * known and kinds >= 3
