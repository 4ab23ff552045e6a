"""Whether a fit is good: the distribution of |z|^2 against chi-squared.

If the flow is right, z = grad Phi(y) of a row is a draw from the standard normal in n dimensions,
and |z|^2 has the chi-squared distribution with n degrees of freedom.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from brenier.plots.flow import FittedFlow, distances
from brenier.plots.style import BLUE, new_axes


def plot_calibration(flow: FittedFlow, X: Any, *, ax: Axes | None = None) -> Axes:
    """Draw whether a fit is good: the distribution of |z|^2 against chi-squared (a P-P plot).

    If the flow is right and the rows are independent and were not trained on, the curve stays in
    the band, as a whole, for 95 % of all tables of this size: the band's half width is the 95 %
    quantile of the Kolmogorov-Smirnov distance. A curve below the diagonal: rows lie further out
    than the flow says. Above: closer in.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted.
    X : array or table, (N, n)
        Rows in data units. Rows outside the bounds count as infinitely far out.
    ax : Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    Axes
        Probabilities, aspect equal; the title has the largest distance and the band's half width.
    """
    Z = np.asarray(flow.transform(X))
    N, n = Z.shape
    expected = np.sort(stats.chi2(n).cdf(distances(Z) ** 2))
    observed = np.arange(1, N + 1) / N
    distance = max(np.max(observed - expected), np.max(expected - observed + 1 / N))
    half_width = float(stats.kstwo(N).ppf(0.95))
    diagonal = np.linspace(0, 1, 101)
    band = np.clip([diagonal - half_width, diagonal + half_width], 0, 1)
    ax = new_axes(aspect=1.0) if ax is None else ax
    label = f"95 % band for {N} rows"
    ax.fill_between(diagonal, *band, color="0.6", alpha=0.4, lw=0, label=label)
    ax.plot(diagonal, diagonal, color="black", lw=0.8, ls=":", label="perfect fit")
    ends = np.concatenate([[0], expected, [1]]), np.concatenate([[0], observed, [1]])
    ax.step(*ends, where="post", color=BLUE, lw=1.5, label="rows given")
    ax.set(
        xlabel=f"expected share: chi-squared({n}) probability of |z|^2",
        ylabel="share of rows with |z|^2 no larger",
        xlim=(0, 1),
        ylim=(0, 1),
        title=f"largest distance {distance:.3f}; 95 % of good fits: below {half_width:.3f}",
    )
    ax.set_aspect("equal")
    ax.legend(loc="upper left", frameon=False)
    return ax
