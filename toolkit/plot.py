"""Plots of the scripts and benchmarks: small, the same bytes for the same figures, no display needed."""

from pathlib import Path
from typing import Any

from toolkit.cli import CommandError


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


def save(figure: Any, path: Path) -> None:
    """Write a figure as the kind of file that `path` is named, such as .svg or .png."""
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
