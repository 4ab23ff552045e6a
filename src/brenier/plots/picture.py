"""A picture as a file: drawn without pyplot, so that no window opens, and encoded."""

import io
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

DPI = 150
WIDTH = 6.4


def on_axes(draw: Callable[..., Any], *, aspect: float = 0.75) -> Figure:
    """Return a figure of this height by width with what `draw(ax=...)` draws."""
    figure = Figure(figsize=(WIDTH, WIDTH * aspect), layout="constrained")
    draw(ax=figure.add_subplot())
    return figure


def in_figure(draw: Callable[..., Any], size: tuple[float, float]) -> Figure:
    """Return a figure of this size (inches) with what `draw(fig=...)` draws."""
    figure = Figure(figsize=size, layout="constrained")
    draw(fig=figure)
    return figure


def encoded(figure: Figure, form: str) -> bytes:
    """Return the bytes of a file of this form: "png", "svg" or "pdf"."""
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=DPI)
    return out.getvalue()
