"""Families of proteins, and the sorting signals that decide where each member goes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import signals
from signals import Segment

LABELS = (
    "Cytoplasm",
    "Nucleus",
    "Extracellular",
    "Cell membrane",
    "Mitochondrion",
    "Plastid",
    "Endoplasmic reticulum",
    "Peroxisome",
)

# Routes through the cell: where each ends, and how many of a round of 100 proteins take it.
ROUTES = {
    "cytosolic": (("Cytoplasm",), 11),
    "nuclear": (("Nucleus",), 11),
    "shuttling": (("Cytoplasm", "Nucleus"), 8),
    "secreted": (("Extracellular",), 10),
    "anchored": (("Extracellular", "Cell membrane"), 7),
    "membrane": (("Cell membrane",), 9),
    "reticular": (("Endoplasmic reticulum",), 9),
    "reticular membrane": (("Cell membrane", "Endoplasmic reticulum"), 5),
    "mitochondrial": (("Mitochondrion",), 7),
    "dual": (("Mitochondrion", "Peroxisome"), 5),
    "plastidic": (("Plastid",), 10),
    "peroxisomal": (("Peroxisome",), 8),
}

# Composition of a folded domain, in parts, by the place of a residue in its structure.
COMPOSITION = {
    "H in": {"L": 30, "A": 22, "I": 12, "V": 10, "M": 8, "F": 9, "W": 2, "Y": 4, "C": 3},
    "H out": {"E": 20, "K": 13, "A": 15, "Q": 12, "R": 9, "S": 9, "D": 9, "N": 6, "T": 5, "L": 2},
    "E in": {"V": 28, "I": 22, "F": 12, "Y": 10, "L": 12, "W": 4, "C": 4, "A": 4, "T": 4},
    "E out": {"T": 20, "S": 14, "K": 11, "R": 9, "E": 12, "Q": 10, "N": 7, "Y": 7, "V": 6, "H": 4},
    "L": {"G": 20, "N": 14, "D": 14, "P": 14, "S": 14, "T": 8, "K": 5, "E": 6, "Q": 4, "H": 3},
}


@dataclass(frozen=True)
class Position:
    """A position of a family's domain: its backbone state and its residues with weights."""

    state: str
    residues: str
    weights: tuple[float, ...]

    def draw(self, rng: Random, without: str = "") -> str:
        """A residue other than `without`."""
        while (residue := rng.choices(self.residues, self.weights)[0]) == without:
            pass
        return residue


@dataclass(frozen=True)
class Protein:
    """A simulated protein; `route` is a key of `ROUTES`, `segments` its chain in order."""

    id: str
    accession: str
    kingdom: str
    family: int
    route: str
    segments: tuple[Segment, ...]
    labels: tuple[str, ...]

    @property
    def sequence(self) -> str:
        """The amino acids."""
        return "".join(segment.residues for segment in self.segments)

    @property
    def states(self) -> str:
        """The backbone states, one letter a residue."""
        return "".join(segment.states for segment in self.segments)

    def signals(self) -> list[tuple[str, int, int]]:
        """Name, first and last residue (counted from 1) of each signal and decoy."""
        signals, end = [], 0
        for segment in self.segments:
            begin, end = end + 1, end + len(segment)
            if segment.name:
                signals.append((segment.name, begin, end))
        return signals


def simulate_proteins(number: int, rng: Random) -> list[Protein]:
    """`number` proteins (60 or more) in families of two to six.

    Half of the members leave the route of the relative before them, so that kinship says
    less than the signals do. One protein in 60 is an isoform of an earlier one. The last
    repeats an earlier sequence; of the two labels that belong to it each record has one.
    """
    isoforms = number // 60
    canonical = number - isoforms - 1
    proteins: list[Protein] = []
    routes = _routes(rng)
    family = 0
    while len(proteins) < canonical:
        family += 1
        domain, ancestor = _ancestor(rng)
        size = rng.choice((2, 2, 3, 3, 4, 4, 5, 6))
        route = next(routes)
        for _ in range(min(size, canonical - len(proteins))):
            member = _diverged(domain, ancestor, rng.uniform(0.5, 0.9), rng)
            proteins.append(_protein(len(proteins) + 1, family, route, member, rng))
            route = route if rng.random() < 0.5 else next(routes)
    sorted_by_head = [p for p in proteins if p.route in {"mitochondrial", "dual", "plastidic"}]
    for parent in rng.sample(sorted_by_head, isoforms):
        proteins.append(_isoform(len(proteins) + 1, parent, rng))
    first = next(index for index, p in enumerate(proteins) if len(p.labels) == 2)
    labels = proteins[first].labels
    again = replace(proteins[first], labels=labels[1:], **_names(len(proteins) + 1))
    proteins[first] = replace(proteins[first], labels=labels[:1])
    return [*proteins, again]


def _names(number: int) -> dict[str, str]:
    # UniProt's accessions of ten characters all begin with A0A: no real protein has these.
    return {"id": f"DEMO{number:04d}", "accession": f"Z9DEM0X{number:03d}"}


