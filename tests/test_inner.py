"""Convex problems, most of which have never seen a network: both solvers, the same certificates."""

from functools import cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest

from brenier.arrays import FeatureDerivatives
from brenier.data.datasets import Moons
from brenier.inner.barrier import Barrier
from brenier.inner.objective import (
    AbstractObjective,
    ArrayObjective,
    ChunkedObjective,
    Evaluation,
    ValueAndGradient,
)
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import (
    AbstractInnerSolver,
    WarmStart,
    barrier_term,
    stationarity,
    step_to_boundary,
)
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.status import InnerStatus

pytestmark = pytest.mark.usefixtures("x64")

TAU = 1e-4
SOLVERS: dict[str, AbstractInnerSolver] = {
    "primal-dual": PrimalDual(tau=TAU),
    "barrier": Barrier(tau=TAU),
}
# Most steps from a cold start. The design measured 9 and 64 on moons; the thesis's form starts at
# w = 1 in the data's own coordinates, further away (17 steps).
COLD = {"primal-dual": 12, "barrier": 80}
COLD_THESIS = {"primal-dual": 20, "barrier": 80}
# Most steps from the solution itself; one closes the solve.
WARM = 3
# What both solvers promise: the same J_tau, in nats.
OPTIMUM = 1e-9
# Their decrements of 1e-9 (squared, before a closing Newton step that squares them again) leave
# this much in w and in the gradient.
STATIONARY = 1e-7
# Float64 sums of some dozen terms of order one to a hundred.
ROUNDING = {"rtol": 1e-11, "atol": 1e-11}
# A conic solver's own tolerance on this problem.
ORACLE = 1e-6


def packed(full):
    """Return (N, k, n, n) as (P, N, k)."""
    n = full.shape[-1]
    return np.stack([full[:, :, a, b] for a in range(n) for b in range(a + 1)])


class Rows(NamedTuple):
    """Features' derivatives at N rows in the naive layout, G (N, m, n) and H (N, k, n, n).

    The last r Hessians are d d^T for the directions d (N, r, n).
    """

    G: np.ndarray
    H: np.ndarray
    d: np.ndarray
    omega: np.ndarray
    ridge: np.ndarray

    @property
    def features(self):
        return FeatureDerivatives(
            gradients=self.G.transpose(2, 0, 1),
            hessians=packed(self.H[:, : K - self.d.shape[1]]),
            directions=self.d.transpose(2, 0, 1),
        )

    @property
    def arrays(self):
        return ArrayObjective.of(self.features, self.omega, jnp.asarray(self.ridge))

    def chunked(self, C):
        """Return the objective over C chunks, whose "features" are slices of the arrays."""
        chunks = jax.tree.map(lambda array: np.stack(np.split(array, C, axis=1)), self.features)
        omega = self.omega.reshape(C, -1)
        return ChunkedObjective.of(lambda chunk: chunk, chunks, omega, jnp.asarray(self.ridge))


N, K = 12, 4


def random_rows(n, seed, ridge=1e-3, r=0):
    """Return rows of K random convex features and n linear ones, unequal weights.

    The last r of the K have Hessians of rank one.
    """
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(N, K, n, n)) / np.sqrt(n)
    B[:, K - r :, :, 1:] = 0.0
    d = B[:, K - r :, :, 0]
    H = B @ B.swapaxes(-1, -2)
    G = np.concatenate([rng.normal(size=(N, K, n)), np.broadcast_to(np.eye(n), (N, n, n))], axis=1)
    omega = rng.uniform(0.5, 1.5, size=N)
    return Rows(G, H, d, omega / omega.sum(), np.where(np.arange(K + n) < K, ridge, 0.0))


ROWS = {f"n = {n}": random_rows(n, seed=n) for n in (1, 2, 11)} | {
    f"rank one, n = {n}": random_rows(n, seed=n, r=2) for n in (1, 2, 11)
}


class Bowl(AbstractObjective):
    """1/2 |w - centre|^2."""

    centre: jax.Array

    def value(self, w):
        return 0.5 * jnp.sum((w - self.centre) ** 2)

    def slope(self, w):
        return ValueAndGradient(self.value(w), w - self.centre)

    def evaluate(self, w):
        return Evaluation(self.value(w), w - self.centre, jnp.eye(len(w)))


