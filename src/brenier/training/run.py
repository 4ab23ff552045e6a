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
from brenier.optimizers.base import AbstractOptimizer
from brenier.optimizers.early_stopping import EarlyStopping, Iterate, StoppingCriteria
from brenier.optimizers.progress import Iteration, ProgressCallback
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Counters, FullFunction, ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import Data, PaddedSample, chunk_rows

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
    criteria : StoppingCriteria
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

    criteria: StoppingCriteria
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
    problem: VariableProjection,
    optimizer: AbstractOptimizer,
    data: Data,
    cold: WarmStart,
    watch: Watch,
) -> Search:
    """Search from the problem's own weights, stage by stage.

    Parameters
    ----------
    problem : VariableProjection
        Its template's weights are where the search starts.
    optimizer : AbstractOptimizer
        How to search.
    data : Data
        Rows to train on, and to hold out.
    cold : WarmStart
        Feasible weights of the last layer.
    watch : Watch
        StoppingCriteria, progress.
    """
    begun, compiling = time.perf_counter(), 0.0
    early_stopping = _monitor(problem, data, watch)
    counters, theta = Counters(), to_vector(problem.template.network)
    status = FitStatus.NO_PROGRESS
    for n_rows in _stages(len(data.X)):
        function = _function(problem, optimizer, data, n_rows, cold, counters)
        if early_stopping.heldout is None:
            # Training losses of different samples do not compare.
            early_stopping.best = None
        try:
            x = function.start(theta)
            compiling += _compile(function, early_stopping, x)
            status = optimizer.minimize(function, x, early_stopping).status
        except KeyboardInterrupt:
            status = FitStatus.INTERRUPTED
        if early_stopping.best is not None:
            theta, cold = (
                early_stopping.best.theta,
                WarmStart.cold(jnp.asarray(early_stopping.best.w)),
            )
        if status in FINAL:
            break
    if status in OUT_OF_TIME:
        watch.stop.set()
    spent = (
        time.perf_counter() - begun,
        compiling,
        counters.inner_seconds,
        counters.gradient_seconds,
        early_stopping.heldout_seconds,
    )
    seconds = dict(zip(PARTS, spent, strict=True))
    return Search(status, early_stopping.best, tuple(early_stopping.iterations), counters, seconds)


def _compile(function: AbstractFunction, early_stopping: EarlyStopping, x: np.ndarray) -> float:
    """Compile what the search will call; return the seconds it took.

    Of searches side by side whose arrays have the same shapes one compiles, the others wait for it.
    """
    before = time.perf_counter()
    leaves, structure = jax.tree.flatten((function.problem, function.sample))
    with _compiling.setdefault((structure, *(np.shape(leaf) for leaf in leaves)), Lock()):
        function.warm_up(x)
        early_stopping.warm_up(function.cold.w)
    return time.perf_counter() - before


def _stages(n_rows: int) -> list[int]:
    """Return the numbers of rows of the stages; the last has them all, up to its limit."""
    stages = [min(n_rows, MAX_SEARCH_ROWS)]
    while stages[0] > 2 * FIRST_STAGE_ROWS:
        stages.insert(0, max(FIRST_STAGE_ROWS, stages[0] // STAGE_GROWTH))
    return stages


def _monitor(problem: VariableProjection, data: Data, watch: Watch) -> EarlyStopping:
    early_stopping = EarlyStopping(
        problem,
        None,
        watch.criteria,
        watch.on_iteration,
        started=watch.started,
        stop=watch.stop,
        search=watch.number,
    )
    if data.heldout_X is not None and data.heldout_weights is not None:
        X, weights = data.heldout_X[:MAX_HELDOUT_ROWS], data.heldout_weights[:MAX_HELDOUT_ROWS]
        early_stopping.heldout = PaddedSample.of(X, weights, _chunk_rows(problem))
        early_stopping.heldout_every = 1 + (len(X) - 1) // min(len(data.X), MAX_SEARCH_ROWS)
    return early_stopping


def _function(
    problem: VariableProjection,
    optimizer: AbstractOptimizer,
    data: Data,
    n_rows: int,
    cold: WarmStart,
    counters: Counters,
) -> AbstractFunction:
    """Return what the optimizer searches, on the first `n_rows` rows."""
    sample = PaddedSample.of(data.X[:n_rows], data.weights[:n_rows], _chunk_rows(problem))
    kind = ReducedFunction if optimizer.eliminates else FullFunction
    return kind(problem, sample, cold, n_rows, counters)


def _chunk_rows(problem: VariableProjection) -> int:
    return chunk_rows(problem.template.n, problem.template.n_constrained)