def _routes(rng: Random) -> Iterator[str]:
    """Routes without end, in shuffled rounds."""
    while True:
        deck = [route for route, (_, number) in ROUTES.items() for _ in range(number)]
        rng.shuffle(deck)
        yield from deck


def _ancestor(rng: Random) -> tuple[list[list[Position]], list[str]]:
    """The structural elements of a new family's domain, and its ancestral sequence."""
    tilt = {letter: math.exp(rng.gauss(0, 0.6)) for letter in "ACDEFGHIKLMNPQRSTVWY"}
    helical = rng.choice([0.15, 0.5, 0.85])
    elements: list[list[Position]] = []
    size = rng.triangular(30, 190, 40)
    while sum(map(len, elements)) < size:
        kind = "H" if rng.random() < helical else "E"
        length = rng.randint(10, 17) if kind == "H" else rng.randint(5, 8)
        face = rng.randint(0, 17)
        places = [_place(kind, face + index) for index in range(length)]
        elements.append([_position(kind, place, tilt) for place in places])
        elements.append([_position("L", "L", tilt) for _ in range(rng.randint(3, 6))])
    return elements, ["".join(p.draw(rng) for p in element) for element in elements]


def _place(kind: str, index: int) -> str:
    """Whether a residue faces the core: a helix turns by 100 degrees a residue, a strand by 180."""
    inside = 100 * index % 360 < 140 if kind == "H" else index % 2 == 0
    return f"{kind} in" if inside else f"{kind} out"


def _position(state: str, place: str, tilt: dict[str, float]) -> Position:
    parts = COMPOSITION[place]
    return Position(state, "".join(parts), tuple(parts[r] * tilt[r] for r in parts))


def _diverged(
    domain: list[list[Position]], ancestor: list[str], identity: float, rng: Random
) -> list[Segment]:
    """A descendant that keeps each residue of the ancestor with probability `identity`."""
    segments = []
    for element, old in zip(domain, ancestor, strict=True):
        residues = "".join(
            residue if rng.random() < identity else position.draw(rng, without=residue)
            for position, residue in zip(element, old, strict=True)
        )
        segments.append(Segment(residues, "".join(position.state for position in element)))
    return segments


def _protein(number: int, family: int, route: str, domain: list[Segment], rng: Random) -> Protein:
    segments = _sorted_chain(route, domain, rng)
    kingdoms = ["Metazoa", "Metazoa", "Fungi", "Viridiplantae"]
    kingdom = "Viridiplantae" if route == "plastidic" else rng.choice(kingdoms)
    return Protein(
        **_names(number),
        kingdom=kingdom,
        family=family,
        route=route,
        segments=tuple(segments),
        labels=ROUTES[route][0],
    )


def _sorted_chain(route: str, domain: list[Segment], rng: Random) -> list[Segment]:
    """The domain with the signals of `route` around and inside it, and now and then a decoy."""
    secretory = {"secreted", "anchored", "reticular"}
    if route in secretory or (route == "membrane" and rng.random() < 0.5):
        head = [signals.signal_peptide(rng), signals.linker(rng, 2, 4)]
    elif route in {"mitochondrial", "dual"}:
        head = [signals.presequence(rng), signals.linker(rng, 2, 4)]
    elif route == "plastidic":
        head = [signals.transit_peptide(rng), signals.linker(rng, 2, 4)]
    elif route == "shuttling":
        head = [signals.nuclear_export(rng)]
    else:
        head = [signals.start(rng)]

    body = list(domain)
    if route in {"nuclear", "shuttling"}:
        _insert(body, signals.nuclear_localization(rng), rng)
    elif rng.random() < 0.2:
        _insert(body, signals.basic_helix(rng), rng)
    if rng.random() < 0.1:
        _insert(body, signals.inner_peroxisomal(rng), rng)
    if route in {"membrane", "reticular membrane"}:
        for _ in range(rng.randint(1, 3)):
            body += signals.transmembrane_helix(rng)

    tails = {
        "anchored": signals.gpi_anchor,
        "reticular": signals.er_retention,
        "reticular membrane": signals.dilysine,
        "dual": signals.peroxisomal_target,
        "peroxisomal": signals.peroxisomal_target,
    }
    tail = tails[route](rng) if route in tails else [signals.linker(rng, 2, 5)]
    return head + body + tail


def _insert(body: list[Segment], segments: list[Segment], rng: Random) -> None:
    """Put `segments` behind a loop inside the domain, not at its end."""
    place = 2 * rng.randint(1, max(1, len(body) // 2 - 1))
    body[place:place] = segments


def _isoform(number: int, parent: Protein, rng: Random) -> Protein:
    """An isoform that starts behind the targeting peptide of `parent`."""
    stays = tuple(label for label in parent.labels if label == "Peroxisome")
    return replace(
        parent,
        id=_names(number)["id"],
        accession=f"{parent.accession}-2",
        segments=(signals.start(rng), *parent.segments[1:]),
        labels=stays or ("Cytoplasm",),
    )
