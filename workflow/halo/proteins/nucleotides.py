"""Distinguish nucleic acids from proteins, although their letters are also amino acids."""

BASES = frozenset("ACGTU")
CODES = BASES | frozenset("RYSWKMBDHVN")  # IUPAC's ambiguity codes of nucleotides
SHORTEST = 10  # ten random residues are all A, C, G or T with a probability of 3 in 10 million
SHARE = 0.9  # smallest share of A, C, G, T and U; silks have 0.75


def is_nucleotides(sequence: str) -> bool:
    """Whether a sequence in upper case is DNA or RNA and not a protein.

    This is assumed if all letters are `CODES` of nucleotides, at least `SHORTEST` of them are
    bases, bases are at least `SHARE` of the letters other than N, and three of the four bases
    occur. Repeats of two residues, as in silks, are proteins.
    """
    if len(sequence) < SHORTEST or not CODES.issuperset(sequence):
        return False
    counts = {letter: sequence.count(letter) for letter in CODES}
    known = len(sequence) - counts["N"]
    bases = sum(counts[letter] for letter in BASES)
    different = sum(map(bool, (counts["A"], counts["C"], counts["G"], counts["T"] + counts["U"])))
    return bases >= SHORTEST and bases >= SHARE * known and different >= 3
