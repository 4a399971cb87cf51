"""Sorting signals, drawn at random around what biology knows of them.

Every function takes a `random.Random` and returns a `Segment`. Segments name the backbone
state of each residue by a letter: ``H`` helix, ``E`` strand and ``L`` loop are folded and
confident; ``h`` (helix-like) and ``D`` (coil) are mobile, and a model of them unsure.
"""

from dataclasses import dataclass
from random import Random

CONFIDENT = "HEL"
HYDROPHOBIC = "LLLLLAAVVFIIW"
LINKER = "SGNDTQEPK"
SMALL_POLAR = "SGTNQP"
FLANK = "SAEQNTDALM"


@dataclass(frozen=True)
class Segment:
    """A stretch of a chain.

    Attributes
    ----------
    residues, states
        One letter a residue: the amino acid, and its backbone state.
    name
        The signal that the stretch is, or ``""``.
    """

    residues: str
    states: str
    name: str = ""

    def __len__(self) -> int:
        return len(self.residues)


def draw(rng: Random, urn: str, length: int) -> str:
    """Draw `length` letters with replacement from `urn`.

    A letter is drawn in proportion to how often it is in `urn`.
    """
    return "".join(rng.choice(urn) for _ in range(length))


def uniform(residues: str, state: str, name: str = "") -> Segment:
    """A segment whose residues are all in one state."""
    return Segment(residues, state * len(residues), name)


def linker(rng: Random, low: int, high: int, urn: str = LINKER) -> Segment:
    """A mobile linker of `low` to `high` residues."""
    return uniform(draw(rng, urn, rng.randint(low, high)), "D")


def start(rng: Random) -> Segment:
    """The first residues of a protein that carries no signal there."""
    return uniform("M" + draw(rng, "DEKQSGNTA", rng.randint(3, 6)), "D")


def signal_peptide(rng: Random) -> Segment:
    """Basic n-region, hydrophobic h-region, and a cleavage site after A-X-A."""
    basic = "M" + draw(rng, "KR", 2) + draw(rng, "SNTQ", rng.randint(0, 2))
    core = draw(rng, HYDROPHOBIC, rng.randint(11, 14))
    site = draw(rng, SMALL_POLAR, rng.randint(2, 3)) + "A" + draw(rng, "SLQHF", 1) + "A"
    states = "D" * len(basic) + "h" * len(core) + "D" * len(site)
    return Segment(basic + core + site, states, "signal peptide")


def presequence(rng: Random) -> Segment:
    """Mitochondrial presequence: an amphipathic helix, rich in arginine, without acids."""
    urns = {"h": "LLLAVFI", "r": "RRRK", "s": "SATQ"}
    pattern = ("hrshhrs" * 4)[: rng.randint(19, 25)]
    helix = "ML" + "".join(rng.choice(urns[letter]) for letter in pattern)
    site = "R" + draw(rng, "AGSC", 1) + draw(rng, "FYL", 1) + "S"
    return Segment(helix + site, "h" * len(helix) + "D" * 4, "presequence")


def transit_peptide(rng: Random) -> Segment:
    """Chloroplast transit peptide: long, unfolded, rich in serine and threonine, no acids."""
    body = draw(rng, "SSSSSSTTTTAAAPPVLNRQ", rng.randint(30, 40))
    site = draw(rng, "IV", 1) + draw(rng, "RQK", 1) + draw(rng, "AC", 1) + "A"
    return uniform("MA" + body + site, "D", "transit peptide")


def nuclear_localization(rng: Random) -> list[Segment]:
    """A basic patch in a mobile loop, where importin alpha reads it."""
    return _basic_patch(rng, "D", "nuclear localization signal")


def basic_helix(rng: Random) -> list[Segment]:
    """A decoy: the same residues in a confident helix. The sequence alone does not tell."""
    return _basic_patch(rng, "H", "decoy: basic helix")


def _basic_patch(rng: Random, state: str, name: str) -> list[Segment]:
    """Six or seven basic residues, with two more ten residues before them (bipartite) or not."""
    patch = "K" + draw(rng, "KKKR", 1) + draw(rng, "KRRQ", 1) + draw(rng, "KKR", rng.randint(3, 4))
    if rng.random() < 0.4:
        patch = draw(rng, "KR", 2) + draw(rng, FLANK, rng.randint(9, 11)) + patch
    return [
        uniform(draw(rng, FLANK, 6), state),
        uniform(patch, state, name),
        uniform(draw(rng, FLANK, 6), state),
        uniform(draw(rng, LINKER, 4), "L"),
    ]


def inner_peroxisomal(rng: Random) -> list[Segment]:
    """A decoy: the peroxisomal tripeptide in the middle of a chain."""
    tripeptide = uniform(rng.choice(["SKL", "SRL", "ARL"]), "L", "decoy: inner SKL")
    return [uniform(draw(rng, LINKER, 2), "L"), tripeptide, uniform(draw(rng, LINKER, 2), "L")]


def nuclear_export(rng: Random) -> Segment:
    """Leucines at the spacing that exportin 1 reads, behind the first residues."""
    spacer = "EEDDSQTK"
    motif = "L".join(["", *(draw(rng, spacer, length) for length in (3, 2, 1)), ""])
    head = "M" + draw(rng, "EDSQ", rng.randint(2, 4))
    residues = head + motif + draw(rng, "EDSG", 4)
    states = "D" * len(head) + "h" * len(motif) + "D" * 4
    return Segment(residues, states, "nuclear export signal")


def transmembrane_helix(rng: Random) -> list[Segment]:
    """A helix of 21 hydrophobic residues, basic on the inner side, and a loop behind it."""
    return [
        uniform(draw(rng, "LLLLVVVIIIFFAAGWT", 21), "H", "transmembrane helix"),
        uniform(draw(rng, "KRKS", 3), "H"),
        uniform(draw(rng, "SNDGTQK", rng.randint(4, 6)), "L"),
    ]


def peroxisomal_target(rng: Random) -> list[Segment]:
    """PTS1: the last three residues are SKL or like it."""
    tripeptide = rng.choice(["SKL", "SKL", "SKL", "SRL", "ARL", "AKL", "SKM"])
    lead = uniform(draw(rng, "SGNTPQ", 3) + draw(rng, "KRHP", 2), "D")
    return [lead, uniform(tripeptide, "D", "peroxisomal targeting signal 1")]


def er_retention(rng: Random) -> list[Segment]:
    """The last four residues are KDEL or HDEL, behind an acidic tail."""
    tail = rng.choice(["KDEL", "KDEL", "HDEL"])
    return [uniform(draw(rng, "EEEDDDGS", 9), "D"), uniform(tail, "D", "ER retention signal")]


def dilysine(rng: Random) -> list[Segment]:
    """K-K-X-X at the end of a membrane protein's tail keeps it in the ER."""
    tail = draw(rng, "FYQS", 4), "KK" + draw(rng, "NT", 2)
    return [uniform(tail[0], "D"), uniform(tail[1], "D", "dilysine signal")]


def gpi_anchor(rng: Random) -> list[Segment]:
    """Small residues, a short spacer and a hydrophobic end: exchanged for a lipid anchor."""
    site = draw(rng, "SGND", 3) + draw(rng, "SGTPA", 6)
    end = draw(rng, "LLLLAVVIF", 14)
    return [Segment(site + end, "D" * len(site) + "h" * len(end), "GPI anchor signal")]
