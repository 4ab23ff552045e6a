r"""One run of the optimizer over mu, from given initial weights, stopped early by held-out rows.

Long tables are learnt in stages, each on a prefix of the rows several times as long as the last
and started from the stage before: the early iterations, which only need a rough gradient, cost a
rough gradient. Every stage is a fixed sample (SAA), so every stage is deterministic.
"""

import time
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.early_stopping import (
    EarlyStopping,
    HeldoutLoss,
    Iterate,
    Pause,
    StoppingCriteria,
    StopRun,
)
from brenier.optimizers.progress import Progress
from brenier.status import FitStatus
from brenier.training.folds import Fold
from brenier.training.report import Certificate
from brenier.training.session import Session
from brenier.training.settings import Hyperparameters, Settings
from brenier.varpro.function import AbstractFunction, Counters, FullFunction, ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample, chunk_rows

# Ends after which no other run begins, and after which no further stage does.
OUT_OF_TIME = (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT)
FINAL = (*OUT_OF_TIME, FitStatus.ITERATION_LIMIT)
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
    def out_of_time(self) -> bool:
        """Whether the fit's time or Ctrl-C ended it."""
        return self.status in OUT_OF_TIME


def run(job: Job, settings: Settings, session: Session) -> Run:
    """Return the run of a job, stage by stage; time and Ctrl-C end it with what there is so far."""
    begun, compiling = time.perf_counter(), 0.0
    problem, rows = job.problem, job.fold.seen
    optimizer = settings.optimizer(session.seed)
    early_stopping = _early_stopping(job, settings, session)
    counters, theta, cold = Counters(), to_vector(problem.template.network), job.cold
    status = FitStatus.NO_PROGRESS
    for n_rows in stages(len(rows.X), settings):
        sample = PaddedSample.of(rows.X[:n_rows], rows.weights[:n_rows], _chunk_rows(problem))
        function = _function(optimizer, problem, sample, cold, n_rows, counters)
        if early_stopping.heldout_loss is None:
            # Training losses of different samples do not compare.
            early_stopping.best = None
        try:
            # Without time left there is nothing to compile for.
            session.clock.check()
            x = function.start(theta)
            compiling += _compile(function, early_stopping.heldout_loss, x, session)
            status = optimizer.minimize(function, x, early_stopping).status
        except StopRun as stop:
            status = stop.status
        except KeyboardInterrupt:
            status = FitStatus.INTERRUPTED
        if early_stopping.best is not None:
            theta = early_stopping.best.theta
            cold = WarmStart.cold(jnp.asarray(early_stopping.best.w))
        if status in FINAL:
            break
    if status in OUT_OF_TIME:
        session.clock.stop.set()
    spent = (
        time.perf_counter() - begun,
        compiling,
        counters.inner_seconds,
        counters.gradient_seconds,
        early_stopping.heldout_seconds,
    )
    seconds = dict(zip(PARTS, spent, strict=True))
    iterations = tuple(early_stopping.iterations)
    return Run(job, status, early_stopping.best, iterations, counters, seconds)


def stages(n_rows: int, settings: Settings) -> list[int]:
    """Return the numbers of rows of the stages; the last has them all, up to its limit."""
    found = [min(n_rows, settings.max_run_rows)]
    while found[0] > 2 * settings.first_stage_rows:
        found.insert(0, max(settings.first_stage_rows, found[0] // settings.stage_growth))
    return found


def _early_stopping(job: Job, settings: Settings, session: Session) -> EarlyStopping:
    early_stopping = EarlyStopping(
        job.criteria,
        clock=session.clock,
        tell=session.tell,
        run=job.number,
        offsets=job.fold.offsets,
        pause=job.pause,
    )
    heldout, problem = job.fold.split.heldout, job.problem
    if heldout is not None:
        most = settings.max_heldout_rows
        X, weights = heldout.X[:most], heldout.weights[:most]
        sample = PaddedSample.of(X, weights, _chunk_rows(problem))
        n_train = min(len(job.fold.seen.X), settings.max_run_rows)
        early_stopping.heldout_every = 1 + (len(X) - 1) // n_train

        def heldout_loss(theta: np.ndarray, w: np.ndarray) -> float:
            return float(problem.loss(jnp.asarray(theta), jnp.asarray(w), sample))

        early_stopping.heldout_loss = heldout_loss
    return early_stopping


def _function(
    optimizer: AbstractOptimizer,
    problem: VariableProjection,
    sample: PaddedSample,
    cold: WarmStart,
    n_rows: int,
    counters: Counters,
) -> AbstractFunction:
    kind = ReducedFunction if optimizer.eliminates else FullFunction
    return kind(problem, sample, cold, n_rows, counters)


def _compile(
    function: AbstractFunction, heldout_loss: HeldoutLoss | None, x: np.ndarray, session: Session
) -> float:
    """Compile what the run will call, by calling it once; return the seconds it took."""
    before = time.perf_counter()
    with session.compiling((function.problem, function.sample)):
        function.warm_up(x)
        if heldout_loss is not None:
            theta = to_vector(function.problem.template.network)
            heldout_loss(theta, np.asarray(function.cold.w))
    return time.perf_counter() - before


def _chunk_rows(problem: VariableProjection) -> int:
    return chunk_rows(problem.template.n, problem.template.n_constrained)
