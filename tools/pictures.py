"""The pictures of the documentation: docs/images/pipeline.svg and network.svg.

python tools/pictures.py        writes them (`make pictures`)

Each is one SVG with its own background and colours for light and for dark mode, so that it is
readable wherever it is shown. Nothing in it is loaded from elsewhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).resolve().parent.parent / "docs/images"
LINE = 17  # from one line of text in a box to the next
# Fill and border of each kind of box, in light and in dark mode.
KINDS = {
    "data": ("#eef1f4", "#9aa5b1", "#232c36", "#66717d"),
    "step": ("#e3f2f1", "#2a8c82", "#12332f", "#3fa396"),
    "stored": ("#fdf0dc", "#c98a1b", "#3a2b10", "#d39a35"),
    "model": ("#ece8f8", "#7a63c4", "#2a2344", "#9a86dd"),
    "frame": ("none", "#9aa5b1", "none", "#66717d"),
}
INK = {
    "paper": ("#ffffff", "#12181f"),
    "ink": ("#1d2630", "#e8edf2"),
    "quiet": ("#4d5966", "#aab5c0"),
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Box:
    """A rectangle with a title and lines below it; lengths in units of the picture."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str
    lines: Sequence[str] = ()
    at_top: bool = False  # where the text stands, not in the middle

    @property
    def left(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height

    def svg(self) -> str:
        """The rectangle and its text."""
        middle = self.x + self.width / 2
        rows = len(self.lines) + 1
        first = self.y + (self.height - rows * LINE) / 2 + 12.5
        if self.at_top:
            first = self.y + 23
        text = [f'<text class="title" x="{middle:g}" y="{first:g}">{escape(self.title)}</text>']
        text += [
            f'<text x="{middle:g}" y="{first + LINE * row:g}">{escape(line)}</text>'
            for row, line in enumerate(self.lines, 1)
        ]
        return (
            f'<g><rect class="{self.kind}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}"'
            f' height="{self.height:g}" rx="9"/>{"".join(text)}</g>'
        )


@dataclass
class Picture:
    """An SVG under construction."""

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def add(self, *boxes: Box) -> None:
        """Draw boxes."""
        self.parts += [box.svg() for box in boxes]

    def arrow(self, *points: tuple[float, float]) -> None:
        """An arrow along straight lines through `points`."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path class="arrow" d="M{path}"/>')

    def note(self, x: float, y: float, text: str, anchor: str = "middle") -> None:
        """A line of small text."""
        self.parts.append(f'<text class="note {anchor}" x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def residues(self, places: Sequence[tuple[float, float]], chosen: int) -> None:
        """Residues as dots, the chain between them, and the chosen one in full colour."""
        chain = " L".join(f"{x:g} {y:g}" for x, y in places)
        self.parts.append(f'<path class="chain" d="M{chain}"/>')
        for place, (x, y) in enumerate(places):
            kind = "chosen" if place == chosen else "residue"
            self.parts.append(f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="5.5"/>')

    def edges(self, paths: Iterable[str]) -> None:
        """Edges of the graph, as paths."""
        self.parts += [f'<path class="edge" d="{path}"/>' for path in paths]

    def svg(self) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}"'
            f' width="{self.width}" height="{self.height}" role="img" font-family="{FONT}">'
        )
        marker = (
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path class="head" d="M0 0L10 5L0 10z"/></marker>'
            "</defs>"
        )
        paper = f'<rect class="paper" width="{self.width}" height="{self.height}" rx="12"/>'
        title = f"<title>{escape(self.title)}</title>"
        return "\n".join([head, title, style(), marker, paper, *self.parts, "</svg>\n"])


def style() -> str:
    """The style sheet with the colours of both modes."""
    fixed = (
        "text{font-size:13px;text-anchor:middle}.title{font-size:15px;font-weight:600}"
        "text.note{font-size:12.5px}text.start{text-anchor:start}"
        "rect{stroke-width:1.4}.frame{stroke-dasharray:5 4}.paper{stroke:none}"
        ".arrow,.edge,.chain{fill:none;stroke-width:1.6}.arrow{marker-end:url(#head)}"
        ".chain{stroke-width:2.2}"
    )
    dark = f"@media (prefers-color-scheme:dark){{{colours(1)}}}"
    return f"<style>{fixed}{colours(0)}{dark}</style>"


def colours(mode: int) -> str:
    """The colours of light (0) or dark (1) mode."""
    ink, quiet = INK["ink"][mode], INK["quiet"][mode]
    rules = [f".paper{{fill:{INK['paper'][mode]}}}", f"text{{fill:{ink}}}"]
    rules += [
        f"text.note{{fill:{quiet}}}",
        f".arrow,.chain{{stroke:{quiet}}}",
        f".head{{fill:{quiet}}}",
    ]
    for kind, looks in KINDS.items():
        fill, border = looks[2 * mode : 2 * mode + 2]
        rules.append(f".{kind}{{fill:{fill};stroke:{border}}}")
    border = KINDS["step"][2 * mode + 1]
    rules.append(f".residue{{fill:{INK['paper'][mode]};stroke:{quiet};stroke-width:1.6}}")
    rules.append(f".chosen{{fill:{border}}}.edge{{stroke:{border}}}")
    return "".join(rules)


def pipeline() -> str:
    """The stages of a run, from labelled proteins to the report, and prediction."""
    picture = Picture(
        "The pipeline: labelled proteins are split without homology leaks; structures, graphs and "
        "embeddings are computed once for each sequence; networks and baselines are trained, "
        "evaluated and bundled to predict new proteins.",
        1060,
        424,
    )
    columns = [16 + 150 * column for column in range(7)]
    rows = [20, 122, 224, 326]

    def box(column: int, row: int, kind: str, title: str, *lines: str) -> Box:
        return Box(columns[column], rows[row], 128, 78, kind, title, lines)

    proteins = box(0, 1, "data", "Proteins", "table, FASTA,", "UniProt; labels")
    ingest = box(1, 1, "step", "Ingest", "check, list what", "is rejected")
    structures = box(2, 0, "stored", "Structures", "AlphaFold DB,", "own files")
    graphs = box(3, 0, "stored", "Graphs", "contacts, features", "of residues")
    split = box(2, 1, "step", "Split", "by homology,", "audited")
    finetune = box(2, 2, "step", "Fine-tune", "ESM-2, once", "per fold")
    embeddings = box(3, 2, "stored", "Embeddings", "a vector", "per residue")
    train = box(4, 1, "model", "Train", "network", "and baselines")
    evaluate = box(5, 1, "step", "Evaluate", "metrics with 95 %", "intervals")
    report = box(6, 1, "data", "Report", "one HTML page,", "tables")
    bundle = box(4, 2, "model", "Bundle", "networks,", "calibration")
    predict = box(5, 2, "step", "Predict", "also without", "structures")
    predictions = box(6, 2, "data", "Predictions", "probabilities,", "residues, sets")
    new = box(5, 3, "data", "New proteins", "FASTA, table,", "accessions")
    picture.add(
        proteins, ingest, structures, graphs, split, finetune, embeddings, train, evaluate,
        report, bundle, predict, predictions, new,
    )  # fmt: skip
    for row in ((proteins, ingest, split), (structures, graphs), (finetune, embeddings)):
        for first, second in pairwise(row):
            picture.arrow(first.right, second.left)
    for row in ((split, train, evaluate, report), (bundle, predict, predictions)):
        for first, second in pairwise(row):
            picture.arrow(first.right, second.left)
    picture.arrow(ingest.top, (ingest.top[0], structures.left[1]), structures.left)
    picture.arrow(split.bottom, finetune.top)
    picture.arrow(train.bottom, bundle.top)
    picture.arrow(new.top, predict.bottom)
    above, below = train.y + 24, train.y + train.height - 24
    turn = train.x - 11
    picture.arrow(graphs.right, (turn, graphs.right[1]), (turn, above), (train.x, above))
    picture.arrow(embeddings.right, (turn, embeddings.right[1]), (turn, below), (train.x, below))
    picture.note((split.right[0] + turn) / 2, split.right[1] - 8, "train, val, cal, test")
    legend = Box(columns[0], rows[3] + 28, 22, 22, "stored", "")
    picture.parts.append(
        f'<rect class="stored" x="{legend.x:g}" y="{legend.y:g}" width="22" height="22" rx="5"/>'
    )
    picture.note(
        legend.x + 32, legend.y + 9, "kept in the store under the checksum of the", "start"
    )
    picture.note(
        legend.x + 32, legend.y + 25, "sequence: computed once, shared by all runs", "start"
    )
    return picture.svg()


def network() -> str:
    """The graph attention network, from the features of a residue to labels."""
    picture = Picture(
        "The network: embedding, structure and biochemistry of each residue are projected, "
        "normalized and summed with learned weights; blocks of graph attention along the sequence "
        "and across contacts follow; pooling and a hidden layer give a logit for each label.",
        1060,
        404,
    )
    inputs = [
        Box(16, 34, 180, 88, "stored", "Embedding", ("ESM-2, fine-tuned", "or as published")),
        Box(
            16, 150, 180, 88, "stored", "Structure", ("pLDDT, torsion angles,", "burial, contacts")
        ),
        Box(
            16,
            266,
            180,
            88,
            "stored",
            "Biochemistry",
            ("amino-acid scales,", "distance to the ends"),
        ),
    ]
    fusion = Box(
        262,
        141,
        130,
        106,
        "model",
        "Weighted sum",
        ("softmax of global", "and per-protein", "weights"),
    )
    frame = Box(424, 14, 366, 344, "frame", "Attention block, repeated", at_top=True)
    sequence = Box(
        440, 48, 184, 140, "model", "Along the sequence", ("GATv2, half of the heads",), at_top=True
    )
    contacts = Box(
        440, 202, 184, 140, "model", "Across contacts", ("GATv2, Cα within 10 Å",), at_top=True
    )
    feed = Box(652, 150, 122, 88, "model", "Feed-forward", ("two layers,", "residual"))
    pooling = Box(
        814, 141, 116, 106, "model", "Pooling", ("attention heads", "and maximum", "over residues")
    )
    head = Box(950, 141, 96, 106, "model", "Head", ("hidden layer,", "a logit", "per label"))
    labels = Box(950, 280, 96, 78, "data", "Labels", ("learned", "thresholds"))
    picture.add(frame, *inputs, fusion, sequence, contacts, feed, pooling, head, labels)
    for box in inputs:
        y = fusion.left[1] + (box.left[1] - fusion.left[1]) * 0.25
        turn = 228
        picture.arrow(box.right, (turn, box.right[1]), (turn, y), (fusion.x, y))
    for box in (sequence, contacts):
        x, middle = 638, (box.y + box.height / 2)
        target = feed.y + (30 if box is sequence else feed.height - 30)
        picture.arrow((box.x + box.width, middle), (x, middle), (x, target), (feed.x, target))
        y = fusion.y + (30 if box is sequence else fusion.height - 30)
        picture.arrow((fusion.x + fusion.width, y), (408, y), (408, middle), (box.x, middle))
    picture.arrow(feed.right, pooling.left)
    picture.arrow(pooling.right, head.left)
    picture.arrow(head.bottom, labels.top)
    line = [(sequence.x + 29 + 21 * place, sequence.y + 112) for place in range(7)]
    picture.edges(
        f"M{line[3][0]:g} {line[3][1] - 6:g}Q{(line[3][0] + x) / 2:g} {y - 16 * abs(place - 3):g}"
        f" {x:g} {y - 6:g}"
        for place, (x, y) in enumerate(line)
        if place != 3
    )
    picture.residues(line, 3)
    left, top = contacts.x + 48, contacts.y + 68
    fold = [(0, 0), (24, -8), (48, 0), (72, 8), (88, 28), (66, 38), (42, 30), (18, 38), (0, 56)]
    fold = [(left + x, top + y) for x, y in fold]
    picture.edges(
        f"M{fold[6][0]:g} {fold[6][1]:g}L{fold[other][0]:g} {fold[other][1]:g}"
        for other in (0, 1, 2, 3)
    )
    picture.residues(fold, 6)
    note = "Inputs: linear projection, then layer norm without scale; a missing one has weight 0."
    picture.note(16, 386, note, "start")
    return picture.svg()


PICTURES = {"pipeline.svg": pipeline, "network.svg": network}


def main() -> None:
    """Write all pictures."""
    for name, picture in PICTURES.items():
        (FOLDER / name).write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
