"""Tables of the reproduction: validation losses by learning rate, of what is compared."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from brenier.reproduce.slimtrain.measured import Measured
from brenier.reproduce.slimtrain.problems import Problem
from brenier.reproduce.slimtrain.record import Run
from brenier.reproduce.slimtrain.setting import Scheme
from brenier.reproduce.tables import Entry, Table

WORST, LOWEST = "worst", "lowest"
MEANS = (
    "Validation loss J, half the squared distance of outputs to targets, of the best iterate; mean "
    "\N{PLUS-MINUS SIGN} standard deviation over {n} seed(s). Worst and lowest: of each seed over "
    "the learning rates, then the mean."
)


def tables(measured: Measured) -> list[Table]:
    """Return every table, problem by problem."""
    return [
        table
        for problem in measured.setting.problems
        for table in (
            _compared(measured, problem),
            _remembering(measured, problem),
            _regularised(measured, problem),
            _small(measured, problem),
        )
    ]


def _compared(measured: Measured, problem: Problem) -> Table:
    setting, entries = measured.setting, []
    for scheme in setting.compared:
        entries += _entries(measured, problem, scheme.label, scheme, setting.rates)
    for scheme in setting.compared:
        row = f"{scheme.label}, last iterate"
        entries += _entries(measured, problem, row, scheme, setting.rates, lambda run: run.last)
    for scheme in setting.compared:
        row = f"{scheme.label}, test rows"
        entries += _entries(measured, problem, row, scheme, setting.rates, lambda run: run.test)
    return Table(
        f"{problem.name}-rates",
        f"{problem.title}: learning rates",
        entries,
        [_note(measured), f"Mini-batches of {setting.batch_rows}, {setting.epochs} epochs."],
    )


def _remembering(measured: Measured, problem: Problem) -> Table:
    setting, entries = measured.setting, []
    for scheme in setting.remembering:
        row = f"r = {scheme.depth}"
        entries += _entries(measured, problem, row, scheme, setting.fewer_rates)
    title = f"{problem.title}: mini-batches that are remembered"
    return Table(f"{problem.name}-memory", title, entries, [_note(measured)])


def _regularised(measured: Measured, problem: Problem) -> Table:
    setting, entries = measured.setting, []
    for scheme in setting.regularised:
        fixed = scheme.change is not None
        row = f"lambda = {scheme.change:g}" if fixed else "by cross-validation"
        entries += _entries(measured, problem, row, scheme, setting.fewer_rates)
    title = f"{problem.title}: lambda of every mini-batch"
    return Table(f"{problem.name}-lambda", title, entries, [_note(measured)])


def _small(measured: Measured, problem: Problem) -> Table:
    setting, entries = measured.setting, []
    usual = [setting.scheme(small.family) for small in setting.small]
    for scheme in (*usual, *setting.small):
        row = f"{scheme.family}, {scheme.batch_rows} rows"
        entries += _entries(measured, problem, row, scheme, setting.fewer_rates)
    title = f"{problem.title}: smaller mini-batches"
    return Table(f"{problem.name}-batch", title, entries, [_note(measured)])


def _entries(
    measured: Measured,
    problem: Problem,
    row: str,
    scheme: Scheme,
    rates: Sequence[float],
    value: Callable[[Run], float] = lambda run: run.best,
) -> list[Entry]:
    losses = measured.table(problem, scheme, rates, value)
    of_rates = zip(rates, losses.T, strict=True)
    entries = [entry_of(row, f"{rate:g}", column) for rate, column in of_rates]
    entries.append(entry_of(row, WORST, losses.max(axis=1)))
    entries.append(entry_of(row, LOWEST, losses.min(axis=1)))
    return entries


def entry_of(row: str, quantity: str, losses: Float[np.ndarray, " s"]) -> Entry:
    """Return the entry of losses over seeds; in how many a loss was infinite, if in any."""
    n, lost = len(losses), int(np.sum(~np.isfinite(losses)))
    if lost:
        return Entry(row, quantity, "", math.nan, math.nan, n, f"no number in {lost} of {n}")
    return Entry.of(row, quantity, "", losses)


def _note(measured: Measured) -> str:
    return MEANS.format(n=len(measured.setting.seeds))