class Differentiated(AbstractObjective):
    """Any convex function of w, infinite where it is not finite, differentiated for us."""

    def function(self, w):
        raise NotImplementedError

    def value(self, w):
        value = self.function(w)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    def slope(self, w):
        return ValueAndGradient(self.value(w), jax.grad(self.function)(w))

    def evaluate(self, w):
        return Evaluation(self.value(w), jax.grad(self.function)(w), jax.hessian(self.function)(w))


class AnalyticCentre(Differentiated):
    """- sum log(b - A w): the analytic centre of a polytope."""

    A: jax.Array
    b: jax.Array

    def function(self, w):
        return -jnp.sum(jnp.log(self.b - self.A @ w))


class LogSumExp(Differentiated):
    """log sum exp(A w + b): smooth, nearly flat in many directions."""

    A: jax.Array
    b: jax.Array

    def function(self, w):
        return jax.scipy.special.logsumexp(self.A @ w + self.b) + 1e-3 * jnp.sum(w**2)


class Problem(NamedTuple):
    objective: AbstractObjective
    floor: np.ndarray
    start: np.ndarray
    rows: Rows | None = None

    @property
    def m_plus(self):
        return np.isfinite(self.floor).sum()


def of_rows(rows, floors, *, chunks=0):
    n = rows.G.shape[-1]
    floor = np.concatenate([floors, np.full(n, -np.inf)])
    start = np.where(np.isfinite(floor), floor + 1.0, 0.0)
    return Problem(rows.chunked(chunks) if chunks else rows.arrays, floor, start, rows)


def thesis_size(*, quadratic):
    """Return 1024 rows of moons seen by a 4 x 32 network as training starts it."""
    X = Moons().sample(1024, random_state=0)
    form = "bounds" if quadratic else "softplus"
    if quadratic:
        centred = X - X.mean(axis=0)
        X = centred @ np.linalg.inv(np.linalg.cholesky(centred.T @ centred / len(X))).T
    network = initial_network(
        X,
        (32, 32, 32, 32),
        ACTIVATIONS["gaussian-softplus" if quadratic else "softplus"],
        NONNEGATIVITY[form],
        np.random.default_rng(0),
    )
    axes = np.eye(2) if quadratic else np.zeros((0, 2))
    features = SeparableFeatures(network, axes, normalised=quadratic)
    d = jax.jit(SeparableFeatures.derivatives)(features, X)
    q, m = len(axes), features.n_features
    floor = np.concatenate([np.zeros(32), np.full(q, 1e-2), np.full(2, -np.inf)])
    start = np.concatenate([np.full(32, 0.1 / 32 if quadratic else 1.0), np.ones(q), np.zeros(2)])
    ridge = jnp.where(np.arange(m) < 32, 1e-8, 0.0)
    omega = np.full(1024, 1 / 1024)
    return Problem(ArrayObjective.of(d, omega, ridge), floor, start)


FREE = np.full(3, -np.inf)
POLYTOPE = np.vstack([np.eye(3), -np.eye(3), np.random.default_rng(5).normal(size=(4, 3))])
FLOORS = np.array([0.0, 0.0, 0.01, 0.3])
PROBLEMS = {
    "bowl, one floor above its centre": lambda: Problem(
        Bowl(jnp.array([2.0, -1.0, 0.5])), np.array([0.0, 0.0, -np.inf]), np.ones(3)
    ),
    "analytic centre, all free": lambda: Problem(
        AnalyticCentre(jnp.asarray(POLYTOPE), jnp.ones(10)), FREE, np.full(3, 0.2)
    ),
    "log-sum-exp": lambda: Problem(
        LogSumExp(jnp.asarray(POLYTOPE[6:] - 1), jnp.zeros(4)), np.zeros(3), np.ones(3)
    ),
    "n = 1": lambda: of_rows(ROWS["n = 1"], FLOORS),
    "n = 2": lambda: of_rows(ROWS["n = 2"], FLOORS),
    "n = 2, chunked": lambda: of_rows(ROWS["n = 2"], FLOORS, chunks=3),
    "n = 11": lambda: of_rows(ROWS["n = 11"], FLOORS),
    "thesis's size": lambda: thesis_size(quadratic=True),
    "thesis's form": lambda: thesis_size(quadratic=False),
}
problem_of = cache(lambda name: PROBLEMS[name]())
on_all = pytest.mark.parametrize("name", PROBLEMS)
on_rows = pytest.mark.parametrize("name", ROWS)
both_solvers = pytest.mark.parametrize("solver", SOLVERS)


# Compiling is what costs here.
program = eqx.filter_jit(compiler_options={"xla_backend_optimization_level": 0})


