"""Rows and draws of a model in one corner plot: contours that hold the same shares of each."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter

from brenier.diagnostics.diagnosis import Diagnosis
from brenier.diagnostics.panels import ColumnsPanel
from brenier.plots.diagnosis.svg import DRAWS, ROWS, new_figure
from brenier.plots.style import BLUE, VERMILLION

# Columns of a corner plot that are still read.
MOST_COLUMNS = 8
# Cells along a side of the histograms that contours are of, and their smoothing in cells.
CELLS, SMOOTHING = 40, 1.6
# What contours hold.
SHARES = (0.5, 0.9)
# Quantiles of rows and draws between which they are shown.
SHOWN = (0.002, 0.998)
INCHES = 1.3


def plot_corner(diagnosis: Diagnosis) -> Figure:
    """Draw the rows of a diagnosis against draws of the model, all pairs of columns.

    Solid lines hold 50 % and 90 % of the rows, dashed lines of the draws; histograms are on the
    diagonal. Of more than eight columns the eight that fit worst are shown.

    Parameters
    ----------
    diagnosis : Diagnosis
        Of any model.

    Returns
    -------
    Figure
        In data units.
    """
    figure, _ = corner(diagnosis, (BLUE, VERMILLION))
    lines = [
        Line2D([], [], color=BLUE, label="rows"),
        Line2D([], [], color=VERMILLION, ls="--", label="draws"),
    ]
    figure.legend(handles=lines, loc="upper right", frameon=False)
    return figure


def corner(
    diagnosis: Diagnosis, colors: tuple[str, str] = (ROWS, DRAWS)
) -> tuple[Figure, tuple[str, ...]]:
    """Return the corner plot, and the columns that it shows; of a page, in its style and colours.

    Parameters
    ----------
    diagnosis : Diagnosis
        Of any model.
    colors : (str, str)
        Of rows and of draws.
    """
    shown, names = diagnosis.shown, _worst_columns(diagnosis)
    places = [shown.names.index(name) for name in names]
    rows, draws = shown.rows[:, places], shown.draws[:, places]
    ranges = [_range(rows[:, k], draws[:, k]) for k in range(len(names))]
    n = len(names)
    size = (max(3.2, INCHES * n), max(2.6, INCHES * n))
    figure, grid = new_figure(size, n, n)
    axes: list[Axes] = np.array(grid).ravel().tolist()
    for ax, (i, j) in zip(axes, np.ndindex(n, n), strict=True):
        if j > i:
            ax.set_visible(False)
            continue
        _cell(ax, rows[:, [j, i]], draws[:, [j, i]], (ranges[j], ranges[i]), colors)
        _label(ax, names, i, j)
    return figure, names


def _cell(
    ax: Axes,
    rows: Float[np.ndarray, "N 2"],
    draws: Float[np.ndarray, "M 2"],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    colors: tuple[str, str],
) -> None:
    """Draw two columns; histograms where they are one and the same."""
    same = ranges[0] is ranges[1]
    for of, color, style in ((rows, colors[0], "-"), (draws, colors[1], "--")):
        if same:
            counts, edges = np.histogram(of[:, 0], bins=CELLS // 2, range=ranges[0], density=True)
            ax.stairs(counts, edges, color=color, ls=style, lw=1.2)
        else:
            _contours(ax, of, ranges, color, style)
    ax.set_xlim(ranges[0])
    if same:
        ax.set(ylim=(0, None), yticks=[])
    else:
        ax.set_ylim(ranges[1])


def _contours(
    ax: Axes,
    rows: Float[np.ndarray, "N 2"],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    color: str,
    style: str,
) -> None:
    counts, x, y = np.histogram2d(*rows.T, bins=CELLS, range=ranges)
    smooth = gaussian_filter(counts, SMOOTHING, mode="constant")
    levels = contour_levels(smooth, SHARES)
    if len(levels):
        centres = (0.5 * (edges[1:] + edges[:-1]) for edges in (x, y))
        ax.contour(*centres, smooth.T, levels, colors=color, linestyles=style, linewidths=1.1)


def contour_levels(
    density: Float[np.ndarray, "C C"], shares: Sequence[float]
) -> Float[np.ndarray, " k"]:
    """Return values, ascending, above which cells hold these shares of the whole."""
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered)
    if held[-1] <= 0:
        return np.empty(0)
    places = [int(np.searchsorted(held, share * held[-1])) for share in shares]
    return np.unique(ordered[places])


def _label(ax: Axes, names: Sequence[str], i: int, j: int) -> None:
    """Name columns at the left and at the bottom alone."""
    ax.tick_params(labelsize=7)
    if i == len(names) - 1:
        ax.set_xlabel(names[j])
        ax.tick_params(axis="x", rotation=45)
    else:
        ax.set_xticklabels([])
    if j == 0 and i > 0:
        ax.set_ylabel(names[i])
    elif j > 0:
        ax.set_yticklabels([])


def _range(rows: Float[np.ndarray, " N"], draws: Float[np.ndarray, " M"]) -> tuple[float, float]:
    low, high = np.quantile(np.concatenate([rows, draws]), SHOWN)
    margin = 0.05 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _worst_columns(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the columns to show in the table's order: all, or those that fit worst."""
    names = diagnosis.shown.names
    if len(names) <= MOST_COLUMNS:
        return names
    worst: list[str] = []
    for panel in diagnosis.panels:
        if isinstance(panel, ColumnsPanel):
            worst += [marginal.name for marginal in panel.marginals]
            worst += [name for pair in panel.pairs for name in pair.names]
    chosen = list(dict.fromkeys([*worst, *names]))[:MOST_COLUMNS]
    return tuple(name for name in names if name in chosen)
