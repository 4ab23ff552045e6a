"""Where a run's evaluations are kept, so that it can go on after its process has died.

An optimizer makes the same steps where it is told the same values. A run goes on from where it
ended by being made once more: what was evaluated is told from memory, in the order it was asked
for, and only what comes after is computed. Nothing is known here of where the memory is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

Values = Mapping[str, np.ndarray]
"""What an evaluation gave and left behind, as arrays by name."""


class AbstractMemory(ABC):
    """The evaluations of one run, in their order."""

    @abstractmethod
    def recall(self, what: str, at: np.ndarray) -> Values | None:
        """Return the next evaluation, if it is one of this kind at this point; else None.

        Parameters
        ----------
        what : str
            What is evaluated.
        at : (p,)
            Where.
        """

    @abstractmethod
    def keep(self, what: str, at: np.ndarray, values: Values) -> None:
        """Keep an evaluation that was computed, since it was not recalled."""
