r"""Successive halving of runs under way: they meet at rungs, and the worst end there ([1]_).

A run that has come to a rung waits until all others have come to it, or have ended by themselves.
Then those of them with the greater losses end, and the rest go on from where they are. What is
compared is the held-out loss J, extrapolated: after k iterations to 2 k, as if it went on falling
as in the second half of them,

    J(2 k) ~ J(k) - max(0, J(k / 2) - J(k)),

for a slower form of the model may still overtake. What is decided depends on what the runs reach at
the rungs alone, not on which of them is there first.

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
from brenier.training.parallel import POLL
from brenier.training.run import Run


@dataclass(frozen=True)
class Standing:
    """How a run stands, at a rung or at its end.

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
class Halving:
    """Where runs meet, each in a thread of its own.

    Attributes
    ----------
    n_runs : int
        How many begin.
    rungs : tuple of int
        Iterations after which they meet, ascending; after the last there is one.
    clock : Clock
        The fit's; no run waits longer.
    """

    n_runs: int
    rungs: tuple[int, ...]
    clock: Clock
    _changed: Condition = field(default_factory=Condition)
    _left: list[int] = field(init=False)
    _standings: dict[int, Standing] = field(default_factory=dict)
    _rungs_reached: dict[int, int] = field(default_factory=dict)
    # Which run was the best at every rung that is decided, and how it stood.
    _leaders: list[tuple[int, Standing]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = list(range(self.n_runs))

    def pause(self, k: int) -> Pause:
        """Return what run `k` goes through after every iterate: it waits at rungs, or ends."""

        def wait_at_rungs(early_stopping: EarlyStopping) -> None:
            n_iter = len(early_stopping.iterations)
            if n_iter not in self.rungs:
                return
            rung = self.rungs.index(n_iter) + 1
            self._arrive(k, Standing.after(early_stopping.iterations, early_stopping.best), rung)
            if not self._goes_on(k, rung):
                raise StopRun(FitStatus.ITERATION_LIMIT)

        return wait_at_rungs

    def end(self, k: int, standing: Standing) -> None:
        """Take run `k` as ended: it is at all rungs that it has not come to."""
        if self._rungs_reached.get(k, 0) < len(self.rungs):
            self._arrive(k, standing, len(self.rungs))

    def leader(self, rung: int) -> tuple[int, Standing] | None:
        """Wait for a rung, counted from one; return which run was the best; None if stopped."""
        with self._changed:
            while len(self._leaders) < rung:
                if self.clock.stop.is_set():
                    return None
                self._changed.wait(POLL)
            return self._leaders[rung - 1]

    def winner(self) -> tuple[int, Standing] | None:
        """Wait for the last rung; return which run goes on, and how it stood; None if stopped."""
        return self.leader(len(self.rungs))

    def _arrive(self, k: int, standing: Standing, rung: int) -> None:
        """Note how run `k` stands at a rung, and decide about all rungs that all have reached."""
        with self._changed:
            if k in self._left:
                self._standings[k], self._rungs_reached[k] = standing, rung
            while self._all_have_reached(len(self._leaders) + 1):
                self._end_the_worst()
            self._changed.notify_all()

    def _all_have_reached(self, rung: int) -> bool:
        return rung <= len(self.rungs) and all(
            self._rungs_reached.get(k, 0) >= rung for k in self._left
        )

    def _end_the_worst(self) -> None:
        """Leave the better half, and after the last rung the best; the first of equals."""
        ranked = sorted(self._left, key=lambda k: self._standings[k].loss)
        self._leaders.append((ranked[0], self._standings[ranked[0]]))
        is_last = len(self._leaders) == len(self.rungs)
        n_left = 1 if is_last else (len(self._left) + 1) // 2
        self._left = sorted(ranked[:n_left])

    def _goes_on(self, k: int, rung: int) -> bool:
        """Wait for what is decided at a rung, as long as the fit's clock allows."""
        with self._changed:
            while True:
                self.clock.check()
                if len(self._leaders) >= rung:
                    return k in self._left
                self._changed.wait(POLL)
