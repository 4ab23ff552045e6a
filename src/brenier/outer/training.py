r"""The training loop: from whitened rows to the best potential found.

Candidate 0 is the Gaussian: it is inside the model (network weights zero, quadratics along the
covariance's eigenvectors), and what is returned is never worse than it in training likelihood.
From every draw of initial weights there is one search with each weight decay; the held-out rows,
where there are any, decide when a search stops, which of its iterates is kept, and which search
wins.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from brenier.inner.solution import AbstractInnerSolver, WarmStart
from brenier.outer.function import Counters
from brenier.outer.gaussian import Gaussian
from brenier.outer.monitor import Iterate, Limits
from brenier.outer.parameters import lower_bounds, to_vector
from brenier.outer.reduced import VariableProjection
from brenier.outer.report import Certificate, ProgressCallback
from brenier.outer.sample import Data, Sample, chunk_rows
from brenier.outer.scheme import AbstractScheme, projected_gradient
from brenier.outer.search import FIRST_STAGE_ROWS, MAX_SEARCH_ROWS, Clock, Search, Watch, search
from brenier.potential.activations import AbstractActivation
from brenier.potential.head import ConvexPotential, SeparableFeatures
from brenier.potential.initialise import kinks_in_data
from brenier.potential.nonnegativity import AbstractNonnegativity
from brenier.status import FitStatus, InnerStatus

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
    decays : tuple of float
        Weights of 1/2 (|K|^2 + |L|^2), nats: one search with each, the best on held-out rows
        being kept. None: nothing but the Gaussian.
    w_min : float
        Floor of the quadratic weights, relative to the Gaussian's own.
    limits : Limits
        Iterations, patience, time.
    n_init : int
        Restarts with each decay.
    seed : int
        Seed of the initial weights.
    shrinkage : float
        Of the Gaussian's covariance towards its diagonal.
    """

    widths: tuple[int, ...]
    activation: AbstractActivation
    nonnegativity: AbstractNonnegativity
    solver: AbstractInnerSolver
    scheme: AbstractScheme
    quadratic: bool
    decays: tuple[float, ...]
    w_min: float
    limits: Limits
    n_init: int
    seed: int
    shrinkage: float = 0.0


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
        Every search: with every decay from the first initial weights, then from the second, ...
    winner : int
        Which search was returned.
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
    """What the searches of one fit share."""

    data: Data
    settings: Settings
    gaussian: Gaussian
    clock: Clock


def train(
    data: Data, settings: Settings, on_iteration: ProgressCallback | None = None
) -> TrainingResult:
    """Return the best potential of all searches, never worse in training than the Gaussian.

    Call it where float64 is enabled. A KeyboardInterrupt ends the search and the best potential so
    far is returned, with the status saying so.
    """
    run = _Run(data, settings, Gaussian.fit(data.X, data.weights, settings.shrinkage), Clock())
    problems, searches = [], []
    for problem in _problems(run):
        watch = Watch(settings.limits, run.clock, on_iteration)
        problems.append(problem)
        searches.append(search(problem, settings.scheme, data, _cold_start(run, problem), watch))
        if searches[-1].status in (FitStatus.INTERRUPTED, FitStatus.TIME_LIMIT):
            break
    if not searches:
        problems.append(_problem(run, np.random.default_rng(settings.seed)))
        searches.append(Search(0.0, FitStatus.CONVERGED, None, (), Counters()))
    scores = [np.inf if s.best is None else s.best.criterion for s in searches]
    winner = int(np.argmin(scores))
    return _conclude(run, problems[winner], searches, winner)


def _problems(run: _Run) -> Iterator[VariableProjection]:
    """Yield the separable problem of every search."""
    rng = np.random.default_rng(run.settings.seed)
    for _ in range(run.settings.n_init):
        problem = _problem(run, rng)
        for decay in run.settings.decays:
            yield replace(problem, decay=np.asarray(decay))


def _problem(run: _Run, rng: np.random.Generator) -> VariableProjection:
    """Return the separable problem, without weight decay, at freshly drawn initial weights."""
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
    return VariableProjection(features, floor, ridge, settings.solver, np.asarray(0.0))


def _cold_start(run: _Run, problem: VariableProjection) -> WarmStart:
    """Return strictly feasible weights: the Gaussian's, with a little of every network feature."""
    width = problem.template.network.width
    if not run.settings.quadratic:
        w = np.concatenate([np.ones(width), np.zeros(problem.template.n)])
        return WarmStart.cold(jnp.asarray(w))
    w = run.gaussian.weights(width)
    w[:width] = 0.1 / width
    return WarmStart.cold(jnp.asarray(w))


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
    run.clock.seconds["total"] = run.clock.elapsed
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
        seconds=run.clock.seconds,
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