@program
def solve(solver, objective, floor, start):
    return solver.solve(objective, floor, start)


@eqx.filter_jit
def certificate(objective, floor, w):
    return objective.evaluate(w), barrier_term(w, floor)


@cache
def solved(name, solver):
    problem = problem_of(name)
    floor, start = jnp.asarray(problem.floor), WarmStart.cold(jnp.asarray(problem.start))
    return solve(SOLVERS[solver], problem.objective, floor, start)


def J_tau(name, w):
    problem = problem_of(name)
    at, barrier = certificate(problem.objective, jnp.asarray(problem.floor), w)
    return float(at.value + TAU * barrier)


# The solvers.


@on_all
@both_solvers
def test_certificate(name, solver):
    problem, solution = problem_of(name), solved(name, solver)
    constrained = np.isfinite(problem.floor)
    assert solution.status == InnerStatus.CONVERGED
    s = np.asarray(solution.w)[constrained] - problem.floor[constrained]
    assert (s > 0).all()
    multipliers = np.asarray(solution.multipliers)
    assert (multipliers[~constrained] == 0).all()
    np.testing.assert_allclose(s * multipliers[constrained], TAU, rtol=1e-14)
    assert float(solution.complementarity) == pytest.approx(problem.m_plus * TAU, rel=1e-12)
    at, _ = certificate(problem.objective, jnp.asarray(problem.floor), solution.w)
    assert stationarity(at.gradient, solution.multipliers) < STATIONARY


@on_all
def test_both_solvers_reach_the_same_optimum(name):
    first, second = (solved(name, solver).w for solver in SOLVERS)
    assert J_tau(name, first) == pytest.approx(J_tau(name, second), abs=OPTIMUM)
    np.testing.assert_allclose(first, second, rtol=STATIONARY, atol=STATIONARY)
    # Not by standing still.
    assert J_tau(name, first) < J_tau(name, jnp.asarray(problem_of(name).start)) - 1e-3


@on_all
@both_solvers
def test_iteration_ceilings(name, solver):
    solution = solved(name, solver)
    ceiling = COLD_THESIS if name == "thesis's form" else COLD
    assert 1 < solution.newton_steps <= ceiling[solver]
    problem = problem_of(name)
    again = solve(SOLVERS[solver], problem.objective, jnp.asarray(problem.floor), solution.start)
    assert again.status == InnerStatus.CONVERGED
    assert again.newton_steps + again.chord_steps <= WARM
    np.testing.assert_allclose(again.w, solution.w, rtol=STATIONARY, atol=STATIONARY)


@pytest.mark.parametrize("factor", [1e-8, 1.0, 1e8])
@both_solvers
def test_stale_multipliers_of_a_neighbour_do_no_harm(solver, factor):
    # Weights a tenth away, and multipliers of some other scale: never dearer than a cold start.
    problem, solution = problem_of("n = 2"), solved("n = 2", solver)
    w = jnp.where(jnp.isfinite(problem.floor), 1.1 * solution.w, solution.w - 0.1)
    stale = WarmStart(w, factor * solution.multipliers, jnp.asarray(True))
    again = solve(SOLVERS[solver], problem.objective, jnp.asarray(problem.floor), stale)
    assert again.status == InnerStatus.CONVERGED
    assert again.newton_steps + again.chord_steps <= COLD["primal-dual"]
    np.testing.assert_allclose(again.w, solution.w, rtol=STATIONARY, atol=STATIONARY)


@both_solvers
def test_closed_form(solver):
    # s (s + floor - centre) = tau, one quadratic for each constrained weight.
    found = solved("bowl, one floor above its centre", solver).w
    expected = [(c + np.sqrt(c**2 + 4 * TAU)) / 2 for c in (2.0, -1.0)] + [0.5]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name.startswith("n =")])
@both_solvers
def test_identity_of_the_mean_square(name, solver):
    # Differentiate J(alpha w) at alpha = 1; the ridge adds its own square.
    problem, w = problem_of(name), np.asarray(solved(name, solver).w)
    rows, multipliers = problem.rows, np.asarray(solved(name, solver).multipliers)
    n = rows.G.shape[-1]
    z = np.einsum("jia,i->ja", rows.G, w)
    mean_square = rows.omega @ np.sum(z**2, axis=1) + rows.ridge @ w**2
    assert (rows.ridge @ w**2) > 100 * STATIONARY
    expected = n + TAU * problem.m_plus + FLOORS @ multipliers[:K]
    assert mean_square == pytest.approx(expected, abs=10 * STATIONARY)


