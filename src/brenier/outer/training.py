r"""The training loop: from whitened rows to the best potential found.

Candidate 0 is the Gaussian: it is inside the model (network weights zero, quadratics along the
covariance's eigenvectors), and what is returned is never worse than it in training likelihood.
Each restart draws initial weights and searches over mu; the held-out rows, where there are any,
decide when it stops and which iterate is kept.

Long tables are learnt in stages, each on a prefix of the rows several times as long as the last
and started from the stage before: the early iterations, which only need a rough gradient, cost a
rough gradient. Every stage is a fixed sample (SAA), so every stage is deterministic.
"""

import time
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.inner.solution import AbstractInnerSolver, WarmStart
from brenier.outer.function import ReducedFunction
from brenier.outer.gaussian import Gaussian
from brenier.outer.monitor import Iterate, Limits, Monitor
from brenier.outer.parameters import lower_bounds, to_vector
from brenier.outer.reduced import VariableProjection
from brenier.outer.report import Certificate, Iteration, ProgressCallback
from brenier.outer.sample import Sample, chunk_rows
from brenier.outer.scheme import AbstractScheme, projected_gradient
from brenier.potential.activations import AbstractActivation
from brenier.potential.head import ConvexPotential, SeparableFeatures
from brenier.potential.initialise import kinks_in_data
from brenier.potential.nonnegativity import AbstractNonnegativity
from brenier.status import FitStatus, InnerStatus

# Rows of the first stage, and how much longer each next one is.
FIRST_STAGE_ROWS = 16384
STAGE_GROWTH = 8
# The search over mu sees at most this many rows: a few hundred to a few thousand parameters are
# known from them to well under 0.01 nats. The last layer is then solved for on all rows.
MAX_SEARCH_ROWS = 131072
# Held-out rows beyond this many would only refine a number that is precise enough.
MAX_HELDOUT_ROWS = 32768
# Ridge on the network's weights (nats per squared standard deviation of z that a feature can add).
RIDGE = 1e-8


@dataclass(frozen=True)
class Settings:
    """What a training run needs to know besides the data.

    Attributes
    ----------
    widths : tuple of int
        Hidden widths.
    activation, nonnegativity, solver, scheme
        The parts.
    quadratic : bool
        Whether the head has quadratics; False is the thesis's form.
    decay : float
        Weight of 1/2 (|K|^2 + |L|^2), nats.
    w_min : float
        Floor of the quadratic weights, relative to the Gaussian's own.
    limits : Limits
        Iterations, patience, time.
    n_init : int
        Restarts.
    seed : int
        Seed of the initial weights.
    """

    widths: tuple[int, ...]
    activation: AbstractActivation
    nonnegativity: AbstractNonnegativity
    solver: AbstractInnerSolver
    scheme: AbstractScheme
    quadratic: bool
    decay: float
    w_min: float
    limits: Limits
    n_init: int
    seed: int


@dataclass(frozen=True)
class Data:
    """Weighted rows in the potential's coordinates, to train on and to hold out."""

    X: Float[np.ndarray, "N n"]
    weights: Float[np.ndarray, " N"]
    heldout_X: Float[np.ndarray, "M n"] | None
    heldout_weights: Float[np.ndarray, " M"] | None


@dataclass(frozen=True)
class Search:
    """One restart: how it ended and its best iterate, if it had any."""

    status: FitStatus
    best: Iterate | None
    iterations: tuple[Iteration, ...]
    newton_steps: tuple[int, ...]
    inner_failures: int


@dataclass(frozen=True)
class TrainingResult:
    """The potential to return, and how it came about.

    Attributes
    ----------
    potential : ConvexPotential
        With NumPy arrays.
    status : FitStatus
        Of the search that won.
    is_gaussian : bool
        Whether no search did better than the Gaussian.
    best : Iterate or None
        Losses of the returned iterate; None for the Gaussian.
    gaussian : Gaussian
        Candidate 0.
    gaussian_loss, gaussian_heldout_loss : float
        Its J (nats).
    certificate : Certificate or None
        Of the returned iterate.
    searches : tuple of Search
        Every restart.
    winner : int
        Which restart was returned.
    seconds : dict
        Wall time by part.
    """

    potential: ConvexPotential
    status: FitStatus
    is_gaussian: bool
    best: Iterate | None
    gaussian: Gaussian
    gaussian_loss: float
    gaussian_heldout_loss: float
    certificate: Certificate | None
    searches: tuple[Search, ...]
    winner: int
    seconds: dict[str, float]


