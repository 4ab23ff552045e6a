"""Pictures of a fitted flow: its density, its map, its samples, how it was found, whether it fits.

If the flow is right, z = grad Phi(y) of a row is a draw from the standard normal in n dimensions,
so that any two coordinates of z lie in the disc of radius sqrt(-2 log(1 - q)) with probability q,
and |z|^2 has the chi-squared distribution with n degrees of freedom. `plot_normal` and
`plot_calibration` show these two facts; give them rows that were not trained on.

The highest-density region (HDR) of mass q is {x : p(x) >= t} with t such that it has that mass: the
smallest region that does [1]_. t is the (1 - q)-quantile of p over rows drawn from p.

Every function draws on the axes (or figure) it is given, makes new ones with pyplot only if there
are none, changes no setting of matplotlib, and returns what it drew on. Colours are those of Okabe
and Ito [2]_ and cividis, which colour-blind people can tell apart. Of many rows, 4000 evenly chosen
ones are drawn as points; histograms and shares are of all.

Examples
--------
For a fitted `flow` and rows `X`:

>>> from brenier.plots import plot_calibration, plot_density
>>> plot_density(flow, X).figure.savefig("density.png")
>>> plot_calibration(flow, X).get_xlabel()
'expected share: chi-squared(2) probability of |z|^2'

References
----------
.. [1] R. J. Hyndman, "Computing and Graphing Highest Density Regions", The American Statistician
       50, 1996.
.. [2] M. Okabe, K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/.
"""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from scipy import stats

from brenier.training.report import FitReport

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
BLUE, ORANGE, RED = OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[5]
COLORMAP = colormaps["cividis"]
HDR_STYLES = ("-", "--", ":", "-.")
# Rows drawn from a flow to find its HDRs: a share of 99 % is then right to 0.16 % (one sigma).
HDR_ROWS = 4000
# Points of a scatter beyond this many would only cover each other.
MOST_POINTS = 4000
# Panels of a pair plot beyond this many columns are too small to read.
MOST_COLUMNS = 6
# z0 = c and z1 = c are drawn for these c, and |z| = c for the positive ones (standard deviations).
MAP_LINES = (-3, -2, -1, 0, 1, 2, 3)
POINTS_PER_CURVE = 241

AXES_OF_HISTORY = {
    "iteration": "iteration",
    "work_units": "work units (passes of single samples)",
    "seconds": "wall time (s)",
}


@runtime_checkable
class FittedFlow(Protocol):
    """What is asked of a fitted `brenier.ConvexPotentialFlow`, whose methods these are."""

    def get_feature_names_out(self) -> np.ndarray:
        """Return the names of the columns of z."""
        ...

    def score_samples(self, X: Any) -> Float[np.ndarray, " N"]:
        """Return log-densities (nats)."""
        ...

    def transform(self, X: Any) -> Float[np.ndarray, "N n"]:
        """Return the images z of rows."""
        ...

    def invert(self, Z: Any) -> tuple[Float[np.ndarray, "N n"], Any]:
        """Return the rows whose images are Z, and which of them were found."""
        ...

    def sample(self, n_samples: Any, random_state: Any) -> Float[np.ndarray, "N n"]:
        """Return new rows."""
        ...


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

    Two columns: the density as an image, with the outlines of its HDRs. One: the density as a curve
    over a histogram of the data.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted to one or two columns.
    X : array or table, (N, n), optional
        Rows in data units, drawn as points or as a histogram.
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
    names = _names(flow)
    if len(names) > 2:
        raise ValueError(
            f"Expected a flow of one or two columns; got {len(names)}. plot_samples shows the "
            "pairs of columns; or fit a flow to the two columns of interest."
        )
    shown = _positions(names, columns, counts=[len(names)])
    masses = _checked_levels(levels)
    if n_grid < 2:
        raise ValueError(f"Expected n_grid to be at least 2; got {n_grid}.")
    rows = None if X is None else _checked_rows(flow, X)
    drawn = flow.sample(HDR_ROWS, 0)
    log_p = _log_density(flow, drawn)
    thresholds = np.quantile(log_p, [1 - mass for mass in masses])
    low, high = _window(drawn[log_p >= thresholds.min()], rows)
    ax = _new_axes() if ax is None else ax
    ax.set_xlabel(names[shown[0]])
    if len(names) == 1:
        _draw_curve(flow, rows, np.linspace(low, high, n_grid), ax)
        return ax
    x, y = (np.linspace(low[k], high[k], n_grid) for k in shown)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    on_grid = _log_density(flow, grid[:, shown]).reshape(n_grid, n_grid)
    _draw_image(x, y, on_grid, ax)
    _draw_outlines(x, y, on_grid, dict(zip(masses, thresholds, strict=True)), ax)
    if rows is not None:
        _scatter(ax, rows[:, shown], RED, ms=1.5, alpha=0.7, label="data")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), ylabel=names[shown[1]])
    _legend_above(ax, frameon=True, facecolor=COLORMAP(0.0), labelcolor="white", framealpha=1)
    return ax


