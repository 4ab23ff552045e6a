"""Figures of the reproduction of GNvpro: losses and accuracies, and Figure 2.1's own picture.

No line is known by its colour alone: methods have markers, those without elimination are dashed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import softmax

from brenier.plots.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from brenier.reproduce.gnvpro.methods import (
    GAUSS_NEWTON,
    GAUSS_NEWTON_RANDOM,
    GNVPRO,
    GNVPRO_PLAIN,
    LBFGS_FULL,
    LBFGS_VARPRO,
)
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Iterates, Run, Store
from brenier.reproduce.gnvpro.results import Results
from brenier.reproduce.gnvpro.runs import Drawn
from brenier.reproduce.gnvpro.setting import SHOWN
from brenier.reproduce.gnvpro.tables import TEST_ACCURACY, Shown, compared
from brenier.reproduce.picture import Picture, new_figure

Style = dict[str, Any]
Draw = Callable[[Axes, Results, Problem, Shown, Style], None]
STYLES: dict[str, Style] = {
    GNVPRO: {"color": BLUE, "marker": "o"},
    GNVPRO_PLAIN: {"color": BLUE, "marker": "D", "ls": ":"},
    LBFGS_VARPRO: {"color": GREEN, "marker": "s"},
    GAUSS_NEWTON: {"color": BLUE, "marker": "o", "mfc": "white", "ls": "--"},
    LBFGS_FULL: {"color": GREEN, "marker": "s", "mfc": "white", "ls": "--"},
    GAUSS_NEWTON_RANDOM: {"color": PURPLE, "marker": "P", "ls": ":"},
    "best adam": {"color": VERMILLION, "marker": "v", "ls": "--"},
    "best sgd": {"color": ORANGE, "marker": "^", "ls": "--"},
}
PASSES = "work units / training rows"
# Points of a curve.
N_POINTS = 80
# Iterates of Figure 2.1's decision surfaces, and points of a side.
TIMES, N_GRID = (1, 5, 25), 121
# Of one hue each, light where the network is not sure; the points' colours are theirs.
SURFACE, POINTS = "PuOr", (ORANGE, PURPLE)
COLUMNS = 3
# Of Figure 2.1, and what they are called there.
COMPARED = {
    GNVPRO: "with elimination",
    GAUSS_NEWTON: "without, from the optimal W",
    GAUSS_NEWTON_RANDOM: "without, from a random W",
}


def figure_losses(results: Results) -> Picture:
    """Draw the lowest validation loss so far against work units, problem by problem."""
    return Picture(
        "losses",
        "Lowest validation loss so far against work units. Lines: medians over the seeds; bands: "
        "from the least to the greatest. Dashed: nothing is eliminated. Of Adam and SGD the best "
        "of a grid, chosen by these rows in hindsight.",
        _panels(results, results.setting.problems, _losses),
    )


def figure_longer(results: Results) -> Picture:
    """Draw the same of the longer runs."""
    setting = results.setting
    figure = _panels(results, setting.problems, _losses)
    for ax, problem in zip(figure.axes, setting.problems, strict=False):
        _compare_at_share(ax, results, problem)
    return Picture(
        "losses-longer",
        f"The same of the longer runs, {setting.passes:,} passes: GNvpro and L-BFGS with "
        "elimination, and of Adam the best in hindsight. Dotted: GNvpro's median with "
        f"{setting.share:.0%} of the work, which is compared with Adam's with all of it.",
        figure,
    )


def _losses(ax: Axes, results: Results, problem: Problem, shown: Shown, style: Style) -> None:
    units = _units(results, problem)
    values = np.array([run.best_so_far(units) for run in shown.runs])
    _band(ax, units / problem.n_train, values, style)
    ax.set(yscale="log", ylabel=f"validation loss ({problem.loss})")


def _compare_at_share(ax: Axes, results: Results, problem: Problem) -> None:
    """Draw the level that a method has at the share of the work."""
    setting = results.setting
    units = setting.share * setting.budget(problem)
    level = np.median([run.best_at(units) for run in results.of(problem, GNVPRO)])
    passes = units / problem.n_train
    ax.plot([passes, setting.passes], [level, level], color=BLUE, ls=":", lw=1.2)
    ax.plot([passes], [level], marker="|", ms=12, color=BLUE)


def figure_accuracies(results: Results) -> Picture | None:
    """Draw the accuracy on test rows against work units; None without a classification."""
    classifications = [problem for problem in results.setting.problems if problem.classifies]
    if not classifications:
        return None
    return Picture(
        "accuracies",
        "Share of test rows whose class is the likeliest, of the iterate with the lowest "
        "validation loss so far. Lines: medians over the seeds; bands: from the least to the "
        "greatest.",
        _panels(results, classifications, _accuracies),
    )


def _accuracies(ax: Axes, results: Results, problem: Problem, shown: Shown, style: Style) -> None:
    units = _units(results, problem)
    values = np.array([run.of_best_so_far(units, TEST_ACCURACY) for run in shown.runs])
    _band(ax, units / problem.n_train, values, style)
    ax.set(ylabel="test rows whose class is the likeliest")


def _units(results: Results, problem: Problem) -> Float[np.ndarray, " k"]:
    # From one pass through the training rows on.
    return np.geomspace(problem.n_train, results.setting.budget(problem), N_POINTS)


def _panels(results: Results, problems: Sequence[Problem], draw: Draw) -> Figure:
    n_rows = -(-len(problems) // COLUMNS)
    n_columns = min(len(problems), COLUMNS)
    figure = new_figure(4.6 * n_columns, 3.6 * n_rows + 0.6)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for ax, problem in zip(panels, problems, strict=False):
        found = compared(results, problem)
        drawn = [one for one in found if one.name in STYLES and one.name != GAUSS_NEWTON_RANDOM]
        for position, one in enumerate(drawn):
            style = {**STYLES[one.name], "markevery": (2 * position, 16)}
            draw(ax, results, problem, one, style)
            handles[one.name] = ax.plot([], [], label=one.name, **STYLES[one.name])[0]
        ax.set(xscale="log", xlabel=PASSES, title=problem.title)
    for ax in panels[len(problems) :]:
        ax.set_axis_off()
    figure.legend(
        handles=list(handles.values()),
        loc="outside upper center",
        ncols=len(handles),
        frameon=False,
    )
    return figure


def _band(
    ax: Axes, x: Float[np.ndarray, " k"], values: Float[np.ndarray, "s k"], style: Style
) -> None:
    ax.plot(x, np.median(values, axis=0), lw=1.6, ms=5, **style)
    low, high = values.min(axis=0), values.max(axis=0)
    ax.fill_between(x, low, high, color=style["color"], alpha=0.09, lw=0)


def figure_2_1(results: Results, store: Store) -> Picture | None:
    """Draw Figure 2.1's own picture; None where its problem is not run."""
    setting = results.setting
    problem = setting.problem(SHOWN)
    if problem is None:
        return None
    seed = setting.seeds[0]
    figure = new_figure(14.0, 10.0)
    # Two panels of curves, as high together as the three rows of surfaces.
    halves: Any = figure.subfigures(1, 2, width_ratios=[1.0, 1.9])
    curves, surfaces = halves
    axes = [*curves.subplots(2, 1)]
    panels = surfaces.subplots(len(COMPARED), len(TIMES))
    drawn = Drawn.of(setting, problem, seed)
    for row, (label, name) in zip(panels, COMPARED.items(), strict=True):
        (run,) = (run for run in results.of(problem, label) if run.seed == seed)
        _losses_and_accuracies(axes, run, name)
        iterates = store.iterates(problem.name, label, seed)
        for ax, time in zip(row, TIMES, strict=True):
            _surface(ax, drawn, run, iterates, min(time, len(iterates.theta) - 1))
        row[0].set_ylabel(name.replace(", ", ",\n"))
    axes[0].set(yscale="log", ylabel="training loss (cross-entropy)")
    axes[1].set(ylabel="training rows whose class is the likeliest")
    for ax in axes:
        ax.set(xlim=(0, 2 * TIMES[-1]), xlabel="outer iterations")
        ax.legend(frameon=False)
    return Picture(
        "figure-2-1",
        f"Figure 2.1's own picture, {problem.title.lower()}, first seed: Gauss-Newton with and "
        "without elimination of W, the latter from the optimal W of the first network, with which "
        "the former begins, and from a random one. Left: training loss, without the "
        "penalties, and accuracy. Right: "
        f"probability of a class after {', '.join(map(str, TIMES))} iterations, and the share of "
        "training rows, drawn as points, whose class is the likeliest; black: where both classes "
        "are as likely.",
        figure,
    )


