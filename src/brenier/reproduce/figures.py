"""Figures of a reproduction, as PNG and SVG.

No line is known by its colour alone: optimizers have markers, training and validation have line
styles.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from brenier.estimators import ConvexPotentialFlow
from brenier.plots import plot_density, plot_map
from brenier.plots.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from brenier.reproduce.picture import Picture, new_figure
from brenier.reproduce.record import Run
from brenier.reproduce.setting import Setting
from brenier.reproduce.tables import good

COLOURS = {
    "adam": VERMILLION,
    "adam-varpro": ORANGE,
    "lbfgs-varpro": BLUE,
    "adam-lbfgs-varpro": GREEN,
    "gd-varpro": SKY,
    "gauss-newton-varpro": PURPLE,
    "lbfgs-full": BLUE,
    "gauss-newton-full": PURPLE,
    "default": "#000000",
}
MARKERS = {
    "adam": "v",
    "adam-varpro": "^",
    "lbfgs-varpro": "o",
    "adam-lbfgs-varpro": "s",
    "gd-varpro": "D",
    "gauss-newton-varpro": "P",
    "lbfgs-full": "X",
    "gauss-newton-full": "*",
    "default": "h",
}
UNITS, LOSS = "work units (passes of single samples)", "loss J (nats)"
FIGURE_2_1 = (
    ("Gauss-Newton", "gauss-newton-varpro", "gauss-newton-full"),
    ("L-BFGS", "lbfgs-varpro", "lbfgs-full"),
)
# Normal points in Figure 4.2.
N_REFERENCE = 2000
# Nothing is drawn above this J: the first iterates of some optimizers are far higher.
HIGHEST_J = 1.0


def figure_2_1(setting: Setting, runs: Sequence[Run]) -> Picture | None:
    """Draw training loss against iterations and work units, with and without elimination.

    None where no run of these optimizers ended well.
    """
    drawn = [line for line in FIGURE_2_1 if any(good(runs, optimizer) for optimizer in line[1:])]
    if not drawn:
        return None
    figure = new_figure(10.0, 3.8 * len(drawn) + 0.4)
    panels = figure.subplots(len(drawn), 2, sharey=True, squeeze=False)
    for row, (name, reduced, full) in zip(panels, drawn, strict=True):
        _with_and_without(row[0], setting, good(runs, reduced), good(runs, full), "iteration")
        _with_and_without(row[1], setting, good(runs, reduced), good(runs, full), "work_units")
        row[0].set(title=name, xlabel="outer iterations", ylabel=f"training {LOSS}")
        row[1].set(title=name, xlabel=UNITS)
    handles = panels[0, 0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    labels = [optimizer for line in FIGURE_2_1 for optimizer in line[1:]]
    _limit(panels[0, 0], setting, runs, labels)
    return Picture(
        "figure-2-1",
        "Figure 2.1's point on these data: training loss of Gauss-Newton and of L-BFGS, with and "
        "without eliminating the last layer's weights; one line per seed.",
        figure,
    )


def _with_and_without(
    ax: Axes, setting: Setting, reduced: Sequence[Run], full: Sequence[Run], key: str
) -> None:
    """Draw the training losses of runs that eliminate w, and of runs that do not."""
    without = {"color": VERMILLION, "ls": "--", "marker": "s", "ms": 5}
    with_it = {"color": BLUE, "ls": "-", "marker": "o", "ms": 5}
    for runs, style, word in ((full, without, "without"), (reduced, with_it, "with")):
        for run in runs:
            ax.plot(run.history[key], run.history["train"], lw=1.5, markevery=0.15, **style)
        ax.plot([], [], label=f"{word} elimination", **style)
    _floor(ax, setting)
    ax.set_xscale("log")
    # Labels of minor ticks would cover each other.
    ax.xaxis.set_minor_formatter(NullFormatter())


def figure_4_1(setting: Setting, runs: Sequence[Run]) -> Picture | None:
    """Draw training and validation loss of all optimizers against work units in one plot.

    None where no run ended well.
    """
    if not any(run.finished for run in runs):
        return None
    figure = new_figure(10.5, 6.0)
    ax = figure.subplots()
    handles = []
    for i, label in enumerate(setting.labels):
        if ended := good(runs, label):
            style = {"color": COLOURS[label], "marker": MARKERS[label], "ms": 6}
            style["ls"] = "-." if label.endswith("-full") else "-"
            _draw_losses(ax, median_run(ended), 0.013 * i, style)
            handles.append(Line2D([], [], lw=1.6, label=label, **style))
    _floor(ax, setting)
    _limit(ax, setting, runs, setting.labels)
    ax.set(xscale="log", xlabel=UNITS, ylabel=LOSS)
    handles += _what_lines_are()
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    return Picture(
        "figure-4-1",
        "Figure 4.1: loss against work units, all optimizers; of each the seed with the median "
        "test loss. With markers: validation rows, the best iterate so far; faint: each iterate. "
        "Dotted: training rows. Hollow: the returned model, the best iterate (of default, which "
        "runs its optimizer several times, the weighted sum of their best).",
        figure,
    )


def _draw_losses(ax: Axes, run: Run, first_marker: float, style: dict[str, Any]) -> None:
    """Draw the losses of every run of the optimizer in a fit, and that of the returned model."""
    color = style["color"]
    for units, train, validation in histories(run):
        seen = np.isfinite(validation)
        best = np.minimum.accumulate(validation[seen])
        ax.plot(units, train, color=color, ls=":", lw=1.1)
        ax.plot(units[seen], best, lw=1.6, markevery=(first_marker, 0.14), **style)
        # Faint, since losses that jump about would cover all else.
        ax.plot(units[seen], validation[seen], color=color, lw=0.8, alpha=0.2)
    ax.plot(run.units, run.loss["validation"], **{**style, "ms": 9, "mfc": "white", "mew": 1.6})


def _what_lines_are() -> list[Line2D]:
    """Return the legend's entries for what is drawn of every optimizer."""
    hollow = {"ls": "", "marker": "o", "ms": 9, "mfc": "white", "mew": 1.6}
    styles: dict[str, dict[str, Any]] = {
        "validation rows, best so far": {"lw": 1.6},
        "validation rows, each iterate": {"lw": 0.8, "alpha": 0.4},
        "returned": hollow,
        "training rows": {"ls": ":", "lw": 1.1},
        "floor": {"ls": "--", "lw": 1},
    }
    return [Line2D([], [], color="0.3", label=name, **style) for name, style in styles.items()]