def plot_map(flow: FittedFlow, X: Any = None, *, ax: Axes | None = None) -> Axes:
    """Draw in data space what the map carries to straight lines and circles of the normal space.

    The lines are z0 = c and z1 = c, c = -3, -2, ..., 3 standard deviations; the circles, |z| = 1, 2
    and 3, hold 39 %, 86 % and 99 % of the mass. Points without a preimage are left out, and the
    title counts them.

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
    names = _names(flow)
    if len(names) != 2:
        raise ValueError(
            f"Expected a flow of two columns; got {len(names)}. plot_normal shows the image of the "
            "data, any two coordinates at a time."
        )
    rows = None if X is None else _checked_rows(flow, X)
    curves = np.concatenate([_normal_lines(), _normal_circles()])
    preimages, inversion = flow.invert(curves.reshape(-1, 2))
    found = np.asarray(inversion.converged)
    paths = np.where(found[:, None], preimages, np.nan).reshape(curves.shape)
    ax = _new_axes() if ax is None else ax
    if rows is not None:
        _scatter(ax, rows, "0.5", label="data")
    n_lines = 2 * len(MAP_LINES)
    lines = ax.plot(*paths[:n_lines].transpose(2, 1, 0), color=BLUE, lw=0.9)
    circles = ax.plot(*paths[n_lines:].transpose(2, 1, 0), color=RED, lw=1.6)
    lines[0].set_label("z0, z1 = -3, ..., 3")
    circles[0].set_label("|z| = 1, 2, 3")
    if not found.all():
        ax.set_title(f"{np.sum(~found)} of {len(found)} points of the curves have no preimage")
    ax.set(xlabel=names[0], ylabel=names[1])
    _legend_above(ax, ncols=3)
    return ax


def plot_normal(
    flow: FittedFlow, X: Any, *, columns: Sequence[str | int] = (0, 1), ax: Axes | None = None
) -> Axes:
    """Draw the image z of rows under the map, and the HDRs of the standard normal.

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
    shown = _positions(names, columns, counts=[2])
    Z = flow.transform(X)[:, shown]
    distance = _norms(Z)
    ax = _new_axes(aspect=1.0) if ax is None else ax
    _scatter(ax, Z, BLUE, alpha=0.6)
    for mass, style in zip((0.5, 0.9, 0.99), HDR_STYLES, strict=False):
        radius = np.sqrt(stats.chi2(2).ppf(mass))
        inside = np.mean(distance <= radius)
        circle = radius * _unit_circle()
        label = f"{100 * mass:g} % circle: {100 * inside:.1f} % of rows"
        ax.plot(*circle.T, color="black", ls=style, lw=1.2, label=label)
    x_label, y_label = (f"{names[k]} (standard deviations)" for k in shown)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.set_aspect("equal", adjustable="datalim")
    _legend_above(ax, ncols=1)
    return ax