@both_solvers
def test_gap_bounds_the_error_of_the_barrier(solver):
    # J(w_tau) - min J <= m_plus tau, the minimum taken at a hundred times smaller tau.
    problem = problem_of("n = 2")
    w = solved("n = 2", solver).w
    finer = eqx.tree_at(lambda s: s.tau, SOLVERS[solver], 1e-2 * TAU)
    best = solve(finer, problem.objective, jnp.asarray(problem.floor), WarmStart.cold(w))
    assert best.status == InnerStatus.CONVERGED
    gap = problem.objective.value(w) - problem.objective.value(best.w)
    assert 0 < gap <= problem.m_plus * TAU


@both_solvers
def test_conic_solver_agrees(solver):
    cvxpy = pytest.importorskip("cvxpy")
    problem = problem_of("n = 2")
    G, H, _, omega, ridge = problem.rows
    w = cvxpy.Variable(K + 2)
    J = cvxpy.sum(
        [
            omega[j] * (0.5 * cvxpy.sum_squares(G[j].T @ w))
            - omega[j] * cvxpy.log_det(sum(w[i] * H[j, i] for i in range(K)))
            for j in range(N)
        ]
    )
    J += 0.5 * cvxpy.sum(cvxpy.multiply(ridge, w**2))
    J -= TAU * cvxpy.sum(cvxpy.log(w[:K] - FLOORS))
    value = cvxpy.Problem(cvxpy.Minimize(J)).solve(solver="CLARABEL")
    found = solved("n = 2", solver).w
    assert J_tau("n = 2", found) == pytest.approx(value, abs=ORACLE)
    # Where J_tau is flat the oracle's w is the less exact one.
    np.testing.assert_allclose(found, w.value, atol=1e-3)


# The statuses.


class Uphill(Bowl):
    """A bowl whose gradient is wrong: no step along its Newton direction descends."""

    def evaluate(self, w):
        return Evaluation(self.value(w), self.centre - w, jnp.eye(len(w)))


class Saddle(Bowl):
    """A "convex" function with an indefinite Hessian."""

    def evaluate(self, w):
        return Evaluation(self.value(w), w - self.centre, 2.0 - jnp.eye(len(w)))


def status_of(objective, solver, start=(1.0, 1.0, 1.0)):
    floor = np.array([0.0, -np.inf, -np.inf])
    cold = WarmStart.cold(jnp.array(start))
    solution = solve(solver, objective, jnp.asarray(floor), cold)
    assert np.isfinite(solution.w).all()
    return InnerStatus(int(solution.status)), int(solution.newton_steps)


CENTRE = jnp.array([3.0, -4.0, 5.0])


@both_solvers
def test_every_status(solver):
    solver = SOLVERS[solver]
    status, steps = status_of(Bowl(CENTRE), solver)
    assert status is InnerStatus.CONVERGED
    short = eqx.tree_at(lambda s: s.max_steps, solver, 2)
    assert status_of(Bowl(CENTRE), short) == (InnerStatus.ITERATION_LIMIT, 2)
    assert steps > 2
    # The last step allowed may be the one that closes.
    enough = eqx.tree_at(lambda s: s.max_steps, solver, steps)
    assert status_of(Bowl(CENTRE), enough) == (InnerStatus.CONVERGED, steps)
    assert status_of(Uphill(CENTRE), solver) == (InnerStatus.NO_PROGRESS, 1)
    assert status_of(Saddle(CENTRE), solver) == (InnerStatus.NUMERICAL_FAILURE, 1)
    outside = solve(
        solver,
        problem_of("n = 2").objective,
        jnp.asarray(problem_of("n = 2").floor),
        WarmStart.cold(-jnp.ones(K + 2)),
    )
    assert outside.status == InnerStatus.NUMERICAL_FAILURE


@pytest.mark.parametrize(
    ("ds", "expected"), [((1.0, 2.0), 1.0), ((-1.0, -0.1), 0.5), ((-4.0, 0.0), 0.125)]
)
def test_step_to_boundary(ds, expected):
    step = step_to_boundary(jnp.array([1.0, 1.0]), jnp.array(ds), 0.5)
    assert float(step) == pytest.approx(expected, rel=1e-15)


# The objective.