def figure_spread(setting: Setting, runs: Sequence[Run]) -> Picture:
    """Draw the test loss of every run, and the thesis's own numbers."""
    figure = new_figure(9.0, 4.8)
    ax = figure.subplots()
    for i, label in enumerate(setting.labels):
        J = [run.loss["test"] for run in good(runs, label)]
        style = {"color": COLOURS[label], "marker": MARKERS[label], "ms": 7, "alpha": 0.85}
        ax.plot(J, [i] * len(J), ls="", mew=0, **style)
        if label in setting.published:
            thesis = setting.published[label]
            ax.errorbar(
                thesis.mean, i + 0.28, xerr=thesis.sd, color="0.35", fmt="|", ms=9, capsize=3
            )
    if setting.published:
        ax.errorbar([], [], xerr=[], color="0.35", fmt="|", ms=9, capsize=3, label="thesis")
    ax.axvline(setting.floor, color="0.3", ls="--", lw=1, label="floor")
    ax.set_yticks(range(len(setting.labels)), setting.labels)
    ax.set(xlabel=f"test {LOSS}", ylim=(len(setting.labels) - 0.4, -0.6))
    ax.grid(axis="y", color="0.9", lw=0.8)
    ax.legend(frameon=False)
    return Picture(
        "figure-spread",
        "Test loss of every run, one marker per seed; in grey the thesis's mean and standard "
        "deviation where it gives them.",
        figure,
    )


