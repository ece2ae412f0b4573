"""Plots of the scripts and benchmarks: small, the same bytes for the same figures, no display needed."""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from toolkit.cli import CommandError

WIDTH = 5.5
READABLE = {
    "font.size": 13,
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
DARK = "@media (prefers-color-scheme: dark) { svg { filter: invert(0.93) hue-rotate(180deg) } }"  # hues stay


def pyplot() -> Any:
    """Return matplotlib.pyplot, set up; raises CommandError where it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise CommandError("a plot needs matplotlib: pip install -r requirements.txt") from None
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "serverless-inference"})  # text as text
    from matplotlib import pyplot

    return pyplot


def readable() -> AbstractContextManager[None]:
    """Return a context in which plots are drawn for a phone as well: make them WIDTH inches wide."""
    context: AbstractContextManager[None] = pyplot().rc_context(READABLE)
    return context


def save(figure: Any, path: Path) -> None:
    """Write a figure as the kind of file that `path` is named, such as .svg or .png; an SVG is dark in dark mode."""
    if path.suffix != ".svg":
        figure.savefig(path, dpi=150)
        return
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    path.write_text(text.getvalue().replace("<defs>", f"<style>{DARK}</style>\n <defs>", 1), encoding="utf-8")