@dataclass
class _Run:
    """What the restarts of one fit share."""

    data: Data
    settings: Settings
    on_iteration: ProgressCallback | None
    gaussian: Gaussian
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("compile", "inner", "gradient", "heldout"), 0.0)
    )


def train(
    data: Data, settings: Settings, on_iteration: ProgressCallback | None = None
) -> TrainingResult:
    """Return the best potential of all restarts, never worse in training than the Gaussian.

    Call it where float64 is enabled. A KeyboardInterrupt ends the search and the best potential so
    far is returned, with the status saying so.
    """
    run = _Run(data, settings, on_iteration, Gaussian.fit(data.X, data.weights))
    rng = np.random.default_rng(settings.seed)
    problems, searches = [], []
    for _ in range(settings.n_init):
        problem = _problem(run, rng)
        search = _search(run, problem)
        problems.append(problem)
        searches.append(search)
        if search.status in (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT):
            break
    scores = [np.inf if s.best is None else s.best.criterion for s in searches]
    winner = int(np.argmin(scores))
    return _conclude(run, problems[winner], searches, winner)


def _problem(run: _Run, rng: np.random.Generator) -> VariableProjection:
    """Return the separable problem at freshly drawn initial weights."""
    settings, n = run.settings, run.data.X.shape[1]
    network = kinks_in_data(
        run.data.X[:FIRST_STAGE_ROWS],
        settings.widths,
        settings.activation,
        settings.nonnegativity,
        rng,
    )
    axes = run.gaussian.axes if settings.quadratic else np.zeros((0, n))
    quadratic_floor = settings.w_min / run.gaussian.sd if settings.quadratic else np.zeros(0)
    floor = np.concatenate([np.zeros(network.width), quadratic_floor, np.full(n, -np.inf)])
    features = SeparableFeatures(network, axes, normalised=settings.quadratic)
    ridge = np.zeros(len(floor))
    ridge[: network.width] = RIDGE
    return VariableProjection(features, floor, ridge, settings.solver, np.asarray(settings.decay))


def _cold_start(run: _Run, problem: VariableProjection) -> WarmStart:
    """Return strictly feasible weights: the Gaussian's, with a little of every network feature."""
    width = problem.template.network.width
    if not run.settings.quadratic:
        w = np.concatenate([np.ones(width), np.zeros(problem.template.n)])
        return WarmStart.cold(jnp.asarray(w))
    w = run.gaussian.weights(width)
    w[:width] = 0.1 / width
    return WarmStart.cold(jnp.asarray(w))


