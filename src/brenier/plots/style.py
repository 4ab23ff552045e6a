"""Colours, points, curves and legends that the pictures share.

The colours are those of Okabe and Ito [1]_, by their names, and cividis: colour-blind people can
tell them apart.

References
----------
.. [1] M. Okabe, K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
PURPLE, SKY, VERMILLION = "#CC79A7", "#56B4E9", "#D55E00"
OKABE_ITO = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
COLORMAP = colormaps["cividis"]
# Line styles of regions, the smallest region first.
HDR_STYLES = ("-", "--", ":", "-.")
# Points of a scatter beyond this many would only cover each other.
MOST_POINTS = 4000
POINTS_PER_CURVE = 241


def new_axes(*, aspect: float = 0.75) -> Axes:
    """Return the axes of a new figure of this height by width."""
    return plt.subplots(figsize=(6.4, 6.4 * aspect), layout="constrained")[1]


def thinned(rows: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "M n"]:
    """Return at most `MOST_POINTS` rows, evenly chosen."""
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(int)
    return rows[kept]


def scatter(
    ax: Axes, rows: Float[np.ndarray, "N 2"], color: str, *, ms: float = 2, **style: Any
) -> None:
    """Draw rows as points, as an image also in a PDF, so that its file stays small."""
    x, y = thinned(rows).T
    ax.plot(x, y, "o", color=color, **{"ms": ms, "mew": 0, "rasterized": True, **style})


def legend_above(ax: Axes, *, ncols: int = 2, **style: Any) -> None:
    """Put the legend where it covers nothing; what a title would say is its title."""
    where = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.3}
    look = {"markerscale": 2, "frameon": False, "alignment": "left", "columnspacing": 1.2}
    look |= {"fontsize": "small", "title_fontsize": "small"}
    ax.legend(ncols=ncols, **{**look, **where, **style})


def as_label(name: str) -> str:
    """Return the name of a column as a label shows it: no formula, whatever signs are in it."""
    spelled = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    return spelled.replace("$", r"\$")


def unit_circle() -> Float[np.ndarray, "M 2"]:
    """Return the points of a closed circle of radius one."""
    angle = np.linspace(0, 2 * np.pi, POINTS_PER_CURVE)
    return np.column_stack([np.cos(angle), np.sin(angle)])
