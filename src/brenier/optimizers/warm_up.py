"""Optimizers one after the other, each from where the one before it ended."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd
from brenier.optimizers.early_stopping import EarlyStopping
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction

# Ends that leave the next optimizer something to do.
GOES_ON = (FitStatus.CONVERGED, FitStatus.CONVERGED_LOOSELY, FitStatus.NO_PROGRESS)


@dataclass(frozen=True)
class WarmedUp(AbstractOptimizer):
    """An optimizer after a warm-up with another of the same variables.

    Parameters
    ----------
    warm_up : AbstractOptimizer
        Runs first; its own limit on iterations must end it.
    optimizer : AbstractOptimizer
        Goes on from there.
    """

    warm_up: AbstractOptimizer
    optimizer: AbstractOptimizer

    @property
    def eliminates(self) -> bool:
        """Whether w is eliminated."""
        return self.optimizer.eliminates

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x` with the one, then the other."""
        end = self.warm_up.minimize(function, x, early_stopping)
        limit_of_its_own = end.status is FitStatus.ITERATION_LIMIT and not early_stopping.exhausted
        if limit_of_its_own or end.status in GOES_ON:
            return self.optimizer.minimize(function, end.x, early_stopping)
        return end
