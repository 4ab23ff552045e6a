"""Schemes one after the other, each from where the one before it ended."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractScheme, SearchEnd
from brenier.optimizers.early_stopping import Monitor
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction

# Ends that leave the next scheme something to do.
GOES_ON = (FitStatus.CONVERGED, FitStatus.CONVERGED_LOOSELY, FitStatus.NO_PROGRESS)


@dataclass(frozen=True)
class WarmedUp(AbstractScheme):
    """A scheme after a warm-up with another that searches the same variables.

    Parameters
    ----------
    warm_up : AbstractScheme
        Searches first; its own limit on iterations must end it.
    scheme : AbstractScheme
        Goes on from there.
    """

    warm_up: AbstractScheme
    scheme: AbstractScheme

    @property
    def eliminates(self) -> bool:
        """Whether w is eliminated."""
        return self.scheme.eliminates

    def search(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], monitor: Monitor
    ) -> SearchEnd:
        """Search from `x` with the one, then the other."""
        end = self.warm_up.search(function, x, monitor)
        limit_of_its_own = end.status is FitStatus.ITERATION_LIMIT and not monitor.exhausted
        if limit_of_its_own or end.status in GOES_ON:
            return self.scheme.search(function, end.x, monitor)
        return end
