r"""Where the candidates' runs meet: the best goes on from there, the others end.

A run that has come to the meeting waits until all others have come to it, or have ended by
themselves. What is compared is the held-out loss J, extrapolated: after k iterations to 2 k, as if
it went on falling as in the second half of them,

    J(2 k) ~ J(k) - max(0, J(k / 2) - J(k)),

for a slower form of the model may still overtake. What is decided depends on what the runs reach
alone, not on which of them is there first. With more meetings than one, this is successive halving
([1]_); one was as good.

References
----------
.. [1] K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
       Optimization", 2016, arXiv 1502.07943.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Condition

import numpy as np

from brenier.optimizers.early_stopping import Clock, EarlyStopping, Iterate, Pause, StopRun
from brenier.optimizers.progress import Progress, recent_gain
from brenier.status import FitStatus
from brenier.training.parallel import POLL, Turns
from brenier.training.run import Run


@dataclass(frozen=True)
class Standing:
    """How a run stands, at the meeting or at its end.

    Attributes
    ----------
    best : Iterate or None
        Its best iterate so far, if it has any.
    fall : float
        What its held-out loss would fall further (nats).
    """

    best: Iterate | None = None
    fall: float = 0.0

    @staticmethod
    def after(iterations: Sequence[Progress], best: Iterate | None) -> "Standing":
        """Return how a run stands that goes on."""
        return Standing(
            best, recent_gain([i.heldout_log_likelihood for i in iterations if i.judged])
        )

    @staticmethod
    def of(run: Run) -> "Standing":
        """Return how a run stands that has ended; it falls no further unless it was cut short."""
        if run.status is FitStatus.ITERATION_LIMIT:
            return Standing.after(run.iterations, run.best)
        return Standing(run.best)

    @property
    def loss(self) -> float:
        """What runs are compared by (nats)."""
        return np.inf if self.best is None else self.best.criterion - self.fall


@dataclass
class Meeting:
    """Where runs meet, each in a thread of its own.

    Attributes
    ----------
    n_runs : int
        How many begin.
    after : int
        Iterations after which they meet.
    clock : Clock
        The fit's; no run waits longer.
    turns : Turns or None
        Where runs are made one at a time: whoever waits gives way to the others.
    """

    n_runs: int
    after: int
    clock: Clock
    turns: Turns | None = None
    _changed: Condition = field(default_factory=Condition)
    _standings: dict[int, Standing] = field(default_factory=dict)

    def pause(self, k: int) -> Pause:
        """Return what run `k` goes through after every iterate: where all meet, it may end."""

        def meet(early_stopping: EarlyStopping) -> None:
            if len(early_stopping.iterations) != self.after:
                return
            self.arrive(k, Standing.after(early_stopping.iterations, early_stopping.best))
            if not self._goes_on(k):
                raise StopRun(FitStatus.ITERATION_LIMIT)

        return meet

    def arrive(self, k: int, standing: Standing) -> None:
        """Note how run `k` stands at the meeting, or at its end if that comes before."""
        with self._changed:
            self._standings.setdefault(k, standing)
            self._changed.notify_all()

    def winner(self) -> int | None:
        """Wait until all have met; return which run is the best; None if the fit is stopped."""
        while not self._all_are_there():
            if self.clock.stop.is_set():
                return None
            self._wait(self.n_runs)
        return self._best()

    def _goes_on(self, k: int) -> bool:
        """Wait for the others, as long as the fit's clock allows; return whether `k` is best."""
        while True:
            self.clock.check()
            if self._all_are_there():
                return self._best() == k
            self._wait(k)

    def _wait(self, k: int) -> None:
        """Wait for others to come; run `n_runs` is that of who waits for the winner."""
        if self.turns is not None:
            self.turns.give_way(k)
            return
        with self._changed:
            if not self._all_are_there():
                self._changed.wait(POLL)

    def _all_are_there(self) -> bool:
        return len(self._standings) == self.n_runs

    def _best(self) -> int:
        """Return the run of the least loss; the first of equals."""
        return min(range(self.n_runs), key=lambda k: self._standings[k].loss)