@on_rows
def test_objective_is_the_naive_one_in_arrays_and_in_chunks(name):
    rows = ROWS[name]
    m = rows.G.shape[1]
    w = np.random.default_rng(1).uniform(0.2, 2.0, size=m)
    expected = naive.loss(w, rows.G, rows.H, rows.omega, rows.ridge)
    for objective in (rows.arrays, rows.chunked(3), rows.chunked(1)):
        at = evaluate(objective, w)
        for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
            np.testing.assert_allclose(found, reference, **ROUNDING)
        assert_slope_is(objective, w, expected)
        assert float(value(objective, w)) == pytest.approx(float(at.value), rel=1e-14)


evaluate = eqx.filter_jit(lambda objective, w: objective.evaluate(w))
value = eqx.filter_jit(lambda objective, w: objective.value(w))
slope = eqx.filter_jit(lambda objective, w: objective.slope(w))


def assert_slope_is(objective, w, expected):
    at = slope(objective, w)
    for found, reference in zip((at.value, at.gradient), expected[:2], strict=True):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@eqx.filter_jit
def plain_loss_and_derivatives(rows, w):
    """Return J by its formula, its gradient and its Hessian by automatic differentiation."""

    def J(w):
        G, H, _, omega, ridge = rows
        z = jnp.einsum("jia,i->ja", G, w)
        A = jnp.einsum("jiab,i->jab", H, w[: H.shape[1]])
        per_row = 0.5 * jnp.sum(z**2, axis=1) - jnp.linalg.slogdet(A)[1]
        return jnp.sum(omega * per_row) + 0.5 * jnp.sum(ridge * w**2)

    return J(w), jax.grad(J)(w), jax.hessian(J)(w)


@on_rows
def test_derivatives_are_those_of_automatic_differentiation(name):
    w = np.random.default_rng(2).uniform(0.2, 2.0, size=ROWS[name].G.shape[1])
    at = evaluate(ROWS[name].arrays, w)
    for found, reference in zip(
        (at.value, at.gradient, at.hessian), plain_loss_and_derivatives(ROWS[name], w), strict=True
    ):
        np.testing.assert_allclose(found, reference, **ROUNDING)


@on_rows
def test_infinite_outside_the_domain(name):
    rows = ROWS[name]
    w = -np.ones(rows.G.shape[1])
    for objective in (rows.arrays, rows.chunked(3)):
        assert value(objective, w) == np.inf
        assert evaluate(objective, w).value == np.inf


# What a padding row may hold: nothing of it counts.
PADDING = {"a good row": 1.0, "zeros": 0.0, "no positive Hessian": -1.0}


@on_rows
@pytest.mark.parametrize("padding", PADDING)
def test_rows_of_weight_zero_change_nothing(name, padding):
    rows = ROWS[name]
    w = np.random.default_rng(3).uniform(0.2, 2.0, size=rows.G.shape[1])
    padded, fill = Rows(*(np.array(array) for array in rows)), PADDING[padding]
    padded.omega[-3:] = 0.0
    padded.G[-3:] *= fill
    padded.H[-3:] *= fill
    padded.d[-3:] *= fill
    expected = naive.loss(w, rows.G[:-3], rows.H[:-3], rows.omega[:-3], rows.ridge)
    for objective in (padded.arrays, padded.chunked(3)):
        at = evaluate(objective, w)
        for found, reference in zip((at.value, at.gradient, at.hessian), expected, strict=True):
            np.testing.assert_allclose(found, reference, **ROUNDING)
        assert_slope_is(objective, w, expected)


# The kept Hessian.


class Counted(Differentiated):
    """A function whose Hessian says, on the host, every time it is formed."""

    inner: Differentiated
    said: list = eqx.field(static=True)

    def function(self, w):
        return self.inner.function(w)

    def evaluate(self, w):
        jax.debug.callback(lambda: self.said.append(1))
        return super().evaluate(w)


@pytest.mark.parametrize("name", ["analytic centre, all free", "log-sum-exp"])
def test_a_warm_start_forms_few_hessians_and_ends_at_the_same_point(name):
    problem, cold = problem_of(name), solved(name, "primal-dual")
    counted = Counted(problem.objective, [])
    floor = jnp.asarray(problem.floor)
    nearby = WarmStart(1.001 * cold.w, cold.multipliers, jnp.asarray(True))
    warm = solve(SOLVERS["primal-dual"], counted, floor, nearby)
    jax.effects_barrier()
    assert warm.status == InnerStatus.CONVERGED
    assert len(counted.said) == int(warm.newton_steps)
    assert warm.chord_steps > 0
    assert cold.chord_steps == 0
    np.testing.assert_allclose(warm.w, cold.w, rtol=STATIONARY, atol=STATIONARY)
