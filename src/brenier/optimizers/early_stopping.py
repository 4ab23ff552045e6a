"""Early stopping: the held-out loss of every iterate, the best of them, and when a run must end."""

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from threading import Event

import numpy as np
from jaxtyping import Float

from brenier.optimizers.progress import Offsets, Progress, ProgressCallback, recent_gain
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated

HeldoutLoss = Callable[[np.ndarray, np.ndarray], float]
"""J on the held-out rows (nats) of mu as a vector and w."""


Pause = Callable[["EarlyStopping"], None]
"""What a run goes through after every iterate; it may wait there, or raise `StopRun`."""


class StopRun(Exception):
    """Ends a run from within, with the status it shall have."""

    def __init__(self, status: FitStatus):
        super().__init__(status.value)
        self.status = status


def criterion(loss: float, heldout_loss: float) -> float:
    """Return what models are selected by: held-out loss, training loss where there is none."""
    value = loss if np.isnan(heldout_loss) else heldout_loss
    return value if np.isfinite(value) else np.inf


@dataclass(frozen=True)
class Iterate:
    """A point (mu, w) with its losses J (nats)."""

    theta: Float[np.ndarray, " p"]
    w: Float[np.ndarray, " m"]
    loss: float
    heldout_loss: float
    number: int

    @property
    def criterion(self) -> float:
        """What the best iterate is chosen by."""
        return criterion(self.loss, self.heldout_loss)


@dataclass(frozen=True)
class StoppingCriteria:
    """When a run must end.

    Attributes
    ----------
    max_iter : int
        Most iterations.
    patience : int
        Stop once the held-out loss has not improved for this many iterations, ...
    patience_share : float
        ... and for this share of those done.
    max_work_units : int or None
        Work units of one run.
    least_rise : float
        Stop, too, once the best held-out log-likelihood has risen in `patience` iterations by less
        than this share of what it has risen since the first.
    """

    max_iter: int
    patience: int
    patience_share: float
    max_work_units: int | None = None
    least_rise: float = 0.0


@dataclass(frozen=True)
class Clock:
    """The time of a fit, which all its runs share.

    Attributes
    ----------
    max_seconds : float or None
        Wall time that the fit has.
    started : float
        When it began, by `time.perf_counter`.
    stop : threading.Event
        Set once no run of the fit may go on.
    """

    max_seconds: float | None = None
    started: float = field(default_factory=time.perf_counter)
    stop: Event = field(default_factory=Event)

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self.started

    def check(self) -> None:
        """Raise `StopRun` when the time is up, or when the fit was stopped."""
        if self.max_seconds is not None and self.elapsed > self.max_seconds:
            raise StopRun(FitStatus.TIME_LIMIT)
        if self.stop.is_set():
            raise StopRun(FitStatus.INTERRUPTED)


@dataclass
class EarlyStopping:
    """Sees every accepted iterate, keeps the best, and raises `StopRun` when it is time.

    Attributes
    ----------
    criteria : StoppingCriteria
        When the run must end.
    heldout_loss : callable or None
        J on the held-out rows; None where there are none.
    clock : Clock
        The fit's.
    tell : callable or None
        Who is told of every iterate.
    run : int
        Which run of the fit this is, counted from one.
    offsets : Offsets
        From -J to log-likelihoods.
    pause : callable or None
        Called last with an iterate after which the run would go on.
    heldout_every : int
        The held-out loss is evaluated at the first and at every so many iterates, so that it
        costs no more than the training; only such iterates can be the best.
    iterations : list of Progress
        All iterates so far.
    best : Iterate or None
        The best of them.
    heldout_seconds : float
        Wall time of the held-out losses.
    """

    criteria: StoppingCriteria
    heldout_loss: HeldoutLoss | None = None
    clock: Clock = field(default_factory=Clock)
    tell: ProgressCallback | None = None
    _: KW_ONLY
    run: int = 1
    offsets: Offsets = Offsets()
    pause: Pause | None = None
    heldout_every: int = 1
    iterations: list[Progress] = field(default_factory=list)
    best: Iterate | None = None
    heldout_seconds: float = 0.0
    _newton_steps_seen: int = 0
    _bests: list[float] = field(default_factory=list)

    @property
    def exhausted(self) -> bool:
        """Whether the iterations or the work units are used up."""
        budget = self.criteria.max_work_units
        spent = bool(budget and self.iterations and self.iterations[-1].work_units >= budget)
        return spent or len(self.iterations) >= self.criteria.max_iter

    @property
    def recent_gain(self) -> float:
        """By how much the best log-likelihood rose in the second half of the iterations (nats).

        On held-out rows where there are any, of the iterates at which they were looked at.
        """
        if self.heldout_loss is None:
            return recent_gain([i.train_log_likelihood for i in self.iterations])
        return recent_gain([i.heldout_log_likelihood for i in self.iterations if i.judged])

    def check_time(self) -> None:
        """Raise `StopRun` when the time is up, or when the fit was stopped."""
        self.clock.check()

    def observe(self, here: Evaluated, function: AbstractFunction) -> None:
        """Record an accepted iterate, keep it if it is the best, stop when a limit is reached."""
        number = len(self.iterations) + 1
        judged = self.heldout_loss is None or number == 1 or number % self.heldout_every == 0
        heldout_loss = self._heldout_loss(here) if judged else float("nan")
        iterate = Iterate(here.theta, here.w, here.loss, heldout_loss, number)
        self.iterations.append(self._progress(iterate, function))
        if judged and (self.best is None or iterate.criterion < self.best.criterion):
            self.best = iterate
        self._bests.append(np.inf if self.best is None else self.best.criterion)
        if self.tell is not None:
            self.tell(self.iterations[-1])
        if self._out_of_patience(number) or self._hardly_rises():
            raise StopRun(FitStatus.STOPPED_ON_VALIDATION)
        if self.exhausted:
            raise StopRun(FitStatus.ITERATION_LIMIT)
        self.check_time()
        if self.pause is not None:
            self.pause(self)

    def _heldout_loss(self, here: Evaluated) -> float:
        """Return J on the held-out rows, infinite where it is no number; NaN without such rows."""
        if self.heldout_loss is None:
            return float("nan")
        before = time.perf_counter()
        value = self.heldout_loss(here.theta, here.w)
        self.heldout_seconds += time.perf_counter() - before
        return value if np.isfinite(value) else np.inf

    def _progress(self, iterate: Iterate, function: AbstractFunction) -> Progress:
        counters = function.counters
        newton_steps = sum(counters.newton_steps[self._newton_steps_seen :])
        self._newton_steps_seen = len(counters.newton_steps)
        return Progress(
            run=self.run,
            iteration=iterate.number,
            n_rows=function.n_rows,
            train_log_likelihood=self.offsets.train - iterate.loss,
            heldout_log_likelihood=self.offsets.heldout - iterate.heldout_loss,
            newton_steps=newton_steps,
            work_units=counters.work_units,
            seconds=self.clock.elapsed,
        )

    def _out_of_patience(self, number: int) -> bool:
        if self.heldout_loss is None or self.best is None:
            return False
        patience = max(self.criteria.patience, self.criteria.patience_share * number)
        return number - self.best.number > patience

    def _hardly_rises(self) -> bool:
        """Whether the last iterations have brought little of what all have."""
        bests, patience = self._bests, self.criteria.patience
        if self.heldout_loss is None or len(bests) <= 2 * patience or not np.isfinite(bests[0]):
            return False
        recent, whole = bests[-1 - patience] - bests[-1], bests[0] - bests[-1]
        return recent < self.criteria.least_rise * whole