def figure_4_2(name: str, flow: ConvexPotentialFlow, X: np.ndarray) -> Picture:
    """Draw data, their map, reference and generated samples, density, and the map's grid."""
    figure = new_figure(14.0, 8.8)
    panels = figure.subplots(2, 3)
    reference = np.random.default_rng(0).normal(size=(N_REFERENCE, 2))
    generated, inversion = flow.invert(reference)
    found = np.asarray(inversion.converged)
    lost = f"{np.sum(~found)} of {N_REFERENCE} reference samples have no preimage"
    low, high = X.min(axis=0), X.max(axis=0)
    low, high = low - 0.25 * (high - low), high + 0.25 * (high - low)
    beyond = np.sum(np.any((generated < low) | (generated > high), axis=1) & found)
    title = f"generated samples\n({np.sum(found)}, {beyond} of them outside)"
    _points(panels[0, 0], X, BLUE, f"data\n({len(X)} training rows)")
    _points(panels[1, 0], generated[found], VERMILLION, title)
    for ax in panels[:, 0]:
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    _points(panels[0, 1], flow.transform(X), BLUE, "map of the data", axis="z")
    title = f"reference samples\n({np.sum(~found)} of {N_REFERENCE} without preimage)"
    _points(panels[0, 2], reference[found], VERMILLION, title, axis="z")
    panels[0, 2].plot(*reference[~found].T, "x", ms=4, mew=0.8, color="black")
    _density_and_grid(panels[1, 1], panels[1, 2], flow, X)
    # Where the map is nearly flat its lines run far off.
    panels[1, 2].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return Picture(
        f"figure-4-2-{name}",
        f"Figure 4.2, {name}, first seed: data, map of the data, reference samples (crosses: "
        "without preimage), generated samples, density with the outlines of its densest 50, 90 "
        f"and 99 %, and the transport map's grid. {lost}; they are left out.",
        figure,
    )


def _density_and_grid(density: Axes, grid: Axes, flow: ConvexPotentialFlow, X: np.ndarray) -> None:
    with warnings.catch_warnings():
        # Points without a preimage are counted in the picture.
        warnings.simplefilter("ignore", UserWarning)
        try:
            plot_density(flow, ax=density)
        except RuntimeError as error:
            density.text(0.5, 0.5, str(error), ha="center", wrap=True)
        plot_map(flow, X, ax=grid)
    for ax in (density, grid):
        ax.set(xlabel="x0 (data units)", ylabel="x1 (data units)")


def _points(ax: Axes, points: np.ndarray, colour: str, title: str, *, axis: str = "x") -> None:
    ax.plot(*points.T, "o", ms=2.2, mew=0, color=colour, alpha=0.7, rasterized=True)
    unit = "data units" if axis == "x" else "standard deviations"
    ax.set(xlabel=f"{axis}0 ({unit})", ylabel=f"{axis}1 ({unit})")
    ax.set_title(title, fontsize="medium")
    if axis == "z":
        ax.set(xlim=(-4.2, 4.2), ylim=(-4.2, 4.2), aspect="equal")


def _floor(ax: Axes, setting: Setting) -> None:
    ax.axhline(setting.floor, color="0.3", ls="--", lw=1)


def _limit(ax: Axes, setting: Setting, runs: Sequence[Run], labels: Sequence[str]) -> None:
    """Show what lies below `HIGHEST_J`, and the floor."""
    shown = [r.history["train"] for r in runs if r.label in labels and r.finished]
    if shown:
        lowest = min(setting.floor, *(float(np.nanmin(history)) for history in shown))
        highest = min(HIGHEST_J, max(float(np.nanmax(history)) for history in shown))
        margin = 0.06 * (highest - lowest)
        ax.set_ylim(lowest - margin, highest + margin)


def histories(run: Run) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return work units (of all), training and validation loss, by run of the optimizer."""
    h = {key: np.asarray(values, dtype=float) for key, values in run.history.items()}
    of_each = [h["run"] == number for number in np.unique(h["run"])]
    return [(h["work_units"][one], h["train"][one], h["validation"][one]) for one in of_each]


def median_run(runs: Sequence[Run]) -> Run:
    """Return the run with the median test loss, the lower one of two."""
    return sorted(runs, key=lambda run: run.loss["test"])[(len(runs) - 1) // 2]
