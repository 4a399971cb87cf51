"""Style of figures: readable in print, in grey, on a phone, and with colour blindness."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from halo.files import atomic_path

# Okabe and Ito, Color Universal Design (2008), with a grey in place of yellow; in an order in
# which neighbours differ in grey, too. There is a marker more than colours, so that what has a
# colour again has another marker.
COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#8C8C8C",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
INK = "#222222"
QUIET = "#6b6b6b"
WIDTH = 5.2  # inches; on the screen of a phone the letters are then still readable

SETTINGS: dict[Any, Any] = {  # matplotlib has a type for each name
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "halo",
}


def style() -> AbstractContextManager[None]:
    """Matplotlib's settings for the length of a ``with`` block."""
    return mpl.rc_context(SETTINGS)


def new_figure(height: float) -> Figure:
    """An empty figure of `WIDTH` and `height` inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def plain(text: str) -> str:
    """`text` for a figure; matplotlib takes what is between two dollar signs for a formula."""
    return text.replace("$", r"\$")


def save(figure: Figure, file: Path) -> None:
    """Write an SVG; equal figures give equal bytes."""
    with atomic_path(file) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def cycle(values: tuple, index: int) -> object:
    """The n-th of `values`, from the start again after the last."""
    return values[index % len(values)]
