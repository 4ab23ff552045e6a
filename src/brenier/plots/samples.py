"""Data and rows drawn from the flow, side by side, so that neither covers the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from brenier.plots.flow import FittedFlow, checked_rows, names_of, positions
from brenier.plots.style import BLUE, MOST_POINTS, VERMILLION, as_label, scatter

# Panels of a pair plot beyond this many columns are too small to read.
MOST_COLUMNS = 6
COLORS = {"data": BLUE, "samples": VERMILLION}


def plot_samples(
    flow: FittedFlow,
    X: Any = None,
    *,
    n_samples: int | None = None,
    columns: Sequence[str | int] | None = None,
    random_state: Any = 0,
    fig: FigureBase | None = None,
) -> FigureBase:
    """Draw data and rows drawn from the flow for comparison, or such rows alone.

    One column: two histograms. Two: two panels side by side. More: a matrix of the pairs of
    columns, data below its diagonal, samples above it, the histograms of both on it. Panels that
    mirror each other in the diagonal show the same two columns in the same limits. Without data
    there is nothing above the diagonal, and the samples are below it.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted.
    X : array or table, (N, n), optional
        Rows in data units.
    n_samples : int, optional
        How many rows to draw from the flow; None: as many as `X` has, 4000 at most and without it.
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
    names = names_of(flow)
    first = range(min(len(names), MOST_COLUMNS))
    shown = positions(
        names, first if columns is None else columns, counts=range(1, MOST_COLUMNS + 1)
    )
    both = {} if X is None else {"data": checked_rows(flow, X)[:, shown]}
    most = min((len(rows) for rows in both.values()), default=MOST_POINTS)
    count = min(most, MOST_POINTS) if n_samples is None else n_samples
    both["samples"] = np.asarray(flow.sample(count, random_state))[:, shown]
    labels = [as_label(names[k]) for k in shown]
    size = size_of_samples(len(shown))
    fig = plt.figure(figsize=size, layout="constrained") if fig is None else fig
    draw = {1: _draw_one, 2: _draw_two}.get(len(shown), _draw_pairs)
    draw(both, labels, fig)
    return fig


def size_of_samples(n_columns: int) -> tuple[float, float]:
    """Return width and height of a figure of so many columns (inches)."""
    side = 1.9 * n_columns + 0.8
    return {1: (6.4, 4.8), 2: (9.0, 4.4)}.get(n_columns, (side, side))


def _draw_one(both: Mapping[str, np.ndarray], labels: Sequence[str], fig: FigureBase) -> None:
    panel = fig.add_subplot()
    _draw_histograms(both, 0, panel)
    panel.set(xlabel=labels[0], ylabel="density (1 / data unit)")
    panel.legend(frameon=False)


def _draw_two(both: Mapping[str, np.ndarray], labels: Sequence[str], fig: FigureBase) -> None:
    panels = fig.subplots(1, len(both), sharex=True, sharey=True, squeeze=False)[0]
    for (name, rows), ax in zip(both.items(), panels, strict=True):
        scatter(ax, rows, COLORS[name], label=name)
        ax.set(title=f"{name} ({len(rows)} rows)", xlabel=labels[0])
    panels[0].set_ylabel(labels[1])


def _draw_pairs(both: Mapping[str, np.ndarray], labels: Sequence[str], fig: FigureBase) -> None:
    panels = fig.subplots(len(labels), len(labels), sharex="col")
    limits = [_limits(both, k) for k in range(len(labels))]
    for (i, j), ax in np.ndenumerate(panels):
        if i == j:
            _draw_histograms(both, i, ax)
            ax.set(xlim=limits[j], yticks=[])
        elif j > i and len(both) == 1:
            ax.set_visible(False)
        else:
            name = next(iter(both)) if j < i else "samples"
            scatter(ax, both[name][:, [j, i]], COLORS[name], ms=1.5, alpha=0.7, label=name)
            ax.set(xlim=limits[j], ylim=limits[i])
    _name_axes(panels, labels)
    places = ["below the diagonal", "above"]
    handles = [
        Line2D([], [], color=COLORS[name], lw=3, label=f"{name} ({len(rows)} rows, {place})")
        for (name, rows), place in zip(both.items(), places, strict=False)
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)


def _draw_histograms(both: Mapping[str, np.ndarray], column: int, ax: Axes) -> None:
    values = {name: rows[:, column] for name, rows in both.items()}
    bins = np.histogram_bin_edges(np.concatenate(list(values.values())), bins="auto").tolist()
    for name, value in values.items():
        ax.hist(value, bins, density=True, histtype="step", color=COLORS[name], lw=1.5, label=name)


def _limits(both: Mapping[str, np.ndarray], column: int) -> tuple[float, float]:
    """Return the least and largest value of both, with a margin of a twentieth."""
    values = np.concatenate([rows[:, column] for rows in both.values()])
    margin = 0.05 * np.ptp(values)
    return values.min() - margin, values.max() + margin


def _name_axes(panels: np.ndarray, labels: Sequence[str]) -> None:
    """Name columns at the bottom and rows at the left; the first row, at the right.

    At the left of the first row there is a histogram, whose vertical axis is another.
    """
    for k, label in enumerate(labels):
        panels[-1, k].set_xlabel(label)
        named, others = (panels[k, 0], panels[k, 1:]) if k else (panels[0, -1], panels[0, 1:-1])
        named.set_ylabel(label)
        for ax in others:
            ax.tick_params(labelleft=False)
    panels[0, -1].yaxis.set_label_position("right")
    panels[0, -1].yaxis.tick_right()