def plot_samples(
    flow: FittedFlow,
    X: Any,
    *,
    n_samples: int | None = None,
    columns: Sequence[str | int] | None = None,
    random_state: Any = 0,
    fig: FigureBase | None = None,
) -> FigureBase:
    """Draw data and rows drawn from the flow for comparison.

    One column: two histograms. Two: two panels side by side. More: the pairs of columns, with
    histograms on the diagonal.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted.
    X : array or table, (N, n)
        Rows in data units.
    n_samples : int, optional
        How many rows to draw from the flow; None: as many as `X` has, 4000 at most.
    columns : sequence of str or int, optional
        Names or positions of one to six columns; None: all, or the first six of them.
    random_state : int, RandomState or None, default=0
        Seed of the samples; None takes the estimator's own.
    fig : Figure or SubFigure, optional
        An empty one to draw in; None makes a new figure.

    Returns
    -------
    Figure or SubFigure
        In data units; densities of histograms are per data unit.

    Raises
    ------
    ValueError
        If columns are unknown, repeated, or more than six, or `X` has others than the flow.
    """
    names = _names(flow)
    first = range(min(len(names), MOST_COLUMNS))
    shown = _positions(
        names, first if columns is None else columns, counts=range(1, MOST_COLUMNS + 1)
    )
    rows = _checked_rows(flow, X)[:, shown]
    count = min(len(rows), MOST_POINTS) if n_samples is None else n_samples
    both = {"data": rows, "samples": flow.sample(count, random_state)[:, shown]}
    labels = [names[k] for k in shown]
    size = {1: (6.4, 4.8), 2: (9.0, 4.4)}.get(len(shown), (1.9 * len(shown) + 0.8,) * 2)
    fig = plt.figure(figsize=size, layout="constrained") if fig is None else fig
    if len(shown) == 1:
        panel = fig.add_subplot()
        _draw_histograms(both, 0, panel)
        panel.set(xlabel=labels[0], ylabel="density (1 / data unit)")
        panel.legend(frameon=False)
    elif len(shown) == 2:
        _draw_side_by_side(both, labels, fig)
    else:
        _draw_pairs(both, labels, fig)
    return fig


