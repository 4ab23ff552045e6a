r"""The density of one or two columns, and its highest-density regions.

The highest-density region (HDR) of mass q is {x : p(x) >= t} with t such that it has that mass: the
smallest region that does [1]_. t is the (1 - q)-quantile of p over rows drawn from p.

References
----------
.. [1] R. J. Hyndman, "Computing and Graphing Highest Density Regions", The American Statistician
       50, 1996.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from brenier.plots.flow import (
    FittedFlow,
    FittedMixture,
    checked_rows,
    counts_of,
    log_density,
    names_of,
    pieces_of,
    positions,
)
from brenier.plots.style import (
    BLUE,
    COLORMAP,
    HDR_STYLES,
    OKABE_ITO,
    as_label,
    legend_above,
    new_axes,
    scatter,
)

# Rows drawn from a flow to find its HDRs: a share of 99 % is then right to 0.16 % (one sigma).
HDR_ROWS = 4000
# White for the dark end of the colours of the image, black edges for the bright end.
POINTS = {"color": "white", "ms": 2.4, "mec": "black", "mew": 0.4}
OF_PIECES = ("white", *OKABE_ITO[1:])
OUTLINES = {"colors": "white", "linewidths": 1.2}
EDGE = withStroke(linewidth=2.4, foreground="black")


def plot_density(
    flow: FittedFlow,
    X: Any = None,
    *,
    columns: Sequence[str | int] | None = None,
    ax: Axes | None = None,
    levels: Sequence[float] = (0.5, 0.9, 0.99),
    n_grid: int = 200,
) -> Axes:
    """Draw the density of a flow of one or two columns.

    Two columns: the density as an image, with the outlines of its highest-density regions (HDRs).
    One: the density as a curve over a histogram of the data; of a count probabilities as stems.

    Parameters
    ----------
    flow : ConvexPotentialFlow or ConvexPotentialMixture
        Fitted to one or two columns.
    X : array or table, (N, n), optional
        Rows in data units, drawn as points or as a histogram; those of the connected pieces of a
        mixture in different colours.
    columns : sequence of str or int, optional
        Names or positions of the columns, horizontal axis first. None: in the table's order.
    ax : Axes, optional
        Where to draw; None makes a new figure.
    levels : sequence of float, default=(0.5, 0.9, 0.99)
        Masses of the HDRs, each between 0 and 1; at most four. Only for two columns.
    n_grid : int, default=200
        Points of the grid along each axis.

    Returns
    -------
    Axes
        In data units; the density is per data unit^n.

    Raises
    ------
    ValueError
        If the flow has more than two columns (`plot_samples` shows pairs), or a setting or `X` is
        not as described.
    """
    names = names_of(flow)
    if len(names) > 2:
        raise ValueError(
            f"Expected a flow of one or two columns; got {len(names)}. plot_samples shows the "
            "pairs of columns; or fit a flow to the two columns of interest."
        )
    shown = positions(names, columns, counts=[len(names)])
    masses = _checked_levels(levels)
    if n_grid < 2:
        raise ValueError(f"Expected n_grid to be at least 2; got {n_grid}.")
    rows = None if X is None else checked_rows(flow, X)
    drawn = np.asarray(flow.sample(HDR_ROWS, 0))
    log_p = log_density(flow, drawn)
    thresholds = np.quantile(log_p, [1 - mass for mass in masses])
    low, high = _window(drawn[log_p >= thresholds.min()], rows)
    counts = counts_of(flow)
    axes_grid = [_grid(low[k], high[k], n_grid, is_count=k in counts) for k in shown]
    ax = new_axes() if ax is None else ax
    ax.set_xlabel(as_label(names[shown[0]]))
    if len(names) == 1:
        draw = _draw_stems if counts else _draw_curve
        draw(flow, rows, axes_grid[0], ax)
    else:
        ax.set_ylabel(as_label(names[shown[1]]))
        outlines = dict(zip(masses, thresholds, strict=True))
        _draw_plane(flow, None if rows is None else rows[:, shown], shown, axes_grid, outlines, ax)
    return ax


def _checked_levels(levels: Sequence[float]) -> list[float]:
    """Return different masses, largest first, as their thresholds of the density ascend."""
    masses = sorted(set(levels), reverse=True)
    if not 1 <= len(masses) <= len(HDR_STYLES) or not 0 < masses[-1] <= masses[0] < 1:
        raise ValueError(
            f"Expected one to {len(HDR_STYLES)} levels, masses between 0 and 1; got {levels}."
        )
    return masses


def _window(
    inner: Float[np.ndarray, "M n"], rows: Float[np.ndarray, "N n"] | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the corners of a box around all rows, with a margin of a twentieth."""
    both = inner if rows is None else np.concatenate([inner, rows])
    low, high = both.min(axis=0), both.max(axis=0)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _grid(low: float, high: float, n: int, *, is_count: bool) -> Float[np.ndarray, " M"]:
    """Return n points of an axis; of a count, whose values alone have a density, whole ones."""
    if not is_count:
        return np.linspace(low, high, n)
    step = max(1.0, np.ceil((high - low) / n))
    return np.arange(np.ceil(low), np.floor(high) + 1.0, step)