def _stages(n_rows: int) -> list[int]:
    """Return the numbers of rows of the stages; the last has them all, up to its limit."""
    stages = [min(n_rows, MAX_SEARCH_ROWS)]
    while stages[0] > 2 * FIRST_STAGE_ROWS:
        stages.insert(0, max(FIRST_STAGE_ROWS, stages[0] // STAGE_GROWTH))
    return stages


def _search(run: _Run, problem: VariableProjection) -> Search:
    """Search from the problem's initial weights, stage by stage."""
    data, settings = run.data, run.settings
    n, k = data.X.shape[1], problem.template.n_constrained
    rows = chunk_rows(n, k)
    heldout = None
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout = Sample.of(
            data.heldout_X[:MAX_HELDOUT_ROWS], data.heldout_weights[:MAX_HELDOUT_ROWS], rows
        )
    monitor = Monitor(problem, heldout, settings.limits, run.on_iteration, run.started)
    theta = to_vector(problem.template.network)
    lower = lower_bounds(problem.template.network)
    status = FitStatus.NO_PROGRESS
    newton_steps: list[int] = []
    failures = work_units = 0
    for n_rows in _stages(len(data.X)):
        sample = Sample.of(data.X[:n_rows], data.weights[:n_rows], rows)
        function = ReducedFunction(
            problem, sample, _cold_start(run, problem), n_rows, work_units_before=work_units
        )
        if heldout is None:
            # Training losses of different samples do not compare.
            monitor.best = None
        try:
            run.seconds["compile"] += function.warm_up(theta)
            status = settings.scheme.search(function, theta, lower, monitor).status
        except KeyboardInterrupt:
            status = FitStatus.INTERRUPTED
        newton_steps += function.newton_steps
        work_units = function.work_units
        failures += function.failures
        run.seconds["inner"] += function.inner_seconds
        run.seconds["gradient"] += function.gradient_seconds
        if monitor.best is not None:
            theta = monitor.best.theta
        if status in (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT, FitStatus.ITERATION_LIMIT):
            break
    run.seconds["heldout"] += monitor.heldout_seconds
    return Search(status, monitor.best, tuple(monitor.iterations), tuple(newton_steps), failures)


def _conclude(
    run: _Run, problem: VariableProjection, searches: list[Search], winner: int
) -> TrainingResult:
    """Return the winner, or the Gaussian where no search did better."""
    data, settings, gaussian = run.data, run.settings, run.gaussian
    gaussian_loss = gaussian.loss(data.X, data.weights)
    gaussian_heldout = float("nan")
    if data.heldout_X is not None and data.heldout_weights is not None:
        gaussian_heldout = gaussian.loss(data.heldout_X, data.heldout_weights)
    best, status = searches[winner].best, searches[winner].status
    certificate = None
    if best is not None:
        best, certificate = _polish(run, problem, best, status)
    is_gaussian = settings.quadratic and (
        best is None
        or not best.loss <= gaussian_loss
        or not (np.isnan(best.heldout_loss) or best.heldout_loss <= gaussian_heldout)
    )
    if is_gaussian:
        theta = to_vector(problem.template.network)
        w = gaussian.weights(problem.template.network.width)
        best = certificate = None
    elif best is None:
        # Without quadratics the Gaussian is not in the model: there is nothing to fall back on.
        status = status if status is FitStatus.INTERRUPTED else FitStatus.NUMERICAL_FAILURE
        theta = to_vector(problem.template.network)
        w = np.asarray(_cold_start(run, problem).w)
    else:
        theta, w = best.theta, best.w
    potential = jax.tree.map(np.asarray, problem.potential(theta, w))
    run.seconds["total"] = time.perf_counter() - run.started
    return TrainingResult(
        potential=potential,
        status=status,
        is_gaussian=is_gaussian,
        best=best,
        gaussian=gaussian,
        gaussian_loss=gaussian_loss,
        gaussian_heldout_loss=gaussian_heldout,
        certificate=certificate,
        searches=tuple(searches),
        winner=winner,
        seconds=run.seconds,
    )


def _polish(
    run: _Run, problem: VariableProjection, best: Iterate, status: FitStatus
) -> tuple[Iterate, Certificate]:
    """Return the best iterate with w solved for on all rows, and its certificate."""
    data = run.data
    rows = chunk_rows(data.X.shape[1], problem.template.n_constrained)
    sample = Sample.of(data.X, data.weights, rows)
    theta, w = jnp.asarray(best.theta), jnp.asarray(best.w)
    if len(data.X) > MAX_SEARCH_ROWS and status is not FitStatus.INTERRUPTED:
        solution = problem.solve(theta, sample, WarmStart(w, jnp.zeros_like(w), jnp.asarray(True)))
        if solution.status == InnerStatus.CONVERGED:
            w = solution.w
    loss, _, gradient = problem.value_and_gradient(theta, w, sample)
    stationarity, gap = problem.certificate(theta, w, sample)
    lower = lower_bounds(problem.template.network)
    certificate = Certificate(
        stationarity=float(stationarity),
        duality_gap=float(gap),
        projected_gradient=projected_gradient(best.theta, np.asarray(gradient), lower),
    )
    heldout = best.heldout_loss
    if data.heldout_X is not None and data.heldout_weights is not None:
        heldout_sample = Sample.of(data.heldout_X, data.heldout_weights, rows)
        heldout = float(problem.loss(theta, w, heldout_sample))
    polished = replace(best, w=np.asarray(w), loss=float(loss), heldout_loss=heldout)
    return polished, certificate
