"""The pictures of a diagnosis's panels, each with words for those who do not see it."""

from collections.abc import Iterator
from functools import singledispatch

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brenier.diagnostics.panels import (
    AbstractPanel,
    ColumnsPanel,
    ContextPanel,
    CorrelationsPanel,
    Curve,
    CurvesPanel,
    IntervalsPanel,
    Marginal,
    Pair,
    PermutationPanel,
    RanksPanel,
)
from brenier.plots.diagnosis.svg import BAND, DRAWS, FAINT, INK, ROWS, new_figure, small_figure

# Rows and columns of a matrix that are still read; the others are left out.
MOST_CELLS = 12
# How much fainter what chance makes is shown.
FAINTER = 0.35
LINES = ("-", "--", ":", "-.")

Picture = tuple[Figure, str]
"""A figure, and what it shows in words."""


@singledispatch
def pictures(panel: AbstractPanel) -> Iterator[Picture]:
    """Yield what a panel shows; to be called in the style of a page."""
    raise TypeError(f"Expected a panel that has pictures; got {type(panel).__name__}.")


@pictures.register
def _(panel: CurvesPanel) -> Iterator[Picture]:
    for curve in panel.curves:
        yield _curve(curve, panel.x_label, panel.y_label), _of_curve(panel.title, curve)


@pictures.register
def _(panel: RanksPanel) -> Iterator[Picture]:
    for curve, counts in zip(panel.curves, panel.counts, strict=True):
        figure, ax = small_figure()
        edges = np.linspace(0.0, 1.0, len(counts) + 1)
        ax.stairs(panel.high, edges, baseline=panel.low, fill=True, color=BAND)
        ax.stairs(counts, edges, color=ROWS, lw=1.4)
        ax.set(title=curve.label, xlabel="rank among draws", ylabel="rows", xlim=(0, 1), ylim=0)
        yield (
            figure,
            f"{panel.title}, {curve.label}: rows by rank among {panel.n_draws} draws, from "
            f"{counts.min()} to {counts.max()} in {len(counts)} bins.",
        )


@pictures.register
def _(panel: CorrelationsPanel) -> Iterator[Picture]:
    squares = tuple(f"{label}^2" for label in panel.labels)
    for what, matrix, bound, columns in (
        ("z with z", panel.z, panel.bounds[0], panel.labels),
        ("z with z^2", panel.mixed, panel.bounds[1], squares),
        ("z^2 with z^2", panel.squares, panel.bounds[2], squares),
    ):
        rows = squares if what.startswith("z^2") else panel.labels
        yield _matrix(what, matrix, rows, columns, bound, same=True)


@pictures.register
def _(panel: ContextPanel) -> Iterator[Picture]:
    squares = tuple(f"{label}^2" for label in panel.labels)
    yield _matrix("z with the context", panel.z, panel.labels, panel.contexts, panel.bounds[0])
    yield _matrix("z^2 with the context", panel.squares, squares, panel.contexts, panel.bounds[1])


@pictures.register
def _(panel: PermutationPanel) -> Iterator[Picture]:
    figure, ax = small_figure()
    ax.hist(panel.null, bins="auto", color=BAND, label="labels exchanged")
    ax.axvline(panel.statistic, color=ROWS, lw=1.6, label="rows and draws")
    ax.set(xlabel=panel.title, ylabel="exchanges")
    ax.legend()
    yield (
        figure,
        f"{panel.title}: {panel.statistic:.3g}; with labels exchanged from {panel.null.min():.3g} "
        f"to {panel.null.max():.3g}.",
    )


@pictures.register
def _(panel: ColumnsPanel) -> Iterator[Picture]:
    for marginal in panel.marginals:
        yield _marginal(marginal), f"Rows and draws of the column {marginal.sentence}"
    for pair in panel.pairs:
        yield _pair(pair), f"Rows less draws in two columns: {pair.sentence}"


@pictures.register
def _(panel: IntervalsPanel) -> Iterator[Picture]:
    target, context = panel.worst
    i, j = panel.targets.index(target), panel.contexts.index(context)
    tenths = np.flatnonzero(panel.counts[j])
    figure, ax = small_figure()
    for k, level in enumerate(panel.levels):
        coverage = panel.coverage[i, j, tenths, k]
        low, high = panel.low[i, j, tenths, k], panel.high[i, j, tenths, k]
        ax.fill_between(tenths + 1, low, high, color=BAND, lw=0)
        ax.axhline(level, color=FAINT, lw=0.8)
        ax.plot(tenths + 1, coverage, LINES[k % len(LINES)], marker="o", ms=3, color=ROWS)
        ax.annotate(f"{level:.0%}", (tenths[-1] + 1.2, level), color=INK, fontsize=8, va="center")
    ax.set(xlabel=f"tenth of {context}", ylabel=f"share of {target} within", ylim=(0, 1.02))
    worst = np.nanmax(np.abs(panel.coverage[i, j] - panel.levels))
    yield (
        figure,
        f"{panel.title}: {target} by tenths of {context}; at most {worst:.0%} off what intervals "
        "promise.",
    )


