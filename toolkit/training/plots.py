"""The plots of a report, as SVG that takes its colours and fonts from the page it stands in."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from toolkit.plot import pyplot
from toolkit.training.metrics import BINS, Bin

# What matplotlib draws in these colours takes the page's.
COLOURS = {"#010101": "var(--ink)", "#020202": "var(--muted)", "#030303": "var(--line)", "#040404": "var(--accent)"}
INK, MUTED, LINE, ACCENT = COLOURS
STYLE = {
    "font.size": 9.0,
    "text.parse_math": False,  # labels are other people's texts
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
LONGEST_LABEL = 14  # characters
MOST_NUMBERED = 12  # classes; the cells of a larger confusion matrix don't hold their counts
FEW = 10  # rows, whose share says little


def reliability(bins: Sequence[Bin], share: str) -> str:
    """Return a reliability plot: the `share` of answers in each bin, beside what its probability promises.

    Bins of fewer than FEW rows are pale.
    """
    places, width = [each.low for each in bins], 1 / BINS
    with _figure(3.7, 3.9) as figure:
        axes, counts = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        for each in bins:
            alpha = 1.0 if each.rows >= FEW else 0.35
            axes.bar(each.low, each.share, width * 0.9, align="edge", color=ACCENT, alpha=alpha)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel=share, yticks=np.linspace(0, 1, 6))
        counts.bar(places, [each.rows for each in bins], width * 0.9, align="edge", color=MUTED)
        counts.set(xlabel="probability that the model gave", ylabel="rows", xticks=np.linspace(0, 1, 6))
        counts.locator_params(axis="y", nbins=3, integer=True)
        return _svg(figure)


def confusion(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Return a confusion matrix: the share of each class's rows (a line) that was put in each class (a column)."""
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(2.2, 0.3 * len(names)) + 1.3
    labels = [_short(name) for name in names]
    ends = (-0.5, len(names) - 0.5)
    with _figure(size, size) as figure:
        axes = figure.subplots()
        axes.bar((len(names) - 1) / 2, len(names), len(names), -0.5, color=ACCENT, alpha=0.05)
        for row, column in zip(*np.nonzero(shares), strict=True):
            axes.bar(column, 0.96, 0.96, row - 0.48, color=ACCENT, alpha=0.06 + 0.54 * shares[row, column])
        if len(names) <= MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=INK if count else MUTED)
        axes.set(xlim=ends, ylim=ends[::-1], aspect="equal", xlabel="predicted", ylabel="class")
        axes.set_xticks(range(len(names)), labels, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return _svg(figure)


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_LABEL else f"{line[: LONGEST_LABEL - 1]}…"


@contextlib.contextmanager
def _figure(width: float, height: float) -> Iterator[Any]:
    """Make a figure of this size in inches, in STYLE."""
    with pyplot().rc_context(STYLE), warnings.catch_warnings():
        # Only the page knows the font in the end.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = pyplot().figure(figsize=(width, height), layout="constrained")
        try:
            yield figure
        finally:
            pyplot().close(figure)


def _svg(figure: Any) -> str:
    """Return a figure as an SVG element for an HTML page, with the page's colours."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' id="(?:figure|axes|patch|text|line2d|matplotlib\.axis|[xy]tick)_\d+"', "", svg)  # twice on a page
    for drawn, colour in COLOURS.items():
        svg = svg.replace(drawn, colour)
    return svg
