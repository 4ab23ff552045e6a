r"""One run of the optimizer over mu, from given initial weights, stopped early by held-out rows.

Up to some length of the table the sample is fixed (SAA): every evaluation sees all rows. On a
longer one rows are many times what a gradient needs, and the optimizer goes by mini-batches.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import jax
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.early_stopping import (
    Clock,
    EarlyStopping,
    Iterate,
    Pause,
    StoppingCriteria,
    StopRun,
)
from brenier.optimizers.progress import Progress, ProgressCallback
from brenier.status import FitStatus
from brenier.training.checkpoint import RunMemory, digest
from brenier.training.folds import Fold
from brenier.training.parallel import run_parallel
from brenier.training.report import Certificate
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.function import AbstractFunction, Counters
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import LEAST_HELDOUT, AbstractSample

# Parts of a run's wall time.
PARTS: tuple[str, ...] = ("runs", "compile", "inner", "gradient", "heldout")


@dataclass(frozen=True)
class Job:
    """A run to be made.

    Attributes
    ----------
    fold : Fold
        The rows.
    problem : VariableProjection
        What is minimised; its template's weights are where the run starts.
    cold : WarmStart
        Feasible weights of the last layer.
    hyperparameters : Hyperparameters
        Of the problem.
    criteria : StoppingCriteria
        When the run must end.
    number : int
        Which run of the fit, counted from one.
    member : int
        Which of the fold's potentials it is for.
    pause : callable or None
        What the run goes through after every iterate.
    """

    fold: Fold
    problem: VariableProjection
    cold: WarmStart
    hyperparameters: Hyperparameters
    criteria: StoppingCriteria
    number: int
    member: int = 0
    pause: Pause | None = None


@dataclass(frozen=True)
class Run:
    """A run that has been made.

    Attributes
    ----------
    job : Job
        What was to be done.
    status : FitStatus
        How it ended.
    best : Iterate or None
        Its best iterate, if it had any.
    iterations : tuple of Progress
        All of them.
    counters : Counters
        What its evaluations cost.
    seconds : dict
        Wall time: `runs`, what it waited for others with it, and of it `compile`, `inner`,
        `gradient`, `heldout`.
    certificate : Certificate or None
        Of the best iterate, once w is solved for finally (`brenier.training.final_solve`).
    """

    job: Job
    status: FitStatus
    best: Iterate | None
    iterations: tuple[Progress, ...]
    counters: Counters
    seconds: dict[str, float]
    certificate: Certificate | None = None

    @staticmethod
    def none(job: Job, status: FitStatus) -> "Run":
        """Return what stands for a run that was not made."""
        return Run(job, status, None, (), Counters(), dict.fromkeys(PARTS, 0.0))

    @property
    def criterion(self) -> float:
        """What runs are compared by (nats, lower is better)."""
        return np.inf if self.best is None else self.best.criterion

    @property
    def log_likelihood(self) -> float:
        """That of the best iterate, on held-out rows where there are any; NaN without one."""
        if self.best is None:
            return float("nan")
        record = self.iterations[self.best.number - 1]
        heldout = record.heldout_log_likelihood
        return record.train_log_likelihood if np.isnan(heldout) else heldout

    @property
    def left_meeting(self) -> bool:
        """Whether it went no further than the meeting, where another was better."""
        n, at_limit = len(self.iterations), self.status is FitStatus.ITERATION_LIMIT
        return self.job.pause is not None and at_limit and n < self.job.criteria.max_iter

    @property
    def out_of_time(self) -> bool:
        """Whether the fit's time or Ctrl-C ended it."""
        return self.status.out_of_time


def run(job: Job, settings: Settings, session: Session) -> Run:
    """Return the run of a job; time and Ctrl-C end it with what there is so far.

    It is made in a thread of its own. Where that compiles, or evaluates, beyond the time for it, it
    is left behind, and what it found before is the run.
    """
    under_way = UnderWay(job, settings, session)
    ended = session.results(under_way.make, session.limits.runs, session.clock.stop)
    if not ended:
        under_way.leave_behind()
    session.phases.ended(job.number)
    return under_way.so_far()


