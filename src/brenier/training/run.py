r"""One search over mu, from given initial weights, watched on held-out rows.

Long tables are learnt in stages, each on a prefix of the rows several times as long as the last
and started from the stage before: the early iterations, which only need a rough gradient, cost a
rough gradient. Every stage is a fixed sample (SAA), so every stage is deterministic.
"""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Event, Lock

import jax
import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import WarmStart
from brenier.optimizers.base import AbstractScheme
from brenier.optimizers.early_stopping import Iterate, Limits, Monitor
from brenier.optimizers.progress import Iteration, ProgressCallback
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Counters, FullFunction, ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import Data, Sample, chunk_rows

# Rows of the first stage, and how much longer each next one is.
FIRST_STAGE_ROWS = 16384
STAGE_GROWTH = 8
# The search over mu sees at most this many rows: a few hundred to a few thousand parameters are
# known from them to well under 0.01 nats. The last layer is then solved for on all rows.
MAX_SEARCH_ROWS = 131072
# Held-out rows beyond this many would only refine a number that is precise enough.
MAX_HELDOUT_ROWS = 32768

# Ends after which no other search begins, and after which no further stage does.
OUT_OF_TIME = (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT)
FINAL = (*OUT_OF_TIME, FitStatus.ITERATION_LIMIT)
# Parts of a search's wall time.
PARTS: tuple[str, ...] = ("searches", "compile", "inner", "gradient", "heldout")
# By structure and shapes of what is compiled: a lock that is held meanwhile.
_compiling: dict[Hashable, Lock] = {}


@dataclass(frozen=True)
class Watch:
    """When a search must end, and who is told of its iterates.

    Attributes
    ----------
    limits : Limits
        Its own.
    started : float
        When the fit began, by `time.perf_counter`.
    on_iteration : callable or None
        Who is told.
    number : int
        Which search of the fit it is, counted from one.
    stop : threading.Event
        Set once no search of the fit may go on; set by the one that is interrupted or out of time.
    """

    limits: Limits
    started: float = field(default_factory=time.perf_counter)
    on_iteration: ProgressCallback | None = None
    number: int = 1
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Search:
    """One search.

    Attributes
    ----------
    status : FitStatus
        How it ended.
    best : Iterate or None
        Its best iterate, if it had any.
    iterations : tuple of Iteration
        All of them.
    counters : Counters
        What its evaluations cost.
    seconds : dict
        Wall time: `searches`, and of it `compile`, `inner`, `gradient`, `heldout`.
    """

    status: FitStatus
    best: Iterate | None
    iterations: tuple[Iteration, ...]
    counters: Counters
    seconds: dict[str, float]


def search(
    problem: VariableProjection, scheme: AbstractScheme, data: Data, cold: WarmStart, watch: Watch
) -> Search:
    """Search from the problem's own weights, stage by stage.

    Parameters
    ----------
    problem : VariableProjection
        Its template's weights are where the search starts.
    scheme : AbstractScheme
        How to search.
    data : Data
        Rows to train on, and to hold out.
    cold : WarmStart
        Feasible weights of the last layer.
    watch : Watch
        Limits, progress.
    """
    begun, compiling = time.perf_counter(), 0.0
    monitor = _monitor(problem, data, watch)
    counters, theta = Counters(), to_vector(problem.template.network)
    status = FitStatus.NO_PROGRESS
    for n_rows in _stages(len(data.X)):
        function = _function(problem, scheme, data, n_rows, cold, counters)
        if monitor.heldout is None:
            # Training losses of different samples do not compare.
            monitor.best = None
        try:
            x = function.start(theta)
            compiling += _compile(function, monitor, x)
            status = scheme.search(function, x, monitor).status
        except KeyboardInterrupt:
            status = FitStatus.INTERRUPTED
        if monitor.best is not None:
            theta, cold = monitor.best.theta, WarmStart.cold(jnp.asarray(monitor.best.w))
        if status in FINAL:
            break
    if status in OUT_OF_TIME:
        watch.stop.set()
    spent = (
        time.perf_counter() - begun,
        compiling,
        counters.inner_seconds,
        counters.gradient_seconds,
        monitor.heldout_seconds,
    )
    seconds = dict(zip(PARTS, spent, strict=True))
    return Search(status, monitor.best, tuple(monitor.iterations), counters, seconds)


def _compile(function: AbstractFunction, monitor: Monitor, x: np.ndarray) -> float:
    """Compile what the search will call; return the seconds it took.

    Of searches side by side whose arrays have the same shapes one compiles, the others wait for it.
    """
    before = time.perf_counter()
    leaves, structure = jax.tree.flatten((function.problem, function.sample))
    with _compiling.setdefault((structure, *(np.shape(leaf) for leaf in leaves)), Lock()):
        function.warm_up(x)
        monitor.warm_up(function.cold.w)
    return time.perf_counter() - before


def _stages(n_rows: int) -> list[int]:
    """Return the numbers of rows of the stages; the last has them all, up to its limit."""
    stages = [min(n_rows, MAX_SEARCH_ROWS)]
    while stages[0] > 2 * FIRST_STAGE_ROWS:
        stages.insert(0, max(FIRST_STAGE_ROWS, stages[0] // STAGE_GROWTH))
    return stages


def _monitor(problem: VariableProjection, data: Data, watch: Watch) -> Monitor:
    monitor = Monitor(
        problem,
        None,
        watch.limits,
        watch.on_iteration,
        started=watch.started,
        stop=watch.stop,
        search=watch.number,
    )
    if data.heldout_X is not None and data.heldout_weights is not None:
        X, weights = data.heldout_X[:MAX_HELDOUT_ROWS], data.heldout_weights[:MAX_HELDOUT_ROWS]
        monitor.heldout = Sample.of(X, weights, _chunk_rows(problem))
        monitor.heldout_every = 1 + (len(X) - 1) // min(len(data.X), MAX_SEARCH_ROWS)
    return monitor


def _function(
    problem: VariableProjection,
    scheme: AbstractScheme,
    data: Data,
    n_rows: int,
    cold: WarmStart,
    counters: Counters,
) -> AbstractFunction:
    """Return what the scheme searches, on the first `n_rows` rows."""
    sample = Sample.of(data.X[:n_rows], data.weights[:n_rows], _chunk_rows(problem))
    kind = ReducedFunction if scheme.eliminates else FullFunction
    return kind(problem, sample, cold, n_rows, counters)


def _chunk_rows(problem: VariableProjection) -> int:
    return chunk_rows(problem.template.n, problem.template.n_constrained)
