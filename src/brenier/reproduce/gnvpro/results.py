"""Runs of one budget, and what is chosen of grids: in hindsight, and by cross-validation.

Cross-validation sees training rows alone: those of the first seed, in folds. From the same first
weights as other runs, with as many passes, every member of the grid learns from all folds but one.
What counts is the lowest loss of the fold left out, averaged over the folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from brenier.reproduce.gnvpro.methods import (
    ADAM,
    GNVPRO,
    GNVPRO_PLAIN,
    LBFGS_VARPRO,
    Method,
)
from brenier.reproduce.gnvpro.problems import Problem
from brenier.reproduce.gnvpro.record import Run
from brenier.reproduce.gnvpro.runs import Planned
from brenier.reproduce.gnvpro.setting import GnvproSetting
from brenier.reproduce.tables import spread_of

Choice = Mapping[str, Method]
"""A member of the grid of Adam by problem."""
# Without a grid, in the longer runs.
LONG = (GNVPRO, GNVPRO_PLAIN, LBFGS_VARPRO)


@dataclass(frozen=True)
class Results:
    """Runs of one budget.

    Attributes
    ----------
    setting : GnvproSetting
        With this budget.
    runs : sequence of Run
        All of them.
    choice : mapping
        What cross-validation chose.
    """

    setting: GnvproSetting
    runs: Sequence[Run]
    choice: Choice

    def of(self, problem: Problem, label: str) -> list[Run]:
        """Return a method's runs on a problem."""
        return [run for run in self.runs if (run.problem, run.label) == (problem.name, label)]

    def ranked(self, problem: Problem, family: str) -> list[Method]:
        """Return the methods of a grid that were run from all seeds, the lowest first.

        By the mean validation loss at all of the work units: in hindsight. No choice of one method
        for all seeds can have a lower one.
        """
        budget, n = self.setting.budget(problem), len(self.setting.seeds)

        def mean(method: Method) -> float:
            return spread_of(run.best_at(budget) for run in self.of(problem, method.label)).mean

        of_family = self.setting.of_family(family)
        return sorted((m for m in of_family if len(self.of(problem, m.label)) == n), key=mean)

    def best(self, problem: Problem, family: str) -> Method:
        """Return the first of these."""
        return self.ranked(problem, family)[0]

    def chosen(self, problem: Problem) -> list[Run]:
        """Return the runs of what cross-validation chose; none where it chose none."""
        method = self.choice.get(problem.name)
        return [] if method is None else self.of(problem, method.label)


def plan_of_folds(setting: GnvproSetting) -> list[Planned]:
    """Return the runs that the grid of Adam is chosen by."""
    return [
        Planned(problem, seed, method, fold)
        for problem in setting.claimed
        for seed in setting.seeds[: setting.fold_seeds]
        for method in setting.of_family(ADAM)
        for fold in range(setting.folds)
    ]


def losses_of_folds(
    setting: GnvproSetting, folds: Sequence[Run], problem: Problem, method: Method
) -> list[float]:
    """Return the lowest loss of every fold when it is left out."""
    plan = [
        Planned(problem, seed, method, fold)
        for seed in setting.seeds[: setting.fold_seeds]
        for fold in range(setting.folds)
    ]
    budgets = {(one.label, one.seed): setting.budget(one.problem_of(setting)) for one in plan}
    return [
        run.best_at(budgets[run.label, run.seed])
        for run in folds
        if run.problem == problem.name and (run.label, run.seed) in budgets
    ]


def choose(setting: GnvproSetting, folds: Sequence[Run]) -> Choice:
    """Return of each problem claimed the member of the grid with the lowest mean over folds."""

    def mean(problem: Problem, method: Method) -> float:
        return spread_of(losses_of_folds(setting, folds, problem, method)).mean

    return {
        problem.name: min(setting.of_family(ADAM), key=partial(mean, problem))
        for problem in setting.claimed
    }


def plan_of_longer(short: Results) -> list[Planned]:
    """Return the longer runs: GNvpro, L-BFGS with elimination, and of Adam the likeliest."""
    setting, plan = short.setting, []
    for problem in setting.claimed:
        without_grid = [method for method in setting.methods if method.label in LONG]
        lowest = short.ranked(problem, ADAM)[: setting.long_of_grid]
        chosen = short.choice[problem.name]
        is_new = chosen.label not in {method.label for method in lowest}
        adam = [*lowest, chosen] if is_new else lowest
        plan += [
            Planned(problem, seed, method)
            for seed in setting.seeds
            for method in (*without_grid, *adam)
        ]
    return plan