class UnderWay:
    """A run that is being made.

    Parameters
    ----------
    job : Job
        What is to be done.
    settings : Settings
        Of the fit.
    session : Session
        The fit's.
    """

    def __init__(self, job: Job, settings: Settings, session: Session):
        self._job, self._settings, self._session = job, settings, session
        self._begun, self._compiling = time.perf_counter(), 0.0
        self._compiles_since: float | None = None
        self._counters = Counters()
        self._status: FitStatus | None = None
        self._left_behind = Event()
        self._early_stopping = _early_stopping(job, settings, session, self._tell)
        self._heldout_loss = self._early_stopping.heldout_loss

    def make(self) -> None:
        """Make the run, to its end."""
        job, rows = self._job, self._job.fold.seen
        optimizer = self._settings.optimizer(self._session.seed, job.fold.n_rows)
        kind = optimizer.function
        sample = kind.sample_of(job.problem, rows.X, rows.weights)
        function = kind(job.problem, sample, job.cold, len(rows.X), self._counters)
        memory = function.memory = self._memory(optimizer)
        self._end(self._minimise(function, optimizer, memory))

    def _memory(self, optimizer: AbstractOptimizer) -> RunMemory | None:
        """Return where the run's evaluations are kept, its held-out losses among them."""
        checkpoint, heldout_loss = self._session.checkpoint, self._heldout_loss
        if checkpoint is None:
            return None
        memory = checkpoint.memory(_key(self._job, optimizer))
        if heldout_loss is not None:

            def recalled(theta: np.ndarray, w: np.ndarray) -> float:
                return memory.number("held-out loss", theta, partial(heldout_loss, theta, w))

            self._early_stopping.heldout_loss = recalled
        return memory

    def leave_behind(self) -> None:
        """End the run with what there is, for want of time, while its thread goes on."""
        self._left_behind.set()
        self._end(_why_stopped(self._session.clock))

    def so_far(self) -> Run:
        """Return the run as it is, in copies that a thread left behind does not change."""
        early_stopping = self._early_stopping
        # The best first: its record is among the iterations by then.
        best = early_stopping.best
        counters = replace(
            self._counters,
            newton_steps=list(self._counters.newton_steps),
            chord_steps=list(self._counters.chord_steps),
        )
        now, since = time.perf_counter(), self._compiles_since
        spent = (
            now - self._begun,
            self._compiling + (0.0 if since is None else now - since),
            counters.inner_seconds,
            counters.gradient_seconds,
            early_stopping.heldout_seconds,
        )
        status = self._status or FitStatus.NO_PROGRESS
        seconds = dict(zip(PARTS, spent, strict=True))
        return Run(self._job, status, best, tuple(early_stopping.iterations), counters, seconds)

    def _minimise(
        self, function: AbstractFunction, optimizer: AbstractOptimizer, memory: RunMemory | None
    ) -> FitStatus:
        """Minimise from the template's weights, and return how that ended.

        What is still in the memory is told without any program.
        """
        try:
            # Without time left there is nothing to compile for.
            self._session.clock.check()
            x = function.start(to_vector(function.problem.network))
            if memory is None or memory.is_empty:
                self._compile(function, x)
            else:
                memory.before_computing(partial(self._compile, function, x))
            return optimizer.minimize(function, x, self._early_stopping).status
        except StopRun as stop:
            return stop.status
        except KeyboardInterrupt:
            return FitStatus.INTERRUPTED

    def _compile(self, function: AbstractFunction, x: np.ndarray) -> None:
        """Compile what the run will call, by calling it once."""
        session, self._compiles_since = self._session, time.perf_counter()
        programs = session.programs((function.problem, function.sample))
        waiting = nullcontext() if programs.compiled else session.phases.compiling(self._job.number)
        try:
            with waiting, programs.lock:
                # Another run may have compiled them, for as long as there was time.
                session.clock.check()
                if not programs.compiled:
                    self._call_once(function, x)
                    programs.compiled = True
        finally:
            self._compiling += time.perf_counter() - self._compiles_since
            self._compiles_since = None

    def _call_once(self, function: AbstractFunction, x: np.ndarray) -> None:
        """Compile all programs of the run side by side."""
        phases, heldout_loss = self._session.phases, self._heldout_loss
        calls = function.first_calls(x)
        if heldout_loss is not None:
            theta = to_vector(function.problem.network)
            calls.append(partial(heldout_loss, theta, np.asarray(function.cold.w)))

        def counted(call: Callable[[], Any]) -> None:
            call()
            phases.programs(done=1)

        phases.programs(more=len(calls))
        made = [partial(counted, call) for call in calls]
        run_parallel(made, self._session.clock.stop, self._session.cores)

    def _tell(self, progress: Progress) -> None:
        """Tell of an iterate, unless the fit has gone on without this run."""
        if self._left_behind.is_set():
            return
        self._session.phases.iterate(progress)
        if self._session.tell is not None:
            self._session.tell(progress)

    def _end(self, status: FitStatus) -> None:
        if self._status is None:
            self._status = status
        if status.out_of_time:
            self._session.clock.stop.set()


def _key(job: Job, optimizer: AbstractOptimizer) -> str:
    """Return what a run is known by: the rows, where it starts, and how it is made."""
    heldout, seen = job.fold.split.heldout, job.fold.seen
    rows = [part for one in (seen, heldout) if one is not None for part in (one.X, one.weights)]
    how = (job.hyperparameters, job.criteria, job.problem.solver, optimizer, job.member)
    return digest(repr(how), *rows, *jax.tree.leaves((job.problem, job.cold)))


def _why_stopped(clock: Clock) -> FitStatus:
    """Return whether time or Ctrl-C ended the search."""
    try:
        clock.check()
    except StopRun as stop:
        return stop.status
    return FitStatus.INTERRUPTED


def _early_stopping(
    job: Job, settings: Settings, session: Session, tell: ProgressCallback
) -> EarlyStopping:
    early_stopping = EarlyStopping(
        job.criteria,
        clock=session.clock,
        tell=tell,
        run=job.number,
        offsets=job.fold.offsets,
        pause=job.pause,
    )
    if job.fold.split.heldout is not None:
        problem, sample = job.problem, heldout_sample(job, settings)
        optimizer = settings.optimizer(session.seed, job.fold.n_rows)
        iteration_rows = optimizer.iteration_rows(len(job.fold.seen.X))
        n_heldout = min(len(job.fold.split.heldout.X), settings.most_rows)
        early_stopping.heldout_every = 1 + (n_heldout - 1) // iteration_rows

        def heldout_loss(theta: np.ndarray, w: np.ndarray) -> float:
            return problem.finite_loss(theta, w, sample)

        early_stopping.heldout_loss = heldout_loss
    return early_stopping


def heldout_sample(job: Job, settings: Settings) -> AbstractSample:
    """Return the held-out rows that a run looks at; there must be some."""
    heldout, most = job.fold.split.heldout, settings.most_rows
    if heldout is None:
        raise ValueError("Expected held-out rows; got none.")
    least = min(LEAST_HELDOUT, job.problem.chunk_rows)
    sample = job.problem.sample(heldout.X[:most], heldout.weights[:most], least=least)
    return sample.in_bits(job.problem.row_bits)