def _losses_and_accuracies(axes: Sequence[Axes], run: Run, name: str) -> None:
    n = 1 + 2 * TIMES[-1]
    style = {**STYLES[run.label], "lw": 1.6, "ms": 5, "markevery": 5}
    for ax, key in zip(axes, ("train", "train accuracy"), strict=True):
        ax.plot(run.history["iteration"][:n], run.history[key][:n], label=name, **style)


def _surface(ax: Axes, drawn: Drawn, run: Run, iterates: Iterates, time: int) -> None:
    """Draw the probability of the second class at an iterate."""
    train = drawn.parts["train"]
    low, high = 1.1 * train.X.min(axis=0), 1.1 * train.X.max(axis=0)
    lines = [np.linspace(a, b, N_GRID) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2)
    with jax.enable_x64(True):
        outputs = drawn.separable.predictions(iterates.theta[time], iterates.w[time], grid)
    probability = softmax(np.asarray(outputs), axis=1)[:, 1].reshape(N_GRID, N_GRID)
    ax.contourf(*lines, probability, levels=np.linspace(0, 1, 21), cmap=SURFACE)
    ax.contour(*lines, probability, levels=[0.5], colors="black", linewidths=1.2)
    for k, (colour, marker) in enumerate(zip(POINTS, "os", strict=True)):
        own = train.X[train.Y[:, k] > 0]
        ax.plot(*own.T, marker, ms=3.2, mew=0.4, mec="white", color=colour, ls="")
    right = run.history["train accuracy"][time]
    number = int(run.history["iteration"][time])
    ax.set_title(f"iteration {number}: {right:.1%}", fontsize="medium")
    ax.set(xticks=[], yticks=[], aspect="equal")
