"""Figures as SVG within a page: texts stay texts, and colours follow the page's light or dark.

Matplotlib writes colours as numbers. What is drawn for a page has colours that stand for those of
the page, and each is replaced by the name of its property there.
"""

import io
import re
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Ink of texts and what is fainter; rows, draws of the model, and the band of chance.
INK, FAINT, ROWS, DRAWS, BAND = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
PROPERTIES: Mapping[str, str] = MappingProxyType(
    {INK: "--ink", FAINT: "--faint", ROWS: "--rows", DRAWS: "--draws", BAND: "--band"}
)
STYLE: Mapping[Any, Any] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "font.size": 9,
        "text.color": INK,
        "text.parse_math": False,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.formatter.use_mathtext": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "legend.fontsize": 8,
    }
)
# Inches: two small figures stand side by side on a page of text, and one alone on a telephone.
SMALL = (3.6, 2.6)


def page_style(**more: Any) -> Any:
    """Return the context in which figures of a page are drawn."""
    settings: dict[Any, Any] = {**STYLE, **more}
    return mpl.rc_context(settings)


def new_figure(
    size: tuple[float, float] = SMALL, rows: int = 1, columns: int = 1
) -> tuple[Figure, Any]:
    """Return a figure and its axes; to be called in `page_style()`."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)


def small_figure() -> tuple[Figure, Axes]:
    """Return a small figure and its axes."""
    return new_figure()


def svg_of(figure: Figure, name: str, alternative: str) -> str:
    """Return a figure as an SVG element.

    Parameters
    ----------
    figure : Figure
        Drawn in `page_style()`.
    name : str
        Different for every figure of a page: what is named within begins so.
    alternative : str
        What it shows, for those who do not see it.
    """
    buffer = io.StringIO()
    with page_style(**{"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    width = figure.get_figwidth()
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    # What is named is looked up in the whole page.
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for number, known in PROPERTIES.items():
        text = text.replace(number, f"var({known})")
    view = re.search(r'viewBox="[^"]*"', text)
    start = text.index(">") + 1
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{view[0] if view else ""} role="img" style="width: {width:.2f}in" '
        f'aria-label="{escape(alternative)}"><title>{escape(alternative)}</title>'
    )
    return head + text[start:]
