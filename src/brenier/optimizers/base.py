"""What a optimizer is: a way to search over mu, or over (mu, w)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.optimizers.early_stopping import EarlyStopping
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction

# A search that ran out of progress with a projected gradient below this many `tol` has
# converged to a loose tolerance.
LOOSE = 1e2


@dataclass(frozen=True)
class OptimizerEnd:
    """Where a search ended and why; what to return is the early_stopping's best iterate, not this."""

    x: Float[np.ndarray, " p"]
    status: FitStatus


class AbstractOptimizer(ABC):
    """A search under lower bounds, watched by a early_stopping.

    Attributes
    ----------
    eliminates : bool
        Whether w is eliminated: whether a `ReducedFunction` is searched or a `FullFunction`.
    """

    eliminates: bool

    @abstractmethod
    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Search from `x`, reporting every accepted iterate to `early_stopping`."""


def projected_gradient(
    x: Float[np.ndarray, " p"], gradient: Float[np.ndarray, " p"], lower: Float[np.ndarray, " p"]
) -> float:
    """Return the largest entry of |x - max(x - gradient, lower)|."""
    return float(np.max(np.abs(x - np.maximum(x - gradient, lower)), initial=0.0))


def stalled(residual: float, tol: float) -> FitStatus:
    """Return the status of a search that found no further descent at a projected gradient."""
    if residual <= tol:
        return FitStatus.CONVERGED
    return FitStatus.CONVERGED_LOOSELY if residual <= LOOSE * tol else FitStatus.NO_PROGRESS
