"""Tables of the reproduction of GNvpro.

A loss "at" so many work units is the lowest validation loss within them, which is what a run that
is stopped early returns; losses and shares of test rows are of the same iterate.
"""

import math
from collections.abc import Sequence

from brenier.reproduce.gnvpro.methods import ADAM, FAMILIES, Method
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Run
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.tables import Entry, Table, spread_of

TEST_ACCURACY = "test accuracy"


def of_method(runs: Sequence[Run], problem: Problem, label: str) -> list[Run]:
    """Return a method's runs on a problem."""
    return [run for run in runs if (run.problem, run.label) == (problem.name, label)]


def best_of(setting: GnvproSetting, runs: Sequence[Run], problem: Problem, family: str) -> Method:
    """Return the method of a grid with the lowest mean validation loss at all of the work units.

    In hindsight: no choice by training rows alone can be better by that measure.
    """
    budget = setting.budget(problem)

    def mean(method: Method) -> float:
        found = of_method(runs, problem, method.label)
        return spread_of(run.best_at(budget) for run in found).mean

    return min(setting.of_family(family), key=mean)


def compared(
    setting: GnvproSetting, runs: Sequence[Run], problem: Problem
) -> list[tuple[str, Method]]:
    """Return the methods that tables and pictures show with their names: of each grid the best."""
    best = {family: best_of(setting, runs, problem, family) for family in FAMILIES}
    return [
        *((method.label, method) for method in setting.methods if not method.family),
        *((f"best {family}", method) for family, method in best.items()),
    ]


def table_of(setting: GnvproSetting, runs: Sequence[Run], problem: Problem) -> Table:
    """Return losses at equal work units by method."""
    budget, methods = setting.budget(problem), compared(setting, runs, problem)
    adam = best_of(setting, runs, problem, ADAM)
    targets = {run.seed: run.best_at(budget) for run in of_method(runs, problem, adam.label)}
    entries = []
    for name, method in methods:
        found = of_method(runs, problem, method.label)
        row = f"{name} ({method.words})" if method.family else name
        for share in (setting.share, 1.0):
            losses = [run.best_at(share * budget) for run in found]
            entries.append(Entry.of(row, f"validation loss, {share:.0%} of the work", "", losses))
        losses = [run.best_at(budget, "test") for run in found]
        entries.append(Entry.of(row, "test loss", "", losses))
        if problem.classifies:
            right = [run.best_at(budget, TEST_ACCURACY) for run in found]
            entries.append(Entry.of(row, TEST_ACCURACY, "share", right))
        entries.append(_units_to(row, found, targets, budget))
    sizes = zip(("training", "validation", "test"), problem.sizes, strict=True)
    rows = ", ".join(f"{size} {part}" for part, size in sizes)
    network = " - ".join(map(str, problem.widths))
    return Table(
        problem.name,
        f"{problem.title}: {problem.loss}",
        entries,
        [
            f"{rows} rows; residual tanh network {network}; {budget:,} work units, "
            f"{setting.passes} times the training rows. Mean \N{PLUS-MINUS SIGN} standard "
            f"deviation over {len(setting.seeds)} seed(s).",
            "Losses are the lowest on validation rows so far, and on test rows that of the same "
            "iterate. The best of a grid is chosen in hindsight, by the mean of these.",
            "To best Adam's loss: work units until the validation loss is at most what the best "
            "Adam reaches from the same seed with all of the work; a miss counts as all of it.",
        ],
    )


def _units_to(row: str, runs: Sequence[Run], targets: dict[int, float], budget: int) -> Entry:
    units = [run.units_to(targets[run.seed]) for run in runs]
    missed = sum(map(math.isnan, units))
    counted = [float(budget) if math.isnan(value) else value for value in units]
    note = f"{missed} of {len(units)} missed" if missed else ""
    return Entry.of(row, "to best Adam's loss", "work units", counted, note)


def table_grid(setting: GnvproSetting, runs: Sequence[Run], family: str) -> Table:
    """Return the validation losses of a grid, by problem and mini-batch and by learning rate."""
    entries = []
    for problem in setting.problems:
        best = best_of(setting, runs, problem, family).label
        for method in setting.of_family(family):
            losses = [
                run.best_at(setting.budget(problem))
                for run in of_method(runs, problem, method.label)
            ]
            note = "best" if method.label == best else ""
            row = f"{problem.name}, mini-batches of {method.batch_rows}"
            entries.append(Entry.of(row, f"rate {method.learning_rate:g}", "", losses, note))
    return Table(
        f"grid-{family}",
        f"The grid of {family}: validation loss with all of the work",
        entries,
        ["The lowest on validation rows, looked at every few epochs and before the first."],
    )
