"""The map, seen in data space: what it carries to straight lines and circles."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from brenier.plots.flow import InvertibleFlow, checked_rows, names_of
from brenier.plots.style import (
    BLUE,
    POINTS_PER_CURVE,
    VERMILLION,
    as_label,
    legend_above,
    new_axes,
    scatter,
    unit_circle,
)

# z0 = c and z1 = c are drawn for these c, and |z| = c for the positive ones (standard deviations).
MAP_LINES = (-3, -2, -1, 0, 1, 2, 3)


def plot_map(flow: InvertibleFlow, X: Any = None, *, ax: Axes | None = None) -> Axes:
    """Draw in data space what the map carries to straight lines and circles of the normal space.

    The lines are z0 = c and z1 = c, c = -3, -2, ..., 3 standard deviations; the circles, |z| = 1, 2
    and 3, hold 39 %, 86 % and 99 % of the mass. Points without a preimage are left out, and the
    legend counts them.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted to two columns.
    X : array or table, (N, 2), optional
        Rows in data units, drawn behind.
    ax : Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    Axes
        In data units.

    Raises
    ------
    ValueError
        If the flow has not two columns.
    """
    names = names_of(flow)
    if len(names) != 2:
        raise ValueError(
            f"Expected a flow of two columns; got {len(names)}. plot_normal shows the image of the "
            "data, any two coordinates at a time."
        )
    rows = None if X is None else checked_rows(flow, X)
    curves = np.concatenate([_normal_lines(), _normal_circles()])
    preimages, inversion = flow.invert(curves.reshape(-1, 2))
    found = np.asarray(inversion.converged)
    paths = np.where(found[:, None], preimages, np.nan).reshape(curves.shape)
    ax = new_axes() if ax is None else ax
    if rows is not None:
        scatter(ax, rows, "0.5", label="data")
    n_lines = 2 * len(MAP_LINES)
    lines = ax.plot(*paths[:n_lines].transpose(2, 1, 0), color=BLUE, lw=0.9)
    circles = ax.plot(*paths[n_lines:].transpose(2, 1, 0), color=VERMILLION, lw=1.6)
    lines[0].set_label("z0, z1 = -3, ..., 3")
    circles[0].set_label("|z| = 1, 2, 3")
    ax.set(xlabel=as_label(names[0]), ylabel=as_label(names[1]))
    lost = f"{np.sum(~found)} of {len(found)} points of the curves have no preimage"
    legend_above(ax, ncols=3, title=None if found.all() else lost)
    return ax


def _normal_lines() -> Float[np.ndarray, "L M 2"]:
    """Return the lines z0 = c, then z1 = c, of the normal space."""
    along = np.linspace(MAP_LINES[0], MAP_LINES[-1], POINTS_PER_CURVE)
    upright = [np.column_stack([np.full_like(along, c), along]) for c in MAP_LINES]
    return np.array(upright + [line[:, ::-1] for line in upright])


def _normal_circles() -> Float[np.ndarray, "L M 2"]:
    """Return the circles |z| = c."""
    return np.array([r * unit_circle() for r in MAP_LINES if r > 0])
