"""What a scheme is: a way to search over mu."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.outer.function import ReducedFunction
from brenier.outer.monitor import Monitor
from brenier.status import FitStatus


@dataclass(frozen=True)
class SearchEnd:
    """Where a search ended and why; what to return is the monitor's best iterate, not this."""

    theta: Float[np.ndarray, " p"]
    status: FitStatus


class AbstractScheme(ABC):
    """A search over mu, under lower bounds, watched by a monitor."""

    @abstractmethod
    def search(
        self,
        function: ReducedFunction,
        theta: Float[np.ndarray, " p"],
        lower: Float[np.ndarray, " p"],
        monitor: Monitor,
    ) -> SearchEnd:
        """Search from `theta`, reporting every accepted iterate to `monitor`."""


def projected_gradient(
    theta: Float[np.ndarray, " p"],
    gradient: Float[np.ndarray, " p"],
    lower: Float[np.ndarray, " p"],
) -> float:
    """Return the largest entry of |theta - max(theta - gradient, lower)|."""
    return float(np.max(np.abs(theta - np.maximum(theta - gradient, lower)), initial=0.0))