def _curve(curve: Curve, x_label: str, y_label: str) -> Figure:
    figure, ax = small_figure()
    ax.fill_between(curve.at, curve.low, curve.high, color=BAND, lw=0)
    ax.axhline(0.0, color=FAINT, lw=0.8)
    ax.plot(curve.at, curve.difference, color=ROWS, lw=1.4)
    ax.set(title=curve.label, xlabel=x_label, ylabel=y_label, xlim=(0, 1))
    return figure


def _of_curve(title: str, curve: Curve) -> str:
    outside = np.mean((curve.difference < curve.low) | (curve.difference > curve.high))
    where = f"outside the band over {outside:.0%} of it" if outside else "within the band"
    furthest = int(np.argmax(np.abs(curve.difference)))
    return (
        f"{title}, {curve.label}: {where}; furthest off by {curve.difference[furthest]:+.3f} at "
        f"{curve.at[furthest]:.2f}."
    )


def _matrix(
    what: str,
    matrix: Float[np.ndarray, "n q"],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    bound: float,
    *,
    same: bool = False,
) -> Picture:
    """Draw correlations as squares, filled where they are beyond what chance makes."""
    largest = np.abs(matrix)
    if same:
        largest = largest * (1.0 - np.eye(len(matrix)))
    shown, across = _worst(largest, 1), _worst(largest, 0)
    if same:
        across = shown
    part = largest[np.ix_(shown, across)]
    side = 0.26 * max(len(shown), len(across)) + 1.2
    figure, ax = new_figure((max(2.2, side), max(2.0, side)))
    for (i, j), value in np.ndenumerate(part):
        strength = min(1.0, value / (2.0 * bound))
        color = ROWS if matrix[shown[i], across[j]] > 0 else DRAWS
        half = 0.5 * np.sqrt(strength)
        corners = (
            (j - half, j + half, j + half, j - half),
            (i - half, i - half, i + half, i + half),
        )
        ax.fill(*corners, color=color, alpha=1.0 if value > bound else FAINTER, lw=0)
    ax.set(title=what, xlim=(-0.5, len(across) - 0.5), ylim=(len(shown) - 0.5, -0.5), aspect=1)
    ax.set_xticks(range(len(across)), [columns[j] for j in across], rotation=90)
    ax.set_yticks(range(len(shown)), [rows[i] for i in shown])
    i, j = np.unravel_index(np.argmax(largest), largest.shape)
    return (
        figure,
        f"Correlations of {what}: the largest is {matrix[i, j]:+.2f}, of {rows[i]} and "
        f"{columns[j]}; chance stays below {bound:.2f}.",
    )


def _worst(largest: Float[np.ndarray, "n q"], axis: int) -> np.ndarray:
    """Return where the largest entries are, in their order; all where they are few."""
    most = np.max(largest, axis=axis)
    return np.sort(np.argsort(-most, kind="stable")[:MOST_CELLS])


def _marginal(marginal: Marginal) -> Figure:
    figure, ax = small_figure()
    widths = np.diff(marginal.edges)
    ax.stairs(marginal.rows / widths, marginal.edges, color=ROWS, lw=1.4, label="rows")
    ax.stairs(marginal.draws / widths, marginal.edges, color=DRAWS, lw=1.4, ls="--", label="draws")
    ax.set(xlabel=marginal.name, ylabel="density", ylim=0)
    ax.legend()
    return figure


def _pair(pair: Pair) -> Figure:
    """Draw the cells where there are more rows than draws, and those where there are fewer."""
    figure, ax = small_figure()
    more = pair.rows - pair.draws
    # Faint where it is what chance makes.
    largest = (np.abs(more).max() or 1.0) / (1.0 if pair.scaled > 1 else FAINTER)
    for (i, j), value in np.ndenumerate(more):
        x, y = pair.x_edges[i : i + 2], pair.y_edges[j : j + 2]
        color, strength = (ROWS if value > 0 else DRAWS), abs(value) / largest
        ax.fill(
            [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]], color=color, alpha=strength, lw=0
        )
    ax.set(xlabel=pair.names[0], ylabel=pair.names[1])
    _legend(ax)
    return figure


def _legend(ax: Axes) -> None:
    ax.fill([], [], color=ROWS, label="more rows")
    ax.fill([], [], color=DRAWS, label="more draws")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1)
