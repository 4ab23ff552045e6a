"""What an optimizer is: it minimises a function of mu, or of (mu, w), under lower bounds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from brenier.optimizers.early_stopping import EarlyStopping
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, FullFunction, ReducedFunction

# A run that made no more progress with a projected gradient below this many `tol` has converged to
# a loose tolerance.
LOOSE = 1e2


@dataclass(frozen=True)
class OptimizerEnd:
    """Where a run ended and why; the model is made of the best iterate, not of this one."""

    x: Float[np.ndarray, " p"]
    status: FitStatus


class AbstractOptimizer(ABC):
    """A minimisation under lower bounds, stopped early by what it reports to.

    Attributes
    ----------
    eliminates : bool
        Whether w is eliminated: whether a `ReducedFunction` is minimised or a `FullFunction`.
    leaves_last_layer : bool
        Whether w is still to be solved for where a run ends.
    """

    eliminates: bool
    leaves_last_layer: ClassVar[bool] = False

    def iteration_rows(self, n_rows: int) -> int:
        """Return how many rows an iteration goes through, of so many."""
        return n_rows

    @property
    def function(self) -> type[AbstractFunction]:
        """What is minimised."""
        return ReducedFunction if self.eliminates else FullFunction

    @abstractmethod
    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every accepted iterate to `early_stopping`."""


def projected_gradient(
    x: Float[np.ndarray, " p"], gradient: Float[np.ndarray, " p"], lower: Float[np.ndarray, " p"]
) -> float:
    """Return the largest entry of |x - max(x - gradient, lower)|."""
    return float(np.max(np.abs(x - np.maximum(x - gradient, lower)), initial=0.0))


def stalled(residual: float, tol: float) -> FitStatus:
    """Return the status of a run that found no further descent at a projected gradient."""
    if residual <= tol:
        return FitStatus.CONVERGED
    return FitStatus.CONVERGED_LOOSELY if residual <= LOOSE * tol else FitStatus.NO_PROGRESS