def _draw_stems(
    flow: FittedFlow, rows: np.ndarray | None, x: Float[np.ndarray, " M"], ax: Axes
) -> None:
    """Draw the probabilities of whole numbers, over the shares of those in the data."""
    if rows is not None:
        edges = [*(x - 0.5), x[-1] + 0.5]
        ax.hist(rows[:, 0], bins=edges, density=True, color="0.6", alpha=0.6, label="data")
    heights = np.exp(log_density(flow, x[:, None]))
    ax.vlines(x, 0.0, heights, color=BLUE)
    ax.plot(x, heights, "o", color=BLUE, ms=4, label="probability")
    ax.set(ylabel="probability", ylim=(0, None))
    ax.legend(frameon=False)


def _draw_curve(
    flow: FittedFlow, rows: np.ndarray | None, x: Float[np.ndarray, " M"], ax: Axes
) -> None:
    if rows is not None:
        ax.hist(rows[:, 0], bins="auto", density=True, color="0.6", alpha=0.6, label="data")
    ax.plot(x, np.exp(log_density(flow, x[:, None])), color=BLUE, label="density")
    ax.set(ylabel="density (1 / data unit)", ylim=(0, None))
    ax.legend(frameon=False)


def _draw_plane(
    flow: FittedFlow,
    rows: Float[np.ndarray, "N 2"] | None,
    shown: Sequence[int],
    axes_grid: Sequence[Float[np.ndarray, " M"]],
    thresholds: Mapping[float, float],
    ax: Axes,
) -> None:
    """Draw image, outlines and points; `rows` and `axes_grid` are in the order of `shown`."""
    x, y = axes_grid
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # Of two columns either order is its own inverse.
    log_p = log_density(flow, grid[:, shown]).reshape(len(y), len(x))
    _draw_image(x, y, log_p, ax)
    _draw_outlines(x, y, log_p, thresholds, ax)
    if rows is not None:
        _scatter(ax, flow, rows, shown)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    legend_above(ax, frameon=True, facecolor=COLORMAP(0.0), labelcolor="white", framealpha=1)


def _scatter(
    ax: Axes, flow: FittedFlow, rows: Float[np.ndarray, "N 2"], shown: Sequence[int]
) -> None:
    """Draw the data as points, of a mixture's pieces in colours of their own where they are few."""
    pieces = np.zeros(len(rows), int)
    if isinstance(flow, FittedMixture) and len(rows):
        pieces = pieces_of(flow, rows[:, shown])
    n_pieces = int(np.max(pieces, initial=0)) + 1
    if not 1 < n_pieces <= len(OF_PIECES):
        scatter(ax, rows, label="data", **POINTS)
        return
    for piece, color in zip(range(n_pieces), OF_PIECES, strict=False):
        own = {**POINTS, "color": color}
        scatter(ax, rows[pieces == piece], label=f"piece {piece}", **own)


def _draw_image(x: np.ndarray, y: np.ndarray, log_p: Float[np.ndarray, "M M"], ax: Axes) -> None:
    mesh = ax.pcolormesh(
        x, y, np.exp(log_p), cmap=COLORMAP, vmin=0, shading="gouraud", rasterized=True
    )
    ax.figure.colorbar(mesh, ax=ax, label="density (1 / data unit^2)")


def _draw_outlines(
    x: np.ndarray,
    y: np.ndarray,
    log_p: Float[np.ndarray, "M M"],
    thresholds: Mapping[float, float],
    ax: Axes,
) -> None:
    # In the logarithm, which is smoother between grid points; the floor stands for minus infinity.
    floored = np.maximum(log_p, min(thresholds.values()) - 10)
    styles = list(HDR_STYLES[: len(thresholds)])[::-1]
    drawn = ax.contour(x, y, floored, list(thresholds.values()), linestyles=styles, **OUTLINES)
    drawn.set_path_effects([EDGE])
    for mass, style in zip(reversed(thresholds), HDR_STYLES, strict=False):
        ax.plot([], [], color="white", ls=style, lw=1.2, label=f"{100 * mass:g} % of mass")
