"""Tables of the reproduction of GNvpro.

A loss "at" so many work units is the lowest validation loss within them, which is what a run that
is stopped early returns; losses and shares of test rows are of the same iterate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from brenier.reproduce.gnvpro.methods import ADAM, FAMILIES, Method
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Run
from brenier.reproduce.gnvpro.results import Results, losses_of_folds
from brenier.reproduce.tables import Entry, Table

TEST_ACCURACY = "test accuracy"
# After a problem's name: of the longer runs.
LONGER = "-longer"


@dataclass(frozen=True)
class Shown:
    """Runs that tables and pictures show, under a name.

    Attributes
    ----------
    name : str
        A method's, "best" or "chosen" of a grid.
    words : str
        Which member of the grid that is.
    runs : list of Run
        One of each seed.
    """

    name: str
    words: str
    runs: list[Run]

    @property
    def row(self) -> str:
        """What it is called in tables."""
        return f"{self.name} ({self.words})" if self.words else self.name


def compared(results: Results, problem: Problem) -> list[Shown]:
    """Return what is shown of a problem: of each grid the best, of Adam the chosen one, too."""
    shown = [
        Shown(method.label, "", found)
        for method in results.setting.methods
        if not method.family and (found := results.of(problem, method.label))
    ]
    for family in FAMILIES:
        if results.ranked(problem, family):
            best = results.best(problem, family)
            shown.append(Shown(f"best {family}", best.words, results.of(problem, best.label)))
    if chosen := results.chosen(problem):
        words = f"{results.choice[problem.name].words}, by cross-validation"
        shown.append(Shown(f"chosen {ADAM}", words, chosen))
    return shown


def table_of(results: Results, problem: Problem) -> Table:
    """Return losses at equal work units by method."""
    setting = results.setting
    budget, adam = setting.budget(problem), results.best(problem, ADAM)
    targets = {run.seed: run.best_at(budget) for run in results.of(problem, adam.label)}
    entries = []
    for shown in compared(results, problem):
        row, found = shown.row, shown.runs
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
            f"{setting.passes:,} times the training rows. Mean \N{PLUS-MINUS SIGN} standard "
            f"deviation over {len(setting.seeds)} seed(s).",
            "Losses are the lowest on validation rows so far, and on test rows that of the same "
            "iterate. The best of a grid is chosen in hindsight, by the mean of these.",
            "To best Adam's loss: work units until the validation loss is at most what the best "
            "Adam reaches from the same seed with all of the work; a miss counts as all of it.",
        ],
    )


def table_longer(results: Results, problem: Problem) -> Table:
    """Return the same of the longer runs."""
    setting, table = results.setting, table_of(results, problem)
    n, n_run = len(setting.of_family(ADAM)), len(results.ranked(problem, ADAM))
    notes = list(table.notes)
    if n_run < n:
        notes.append(
            f"Of the grid of {n} {n_run} were run as long: the {setting.long_of_grid} lowest of "
            "the shorter runs, and what cross-validation chose."
        )
    title = f"{table.title}, {setting.passes:,} passes"
    return Table(f"{problem.name}{LONGER}", title, table.entries, notes)


def _units_to(row: str, runs: Sequence[Run], targets: dict[int, float], budget: int) -> Entry:
    units = [run.units_to(targets[run.seed]) for run in runs]
    missed = sum(map(math.isnan, units))
    counted = [float(budget) if math.isnan(value) else value for value in units]
    note = f"{missed} of {len(units)} missed" if missed else ""
    return Entry.of(row, "to best Adam's loss", "work units", counted, note)


def table_grid(results: Results, family: str, suffix: str = "") -> Table:
    """Return the validation losses of a grid, by problem and mini-batch and by learning rate."""
    setting, entries = results.setting, []
    for problem in setting.problems:
        best = results.best(problem, family).label
        ran = {method.label for method in results.ranked(problem, family)}
        for method in setting.of_family(family):
            if method.label not in ran:
                continue
            losses = [
                run.best_at(setting.budget(problem)) for run in results.of(problem, method.label)
            ]
            note = "best" if method.label == best else ""
            entries.append(_of_grid(problem, method, losses, note))
    return Table(
        f"grid-{family}{suffix}",
        f"The grid of {family}: validation loss after {setting.passes:,} passes",
        entries,
        ["The lowest on validation rows, looked at every few epochs and before the first."],
    )


def table_folds(results: Results, folds: Sequence[Run]) -> Table:
    """Return the losses that the grid of Adam was chosen by."""
    setting, entries = results.setting, []
    for problem in setting.claimed:
        chosen = results.choice[problem.name].label
        for method in setting.of_family(ADAM):
            losses = losses_of_folds(setting, folds, problem, method)
            note = "chosen" if method.label == chosen else ""
            entries.append(_of_grid(problem, method, losses, note))
    return Table(
        f"grid-{ADAM}-folds",
        f"The grid of {ADAM} by {setting.folds}-fold cross-validation on training rows",
        entries,
        [
            f"Training rows of {setting.fold_seeds} of {len(setting.seeds)} seed(s), "
            f"{setting.passes:,} passes. The lowest loss of the fold left out: mean "
            "\N{PLUS-MINUS SIGN} standard deviation over the folds.",
        ],
    )


def _of_grid(problem: Problem, method: Method, losses: Sequence[float], note: str) -> Entry:
    row = f"{problem.name}, mini-batches of {method.batch_rows}"
    return Entry.of(row, f"rate {method.learning_rate:g}", "", losses, note)
