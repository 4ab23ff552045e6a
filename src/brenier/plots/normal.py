"""The image of rows under the map, which is a draw from the standard normal if the flow is right.

Any two coordinates of z lie in the disc of radius sqrt(-2 log(1 - q)) with probability q.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from brenier.plots.flow import FittedFlow, distances, positions
from brenier.plots.style import BLUE, HDR_STYLES, legend_above, new_axes, scatter, unit_circle


def plot_normal(
    flow: FittedFlow, X: Any, *, columns: Sequence[str | int] = (0, 1), ax: Axes | None = None
) -> Axes:
    """Draw the image z of rows under the map, and circles that hold most of a standard normal.

    If the flow is right the points are a round cloud, and the shares in the legend (of rows inside
    each circle) are those of the circles.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted to two columns or more.
    X : array or table, (N, n)
        Rows in data units; those outside the bounds count as infinitely far out.
    columns : pair of int, default=(0, 1)
        Positions of the two coordinates of z to draw.
    ax : Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    Axes
        In standard deviations, aspect equal.

    Raises
    ------
    ValueError
        If the flow has one column, or there are no such coordinates.
    """
    names = [str(name) for name in flow.get_feature_names_out()]
    if len(names) < 2:
        raise ValueError(
            f"Expected a flow of two columns or more; got {len(names)}. plot_calibration shows "
            "whether the image of one column is normal."
        )
    shown = positions(names, columns, counts=[2])
    Z = np.asarray(flow.transform(X))[:, shown]
    distance = distances(Z)
    ax = new_axes(aspect=1.0) if ax is None else ax
    scatter(ax, Z, BLUE, alpha=0.6)
    for mass, style in zip((0.5, 0.9, 0.99), HDR_STYLES, strict=False):
        radius = np.sqrt(stats.chi2(2).ppf(mass))
        inside = np.mean(distance <= radius)
        circle = radius * unit_circle()
        label = f"{100 * mass:g} % circle: {100 * inside:.1f} % of rows"
        ax.plot(*circle.T, color="black", ls=style, lw=1.2, label=label)
    x_label, y_label = (f"{names[k]} (standard deviations)" for k in shown)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.set_aspect("equal", adjustable="datalim")
    legend_above(ax, ncols=1)
    return ax
