"""Watches a search: held-out loss, the best iterate, and when to stop."""

import time
from dataclasses import KW_ONLY, dataclass, field
from threading import Event

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.optimizers.progress import Iteration, ProgressCallback
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample


class StopRun(Exception):
    """Ends a search from within, with the status it shall have."""

    def __init__(self, status: FitStatus):
        super().__init__(status.value)
        self.status = status


def criterion(loss: float, heldout_loss: float) -> float:
    """Return what models compete by: held-out loss, training loss where there is none."""
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
    """When a search must end.

    Attributes
    ----------
    max_iter : int
        Most iterations.
    patience : int
        Stop once the held-out loss has not improved for this many iterations and a quarter of
        those done.
    max_seconds : float or None
        Wall time.
    max_work_units : int or None
        Work units of one search.
    """

    max_iter: int
    patience: int
    max_seconds: float | None
    max_work_units: int | None = None


@dataclass
class EarlyStopping:
    """Sees every accepted iterate, keeps the best, and raises `StopRun` when it is time.

    Attributes
    ----------
    stop : threading.Event
        Set once no search of the fit may go on.
    search : int
        Which search of the fit this is, counted from one.
    heldout_every : int
        The held-out loss is evaluated at the first and at every so many iterates, so that it
        costs no more than the training; only such iterates can be the best.
    """

    problem: VariableProjection
    heldout: PaddedSample | None
    criteria: StoppingCriteria
    on_iteration: ProgressCallback | None = None
    _: KW_ONLY
    search: int = 1
    heldout_every: int = 1
    started: float = field(default_factory=time.perf_counter)
    stop: Event = field(default_factory=Event)
    iterations: list[Iteration] = field(default_factory=list)
    best: Iterate | None = None
    heldout_seconds: float = 0.0
    _newton_steps_seen: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self.started

    @property
    def exhausted(self) -> bool:
        """Whether the iterations or the work units are used up."""
        budget = self.criteria.max_work_units
        spent = bool(budget and self.iterations and self.iterations[-1].work_units >= budget)
        return spent or len(self.iterations) >= self.criteria.max_iter

    def check_time(self) -> None:
        """Raise `StopRun` when the time is up, or when another search was interrupted."""
        if self.criteria.max_seconds is not None and self.elapsed > self.criteria.max_seconds:
            raise StopRun(FitStatus.TIME_LIMIT)
        if self.stop.is_set():
            raise StopRun(FitStatus.INTERRUPTED)

    def heldout_loss(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J on the held-out rows; NaN where there are none."""
        if self.heldout is None:
            return float("nan")
        before = time.perf_counter()
        value = float(self.problem.loss(jnp.asarray(theta), jnp.asarray(w), self.heldout))
        self.heldout_seconds += time.perf_counter() - before
        return value if np.isfinite(value) else np.inf

    def warm_up(self, w: np.ndarray | Array) -> None:
        """Compile the held-out loss by evaluating it once, leaving no trace."""
        if self.heldout is not None:
            theta = jnp.asarray(to_vector(self.problem.template.network))
            self.problem.loss(theta, jnp.asarray(w), self.heldout)

    def observe(self, here: Evaluated, function: AbstractFunction) -> None:
        """Record an accepted iterate, keep it if it is the best, stop when a limit is reached."""
        number = len(self.iterations) + 1
        judged = self.heldout is None or number == 1 or number % self.heldout_every == 0
        heldout_loss = self.heldout_loss(here.theta, here.w) if judged else float("nan")
        iterate = Iterate(here.theta, here.w, here.loss, heldout_loss, number)
        counters = function.counters
        record = Iteration(
            search=self.search,
            number=number,
            n_rows=function.n_rows,
            loss=here.loss,
            heldout_loss=heldout_loss,
            newton_steps=sum(counters.newton_steps[self._newton_steps_seen :]),
            work_units=counters.work_units,
            seconds=self.elapsed,
        )
        self._newton_steps_seen = len(counters.newton_steps)
        self.iterations.append(record)
        if judged and (self.best is None or iterate.criterion < self.best.criterion):
            self.best = iterate
        if self.on_iteration is not None:
            self.on_iteration(record)
        if self._out_of_patience(number):
            raise StopRun(FitStatus.STOPPED_ON_VALIDATION)
        if self.exhausted:
            raise StopRun(FitStatus.ITERATION_LIMIT)
        self.check_time()

    def _out_of_patience(self, number: int) -> bool:
        if self.heldout is None or self.best is None:
            return False
        return number - self.best.number > max(self.criteria.patience, 0.25 * number)