def plot_training(
    reports: FitReport | Mapping[str, FitReport],
    *,
    x: str = "iteration",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the log-likelihood rose during one or several fits.

    Dashed: training rows. Solid: held-out rows. Dotted: the Gaussian fitted to the same rows, on
    held-out rows if there are any. Circle: the iterate that was returned.

    Parameters
    ----------
    reports : FitReport or mapping of str to FitReport
        `report_` of a fitted estimator, or up to six with names; one colour each.
    x : {"iteration", "work_units", "seconds"}
        What to measure progress by. A work unit is a forward and backward pass of one sample.
    ax : Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    Axes
        Mean log-likelihood in nats per row.

    Raises
    ------
    ValueError
        If `x` is none of these, or there are no reports or more than six.
    """
    if x not in AXES_OF_HISTORY:
        raise ValueError(f"Expected x to be one of {', '.join(AXES_OF_HISTORY)}; got {x!r}.")
    runs = {"": reports} if isinstance(reports, FitReport) else dict(reports)
    if not 1 <= len(runs) <= len(OKABE_ITO):
        raise ValueError(
            f"Expected one to {len(OKABE_ITO)} reports, one colour each; got {len(runs)}."
        )
    ax = _new_axes() if ax is None else ax
    for (name, report), color in zip(runs.items(), OKABE_ITO, strict=False):
        _draw_run(report, name, x, color, ax)
    ax.set(xlabel=AXES_OF_HISTORY[x], ylabel="log-likelihood (nats per row)")
    handles = [] if len(runs) == 1 else ax.get_legend_handles_labels()[0]
    heldout = any(np.isfinite(r.history["heldout_log_likelihood"]).any() for r in runs.values())
    ax.legend(handles=[*handles, *_run_styles(heldout=heldout)], frameon=False)
    return ax


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
    Z = flow.transform(X)
    N, n = Z.shape
    expected = np.sort(stats.chi2(n).cdf(_norms(Z) ** 2))
    observed = np.arange(1, N + 1) / N
    distance = max(np.max(observed - expected), np.max(expected - observed + 1 / N))
    half_width = float(stats.kstwo(N).ppf(0.95))
    diagonal = np.linspace(0, 1, 101)
    band = np.clip([diagonal - half_width, diagonal + half_width], 0, 1)
    ax = _new_axes(aspect=1.0) if ax is None else ax
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


def _new_axes(*, aspect: float = 0.75) -> Axes:
    """Return the axes of a new figure of this height by width."""
    return plt.subplots(figsize=(6.4, 6.4 * aspect), layout="constrained")[1]


def _names(flow: FittedFlow) -> list[str]:
    """Return the names of the flow's columns; raises `NotFittedError` before `fit`."""
    n = len(flow.get_feature_names_out())
    return [str(name) for name in getattr(flow, "feature_names_in_", [f"x{i}" for i in range(n)])]


def _positions(
    names: list[str], columns: Sequence[str | int] | None, *, counts: Sequence[int]
) -> list[int]:
    """Return the positions of columns given by name or position; None is all of them."""
    given = list(range(len(names)) if columns is None else columns)
    unknown = [c for c in given if c not in names and c not in range(len(names))]
    if unknown:
        raise ValueError(
            f"Expected columns among {', '.join(map(repr, names))} or their positions, 0 to "
            f"{len(names) - 1}; got {unknown[0]!r}."
        )
    found = [int(c) if isinstance(c, Integral) else names.index(str(c)) for c in given]
    if len(found) not in counts or len(set(found)) < len(found):
        many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        raise ValueError(f"Expected {many} different column(s); got {given}.")
    return found


def _checked_levels(levels: Sequence[float]) -> list[float]:
    """Return different masses, largest first, as their thresholds of the density ascend."""
    masses = sorted(set(levels), reverse=True)
    if not 1 <= len(masses) <= len(HDR_STYLES) or not 0 < masses[-1] <= masses[0] < 1:
        raise ValueError(
            f"Expected one to {len(HDR_STYLES)} levels, masses between 0 and 1; got {levels}."
        )
    return masses


def _checked_rows(flow: FittedFlow, X: Any) -> Float[np.ndarray, "N n"]:
    """Return the numbers of an array or table with the flow's columns."""
    names = _names(flow)
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValueError(f"Expected X of shape (N, {len(names)}); got {rows.shape}.")
    given = [str(name) for name in getattr(X, "columns", names)]
    if given != names and getattr(flow, "feature_names_in_", None) is not None:
        raise ValueError(f"Expected X with the columns {names} in this order; got {given}.")
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(
            f"Expected finite numbers; got NaN or infinity in {bad.sum()} of {len(rows)} rows "
            f"(first: row {np.argmax(bad)}). Drop these rows or fill them in."
        )
    return rows


def _log_density(flow: FittedFlow, rows: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
    """Return log-densities of rows of ours, under the names that the flow was fitted with."""
    names = getattr(flow, "feature_names_in_", None)
    table = rows if names is None else pl.DataFrame(rows, schema=[str(name) for name in names])
    return flow.score_samples(table)


def _window(
    inner: Float[np.ndarray, "M n"], rows: Float[np.ndarray, "N n"] | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the corners of a box around all rows, with a margin of a twentieth."""
    both = inner if rows is None else np.concatenate([inner, rows])
    low, high = both.min(axis=0), both.max(axis=0)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _thinned(rows: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "M n"]:
    """Return at most `MOST_POINTS` rows, evenly chosen."""
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MOST_POINTS)).astype(int)
    return rows[kept]


def _scatter(
    ax: Axes, rows: Float[np.ndarray, "N 2"], color: str, *, ms: float = 2, **style: Any
) -> None:
    # Rasterised, so that a PDF of many points stays small.
    x, y = _thinned(rows).T
    ax.plot(x, y, "o", ms=ms, mew=0, color=color, rasterized=True, **style)


def _legend_above(ax: Axes, *, ncols: int = 2, **style: Any) -> None:
    """Put the legend where it covers nothing."""
    where = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.3}
    ax.legend(ncols=ncols, markerscale=2, **where, **{"frameon": False, **style})


def _draw_curve(
    flow: FittedFlow, rows: np.ndarray | None, grid: Float[np.ndarray, "M 1"], ax: Axes
) -> None:
    if rows is not None:
        ax.hist(rows[:, 0], bins="auto", density=True, color="0.6", alpha=0.6, label="data")
    ax.plot(grid[:, 0], np.exp(_log_density(flow, grid)), color=BLUE, label="density")
    ax.set(ylabel="density (1 / data unit)", ylim=(0, None))
    ax.legend(frameon=False)


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
    ax.contour(
        x, y, floored, list(thresholds.values()), colors="white", linewidths=1.1, linestyles=styles
    )
    for mass, style in zip(reversed(thresholds), HDR_STYLES, strict=False):
        ax.plot([], [], color="white", ls=style, lw=1.1, label=f"{100 * mass:g} % of mass")


def _unit_circle() -> Float[np.ndarray, "M 2"]:
    angle = np.linspace(0, 2 * np.pi, POINTS_PER_CURVE)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _normal_lines() -> Float[np.ndarray, "L M 2"]:
    """Return the lines z0 = c, then z1 = c, of the normal space."""
    along = np.linspace(MAP_LINES[0], MAP_LINES[-1], POINTS_PER_CURVE)
    upright = [np.column_stack([np.full_like(along, c), along]) for c in MAP_LINES]
    return np.array(upright + [line[:, ::-1] for line in upright])


def _normal_circles() -> Float[np.ndarray, "L M 2"]:
    return np.array([r * _unit_circle() for r in MAP_LINES if r > 0])


def _norms(Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
    """Return |z|; rows without an image are infinitely far out."""
    norms = np.linalg.norm(Z, axis=1)
    return np.where(np.isnan(norms), np.inf, norms)


def _draw_histograms(both: Mapping[str, np.ndarray], column: int, ax: Axes) -> None:
    values = {name: rows[:, column] for name, rows in both.items()}
    bins = np.histogram_bin_edges(np.concatenate(list(values.values())), bins="auto").tolist()
    for (name, value), color in zip(values.items(), (BLUE, ORANGE), strict=True):
        ax.hist(value, bins, density=True, histtype="step", color=color, lw=1.5, label=name)


def _draw_side_by_side(both: Mapping[str, np.ndarray], labels: list[str], fig: FigureBase) -> None:
    panels = fig.subplots(1, 2, sharex=True, sharey=True)
    for (name, rows), color, ax in zip(both.items(), (BLUE, ORANGE), panels, strict=True):
        _scatter(ax, rows, color, label=name)
        ax.set(title=f"{name} ({len(rows)} rows)", xlabel=labels[0])
    panels[0].set_ylabel(labels[1])


def _draw_pairs(both: Mapping[str, np.ndarray], labels: list[str], fig: FigureBase) -> None:
    """Draw histograms on the diagonal, data and samples below it."""
    k = len(labels)
    panels = fig.subplots(k, k, sharex="col")
    for (i, j), ax in np.ndenumerate(panels):
        if j > i:
            ax.remove()
        elif i == j:
            _draw_histograms(both, i, ax)
            ax.set_yticks([])
        else:
            for (name, rows), color in zip(both.items(), (BLUE, ORANGE), strict=True):
                _scatter(ax, rows[:, [j, i]], color, ms=1.5, alpha=0.6, label=name)
            if j > 0:
                ax.sharey(panels[i, 0])
                ax.tick_params(labelleft=False)
    for i in range(k):
        panels[-1, i].set_xlabel(labels[i])
        if i > 0:
            panels[i, 0].set_ylabel(labels[i])
    colors = zip(both, (BLUE, ORANGE), strict=True)
    handles = [Line2D([], [], color=color, lw=3, label=name) for name, color in colors]
    fig.legend(handles=handles, loc="upper right", frameon=False)


def _draw_run(report: FitReport, name: str, x: str, color: str, ax: Axes) -> None:
    progress = np.asarray(report.history[x], dtype=np.float64)
    train = np.asarray(report.history["train_log_likelihood"], dtype=np.float64)
    heldout = np.asarray(report.history["heldout_log_likelihood"], dtype=np.float64)
    # Held-out rows may have been looked at in some iterations only.
    judged = np.isfinite(heldout)
    ax.plot(progress, train, color=color, ls="--", lw=1.2, label="" if judged.any() else name)
    if judged.any():
        ax.plot(progress[judged], heldout[judged], color=color, lw=1.6, label=name)
    gaussian = report.gaussian_heldout_log_likelihood
    gaussian = report.gaussian_train_log_likelihood if np.isnan(gaussian) else gaussian
    ax.axhline(gaussian, color=color, ls=":", lw=1.2)
    returned = np.asarray(report.history["iteration"]) == report.best_iteration
    value = np.where(judged, heldout, train)[returned]
    ax.plot(progress[returned], value, "o", ms=7, mfc="white", mec=color, mew=1.6)


def _run_styles(*, heldout: bool) -> list[Line2D]:
    """Return the legend's entries for what the lines of a run mean."""
    styles = {"training rows": "--", "held-out rows": "-", "Gaussian baseline": ":"}
    if not heldout:
        del styles["held-out rows"]
    lines = [Line2D([], [], color="0.3", ls=style, label=name) for name, style in styles.items()]
    returned = Line2D([], [], ls="", marker="o", ms=7, mfc="white", mec="0.3", label="returned")
    return [*lines, returned]
