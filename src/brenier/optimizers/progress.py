"""What is told of a run while it goes on: one record an accepted iterate, in users' units."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Offsets(NamedTuple):
    """What is added to -J for the mean log-likelihood in the data's units (nats).

    -(n/2) log 2 pi and the mean log-determinant of all that comes before the potential, on the
    training and on the held-out rows; NaN where there are no such rows.
    """

    train: float = 0.0
    heldout: float = 0.0


@dataclass(frozen=True)
class Progress:
    """One iterate that an optimizer accepted.

    Attributes
    ----------
    run : int
        Which run of the fit, counted from one.
    iteration : int
        Counted from one over the whole run.
    n_rows : int
        Training rows in use.
    train_log_likelihood, heldout_log_likelihood : float
        Means per row, nats; NaN where there are no such rows, or they were not looked at.
    newton_steps : int
        Newton steps of the inner solver since the previous iterate, each with a Hessian of its own.
    work_units : int
        Forward and backward passes of single samples since the run began (thesis 4.1).
    seconds : float
        Since the fit began.
    """

    run: int
    iteration: int
    n_rows: int
    train_log_likelihood: float
    heldout_log_likelihood: float
    newton_steps: int
    work_units: int
    seconds: float

    @property
    def judged(self) -> bool:
        """Whether the held-out rows were looked at, and their likelihood is a number."""
        return math.isfinite(self.heldout_log_likelihood)

    def __str__(self) -> str:
        heldout = ""
        if not math.isnan(self.heldout_log_likelihood):
            heldout = f"  held out {self.heldout_log_likelihood:10.4f}"
        return (
            f"run {self.run}  iteration {self.iteration:4d}  "
            f"train {self.train_log_likelihood:10.4f}{heldout}  nats/row  {self.seconds:6.1f} s"
        )


def recent_gain(log_likelihoods: Sequence[float]) -> float:
    """Return by how much the best log-likelihood rose in the second half of the iterates."""
    reached = max(log_likelihoods, default=0.0)
    return reached - max(log_likelihoods[: len(log_likelihoods) // 2], default=reached)


ProgressCallback = Callable[[Progress], None]
"""What is called after every iterate, to show progress."""
