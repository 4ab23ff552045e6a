"""Runs by problem, scheme, learning rate and seed: what tables, claims and figures are made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.reproduce.slimtrain.problems import Problem
from brenier.reproduce.slimtrain.record import Run
from brenier.reproduce.slimtrain.setting import Scheme, SlimtrainSetting


@dataclass(frozen=True)
class Measured:
    """All runs of a setting."""

    setting: SlimtrainSetting
    runs: Sequence[Run]

    @property
    def by_key(self) -> Mapping[tuple[str, str, float, int], Run]:
        """Runs by problem, label, learning rate and seed."""
        return {(run.problem, run.label, run.rate, run.seed): run for run in self.runs}

    def table(
        self,
        problem: Problem,
        scheme: Scheme,
        rates: Sequence[float],
        value: Callable[[Run], float] = lambda run: run.best,
    ) -> Float[np.ndarray, "s k"]:
        """Return a number of every run of a scheme, seeds by learning rates."""
        found = self.by_key
        return np.array(
            [
                [value(found[problem.name, scheme.label, rate, seed]) for rate in rates]
                for seed in self.setting.seeds
            ]
        )

    def worst(
        self, problem: Problem, scheme: Scheme, rates: Sequence[float]
    ) -> Float[np.ndarray, " s"]:
        """Return the highest validation loss over learning rates, by seed."""
        return self.table(problem, scheme, rates).max(axis=1)

    def lowest(
        self, problem: Problem, scheme: Scheme, rates: Sequence[float]
    ) -> Float[np.ndarray, " s"]:
        """Return the lowest validation loss over learning rates, by seed."""
        return self.table(problem, scheme, rates).min(axis=1)
