"""Figures of the reproduction: no line is known by its colour alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brenier.optimizers.slimtrain import FIRST
from brenier.plots.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from brenier.reproduce.picture import Picture, new_figure
from brenier.reproduce.slimtrain.measured import Measured
from brenier.reproduce.slimtrain.problems import Problem
from brenier.reproduce.slimtrain.setting import (
    ADAM,
    ADAM_MECHANIC,
    ADAM_OPTIMAL,
    SLIMTRAIN,
    SLIMTRAIN_MECHANIC,
    Scheme,
)

Style = dict[str, Any]

STYLES: dict[str, Style] = {
    ADAM: {"color": VERMILLION, "marker": "v", "ls": "--"},
    ADAM_OPTIMAL: {"color": ORANGE, "marker": "s", "ls": ":"},
    ADAM_MECHANIC: {"color": PURPLE, "marker": "^", "ls": (0, (5, 1, 1, 1, 1, 1))},
    SLIMTRAIN: {"color": BLUE, "marker": "o", "ls": "-"},
    SLIMTRAIN_MECHANIC: {"color": GREEN, "marker": "D", "ls": "-."},
}
WORDS = {
    ADAM: "Adam, random W",
    ADAM_OPTIMAL: "Adam, optimal first W",
    ADAM_MECHANIC: "Adam, random W, Mechanic",
    SLIMTRAIN: "slimTrain",
    SLIMTRAIN_MECHANIC: "slimTrain, Mechanic",
}
# Of the second figure, from above.
BY_UNITS = (ADAM, SLIMTRAIN, SLIMTRAIN_MECHANIC)
# By learning rate, of the second figure.
OF_RATES: tuple[Style, ...] = (
    {"color": PURPLE, "ls": ":"},
    {"color": GREEN, "ls": "-."},
    {"color": BLUE, "ls": "-"},
    {"color": VERMILLION, "ls": "--"},
)
CAPITAL, SMALL = "\N{GREEK CAPITAL LETTER LAMDA}", "\N{GREEK SMALL LETTER LAMDA}"
UNITS, LOSS = "work units (thousands of passes of a sample)", "validation loss"
WIDTH, HEIGHT, ABOVE = 4.2, 3.5, 0.5


def figures(measured: Measured) -> list[Picture]:
    """Return every figure."""
    return [figure_rates(measured), figure_units(measured), figure_lambdas(measured)]


def figure_rates(measured: Measured) -> Picture:
    """Draw the validation loss against the learning rate."""
    setting = measured.setting
    panels, figure = _panels(measured, 1)
    for ax, problem in zip(panels[0], setting.problems, strict=True):
        for k, scheme in enumerate(setting.compared):
            losses = measured.table(problem, scheme, setting.rates)
            style = STYLES[scheme.family]
            # Side by side, so that no point covers another.
            place = np.asarray(setting.rates) * 1.06 ** (k - len(STYLES) // 2)
            ax.plot(place, losses.mean(axis=0), lw=1.6, ms=6, **style)
            for seed in losses:
                ax.plot(place, seed, ls="", marker=style["marker"], ms=2.5, color=style["color"])
        ax.set(title=problem.title, xlabel="learning rate", xscale="log", yscale="log")
    panels[0, 0].set_ylabel(LOSS)
    handles = [Line2D([], [], label=WORDS[f], **style) for f, style in STYLES.items()]
    _legend(figure, handles)
    return Picture(
        "figure-rates",
        f"Validation loss of the best iterate against the learning rate, {setting.epochs} epochs, "
        f"mini-batches of {setting.batch_rows}. Lines: means over seeds; small: each seed.",
        figure,
    )


def figure_units(measured: Measured) -> Picture:
    """Draw the validation loss against work units, by learning rate."""
    setting = measured.setting
    panels, figure = _panels(measured, len(BY_UNITS))
    for row, scheme in zip(panels, map(setting.scheme, BY_UNITS), strict=True):
        for ax, problem in zip(row, setting.problems, strict=True):
            for rate, style in zip(setting.fewer_rates, OF_RATES, strict=False):
                ax.plot(*_curve(measured, problem, scheme, rate), lw=1.6, **style)
            ax.set_yscale("log")
        row[0].set_ylabel(f"{WORDS[scheme.family]}\n{LOSS}")
    for ax, problem in zip(panels[0], setting.problems, strict=True):
        ax.set_title(problem.title)
    for column in panels.T:
        column[-1].set(xlabel=UNITS)
        limits = [limit for ax in column for limit in ax.get_ylim()]
        for ax in column:
            ax.set_ylim(min(limits), max(limits))
    handles = [
        Line2D([], [], label=f"learning rate {rate:g}", lw=1.6, **style)
        for rate, style in zip(setting.fewer_rates, OF_RATES, strict=False)
    ]
    _legend(figure, handles)
    return Picture(
        "figure-units",
        "Validation loss against work units, by learning rate: above Adam on all weights from a "
        "random W, in the middle slimTrain from the same, below slimTrain with Mechanic's scale of "
        "steps. Geometric means over seeds of each epoch's last iterate.",
        figure,
    )


def figure_lambdas(measured: Measured) -> Picture:
    """Draw lambda_k of every mini-batch, and their sum Lambda_k."""
    setting = measured.setting
    panels, figure = _panels(measured, 1)
    slimtrain, seed = setting.scheme(SLIMTRAIN), setting.seeds[0]
    for ax, problem in zip(panels[0], setting.problems, strict=True):
        run = measured.by_key[problem.name, slimtrain.label, setting.shown_rate, seed]
        _draw_lambdas(ax, run.changes)
        ax.set(title=problem.title, xlabel="mini-batch k", yscale="log")
    up = {"color": GREEN, "marker": "o", "ms": 3}
    down = {"color": VERMILLION, "marker": "x", "ms": 4}
    handles = [
        Line2D([], [], color=BLUE, label=f"{CAPITAL}, the sum"),
        Line2D([], [], ls="", label=f"{SMALL} > 0", **up),
        Line2D([], [], ls="", label=f"|{SMALL}|, {SMALL} < 0", **down),
    ]
    _legend(figure, handles)
    return Picture(
        "figure-lambdas",
        "What sampled cross-validation chooses, mini-batch by mini-batch, and the sum that "
        f"regularises: slimTrain at the learning rate {setting.shown_rate:g}, first seed. Changes "
        "below a millionth of the sum are not drawn.",
        figure,
    )


# Of the sum: changes below are as good as none.
DRAWN = 1e-6


def _draw_lambdas(ax: Axes, changes: Sequence[float]) -> None:
    change = np.asarray(changes)
    total, k = FIRST + np.cumsum(change), np.arange(1, len(change) + 1)
    up, down = change > DRAWN * total, change < -DRAWN * total
    ax.plot(k[up], change[up], "o", ms=1.6, mew=0, color=GREEN, rasterized=True)
    ax.plot(k[down], -change[down], "x", ms=2.4, mew=0.6, color=VERMILLION, rasterized=True)
    ax.plot(k, total, color=BLUE, lw=1.6)


def _curve(
    measured: Measured, problem: Problem, scheme: Scheme, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return work units, and the geometric mean of the seeds' validation losses there."""
    runs = [
        measured.by_key[problem.name, scheme.label, rate, seed] for seed in measured.setting.seeds
    ]
    losses = np.exp(np.mean([np.log(run.validation) for run in runs], axis=0))
    return np.asarray(runs[0].history["work_units"]) / 1e3, losses


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put what lines are above the panels, in two columns where there is one panel only."""
    ncols = 2 if figure.get_figwidth() < 2 * WIDTH else len(handles)
    figure.legend(handles=handles, loc="outside upper center", ncols=ncols, frameon=False)


def _panels(measured: Measured, n_rows: int) -> tuple[np.ndarray, Figure]:
    """Return axes, a column for every problem, and their figure."""
    n = len(measured.setting.problems)
    figure = new_figure(WIDTH * n, HEIGHT * n_rows + ABOVE)
    return figure.subplots(n_rows, n, squeeze=False), figure
