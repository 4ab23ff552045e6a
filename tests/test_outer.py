"""The search over mu: exact gradients, rows in canonical order, and ends that say what they are."""

import inspect
import time
from dataclasses import dataclass, replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brenier import taylor_check
from brenier.data.datasets import Moons
from brenier.data.rows import canonical_rows
from brenier.inner.barrier import Barrier
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.linalg import unpack
from brenier.optimizers import lbfgs
from brenier.optimizers.early_stopping import EarlyStopping, Iterate, StoppingCriteria
from brenier.optimizers.gauss_newton import GaussNewton
from brenier.optimizers.gradient_descent import GradientDescent
from brenier.optimizers.lbfgs import LBFGS
from brenier.optimizers.progress import Iteration
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.initialise import initial_radial_units
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.units import ConcatenatedUnits
from brenier.status import FitStatus
from brenier.training import parallel as run_parallel
from brenier.training import training
from brenier.training.run import OUT_OF_TIME, PARTS, Search
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.start import JointModel
from brenier.training.training import RACE, train, train_apart
from brenier.varpro.function import (
    AbstractFunction,
    Counters,
    Evaluated,
    FullFunction,
    ReducedFunction,
)
from brenier.varpro.parameters import from_vector, lower_bounds, to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import Data, PaddedSample, chunk_rows, padded_length

pytestmark = pytest.mark.usefixtures("x64")

# Observed orders of Taylor remainders at small steps, of which the next term is a few per cent.
ORDER = 0.1
# A remainder below this is rounding of J, and the inner solver's closing step, whose error in J_tau
# is the square of a decrement of 1e-9.
INNER = 1e-11
# The same sums in another order.
ROUNDING = {"rtol": 1e-10, "atol": 1e-11}

N_ROWS, WIDTHS = 60, (4, 3)
SOLVERS = {"primal-dual": PrimalDual(tau=1e-3), "barrier": Barrier(tau=1e-3)}
both_forms = pytest.mark.parametrize("form", NONNEGATIVITY)


@cache
def rows():
    """Return 60 standardised rows of moons, and unequal weights."""
    X = Moons().sample(N_ROWS, random_state=0)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=N_ROWS)
    return (X - X.mean(axis=0)) / X.std(axis=0), weights


def network(form, widths=WIDTHS, n=2, seed=2):
    rng = np.random.default_rng(seed)
    return InputConvexNetwork(
        K=tuple(rng.normal(size=(width, n)) for width in widths),
        b=tuple(rng.normal(size=width) for width in widths),
        L=tuple(
            NONNEGATIVITY[form].raw(0.5 + rng.exponential(size=shape))
            for shape in zip(widths[1:], widths, strict=False)
        ),
        activation=ACTIVATIONS["gaussian-softplus"],
        nonnegativity=NONNEGATIVITY[form],
    )


def units(form, n_radial):
    """Return the network, with radial beside it if there are any."""
    if not n_radial:
        return network(form)
    radial = initial_radial_units(rows()[0], n_radial, np.random.default_rng(4))
    return ConcatenatedUnits((network(form), radial))


def problem(solver, form, n_radial=0):
    width = WIDTHS[-1] + n_radial
    floor = np.array([0.0] * width + [1e-2] * 2 + [-np.inf] * 2)
    return VariableProjection(
        SeparableFeatures(units(form, n_radial), np.eye(2)),
        floor,
        ridge=np.where(np.arange(len(floor)) < width, 1e-8, 0.0),
        solver=SOLVERS[solver],
        decay=np.asarray(1e-3),
    )


def sample():
    return PaddedSample.of(*rows(), chunk_rows=128)


def function(kind=ReducedFunction, solver="primal-dual", form="bounds", n_radial=0):
    """Return a function to search, and where from."""
    cold = WarmStart.cold(jnp.array([0.1] * (WIDTHS[-1] + n_radial) + [1.0, 1.0, 0.0, 0.0]))
    made = kind(problem(solver, form, n_radial), sample(), cold, N_ROWS)
    return made, made.start(to_vector(units(form, n_radial)))


def early_stopping(**criteria):
    criteria = {"max_iter": 100, "patience": 1000, "max_seconds": None} | criteria
    return EarlyStopping(problem("primal-dual", "bounds"), None, StoppingCriteria(**criteria))


# The gradient.


def orders(table, field):
    """Return the observed orders of a field of a Taylor table, above the inner tolerance."""
    error, h = table[field], table["h"]
    clear = (error[1:] > INNER) & (h[1:] < 0.05)
    assert clear.sum() >= 6
    return (np.log(error[:-1] / error[1:]) / np.log(h[:-1] / h[1:]))[clear]


@both_forms
@pytest.mark.parametrize(
    ("kind", "solver", "n_radial"),
    [
        *((ReducedFunction, solver, 0) for solver in SOLVERS),
        (FullFunction, "primal-dual", 0),
        (ReducedFunction, "primal-dual", 3),
        (FullFunction, "primal-dual", 3),
    ],
)
def test_taylor_remainders_have_their_orders(kind, solver, n_radial, form):
    searched, x = function(kind, solver, form, n_radial)
    direction = np.random.default_rng(3 + n_radial).normal(size=len(x))
    # L > 0.5 and s > 0 stay where the bounds have them, and so does the objective's domain.
    table = taylor_check(searched, x, 0.1 * direction / np.abs(direction).max())
    np.testing.assert_allclose(orders(table, "zeroth"), 1, atol=ORDER)
    np.testing.assert_allclose(orders(table, "error"), 2, atol=ORDER)
    np.testing.assert_allclose(table["order"][1:], np.log2(table["ratio"][1:]), rtol=1e-12)
    assert searched.counters.failures == 0


def test_taylor_check_finds_a_wrong_gradient():
    def wrong(x):
        return np.sum(x**3), 3 * x**2 + 1e-3

    def right(x):
        return np.sum(x**3), 3 * x**2

    x, direction = np.array([1.0, -2.0]), np.array([0.7, 0.2])
    h = 0.5 ** np.arange(1, 20)
    assert taylor_check(wrong, x, direction, h=h)["order"][-1] == pytest.approx(1, abs=ORDER)
    assert taylor_check(right, x, direction, h=h)["order"][10] == pytest.approx(2, abs=ORDER)
    np.testing.assert_array_equal(taylor_check(right, x, direction, h=h)["h"], h)
    with pytest.raises(ValueError, match=r"Expected a direction of theta's shape \(2,\)"):
        # Without the shape checks of the tests, as users run it.
        inspect.unwrap(taylor_check)(right, x, np.ones(3))


def test_loss_and_penalties_are_their_formulas():
    searched, x = function()
    here = searched.evaluate(x)
    net, w = network("bounds"), here.w

    def f(x):
        s = naive.ACTIVATIONS["gaussian-softplus"]
        return naive.features(x, net.K, net.b, net.L, s, np.eye(2), normalised=True)

    X, weights = rows()
    z, A = jax.jit(lambda w: naive.map_and_jacobian(f, w, X))(w)
    log_p = naive.log_density(np.asarray(z), np.asarray(A))
    J = -weights @ log_p / weights.sum() - np.log(2 * np.pi)
    assert here.loss == pytest.approx(J, rel=1e-12)
    slack = w[:5] - np.array([0, 0, 0, 1e-2, 1e-2])
    decayed = sum(np.sum(W**2) for W in (*net.K, *net.L))
    penalties = -1e-3 * np.log(slack).sum() + 0.5e-8 * w[:3] @ w[:3] + 0.5e-3 * decayed
    assert here.value == pytest.approx(J + penalties, rel=1e-12)
    # The full function adds no barrier.
    full, x = function(FullFunction)
    there = full.evaluate(x)
    np.testing.assert_allclose(there.w, full.cold.w, rtol=1e-15)
    quiet = 0.5e-8 * there.w[:3] @ there.w[:3] + 0.5e-3 * decayed
    assert there.value == pytest.approx(there.loss + quiet, rel=1e-12)


def test_chunks_change_nothing():
    p, theta = problem("primal-dual", "bounds"), jnp.asarray(to_vector(network("bounds")))
    whole, chunked = sample(), PaddedSample.of(*rows(), chunk_rows=32)
    assert (whole.n_chunks, chunked.n_chunks) == (1, 2)
    cold = function()[0].cold
    solution = p.solve(theta, whole, cold)
    np.testing.assert_allclose(p.solve(theta, chunked, cold).w, solution.w, rtol=1e-7)
    one, other = (p.value_and_gradient(theta, solution.w, s) for s in (whole, chunked))
    for found, expected in zip(other, one, strict=True):
        np.testing.assert_allclose(found, expected, **ROUNDING)
    assert float(p.loss(theta, solution.w, chunked)) == pytest.approx(float(one[0]), rel=1e-12)
    stationarity, gap = p.certificate(theta, solution.w, whole)
    assert stationarity < 1e-7
    assert float(gap) == pytest.approx(5e-3, rel=1e-12)


@pytest.mark.parametrize("N", [64, 60])
def test_padding_far_from_the_data_changes_nothing(N):
    # The thesis's form in the data's own coordinates: at a padding row x = 0, which 60 rows have
    # and 64 have not, s'' is zero.
    X, far = np.resize(rows()[0], (N, 2)), np.array([1e4, 0.0])
    net = network("softplus")
    moved = eqx.tree_at(
        lambda net: net.b, net, tuple(b - K @ far for K, b in zip(net.K, net.b, strict=True))
    )
    w = jnp.array([1.0, 1.0, 1.0, 0.0, 0.0])
    results = []
    for weights, table in ((net, X), (moved, X + far)):
        p = VariableProjection(
            SeparableFeatures(weights, np.zeros((0, 2)), normalised=False),
            floor=np.array([0.0] * 3 + [-np.inf] * 2),
            ridge=np.zeros(5),
            solver=SOLVERS["primal-dual"],
            decay=np.asarray(0.0),
        )
        theta, chunk = jnp.asarray(to_vector(weights)), PaddedSample.of(table, np.ones(N), 128)
        loss, _, gradient = p.value_and_gradient(theta, w, chunk)
        # K moves the data with it; b does not.
        biases = from_vector(weights, gradient).b
        results.append([loss, *biases, inner_gradient(p, theta, w, chunk)])
    for near, away in zip(*results, strict=True):
        # Eight of sixteen digits are left where 1e4 is added and taken away.
        np.testing.assert_allclose(away, near, rtol=1e-8, atol=1e-8)


@eqx.filter_jit
def inner_gradient(p, theta, w, sample):
    return p.objective(theta, sample).evaluate(w).gradient


def test_gauss_newton_products_are_those_of_the_dense_matrix():
    # M = sum_j omega_j Y_j^T l'' Y_j + decay + ridge, and its Schur complement in mu.
    reduced, theta = function()
    p, here = reduced.problem, reduced.evaluate(theta)
    q, w = len(theta), here.w
    X, weights = rows()
    omega = weights / weights.sum()

    def outputs(both):
        z, A = p.map(both[:q], both[q:]).gradient_and_hessian(X)
        return (z.T, unpack(A)), unpack(A)

    both = np.concatenate([theta, w])
    (Y_z, Y_A), A = jax.jit(jax.jacfwd(outputs, has_aux=True))(both)
    inverse = np.linalg.inv(A)
    M = np.einsum("j,jap,jaq->pq", omega, Y_z, Y_z)
    S = np.einsum("jab,jbcp->jacp", inverse, Y_A)
    M += np.einsum("j,jabp,jbaq->pq", omega, S, S)
    # K comes first in the vector and L last; b in between has no decay.
    net = network("bounds")
    n_K, n_b = sum(K.size for K in net.K), sum(b.size for b in net.b)
    is_bias = (np.arange(q) >= n_K) & (np.arange(q) < n_K + n_b)
    decay = 1e-3 * np.diag(~is_bias)
    s = np.where(np.isfinite(p.floor), w - np.where(np.isfinite(p.floor), p.floor, 0), np.inf)
    M_ww = M[q:, q:] + np.diag(p.ridge + 1e-3 / s**2)
    schur = M[:q, :q] - M[:q, q:] @ np.linalg.solve(M_ww, M[q:, :q]) + decay
    product = reduced.curvature(here)
    before = reduced.counters.work_units
    found = np.stack([product(v) for v in np.eye(q)])
    assert reduced.counters.work_units - before == q * N_ROWS
    np.testing.assert_allclose(found, schur, rtol=1e-8, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > -1e-9


def test_work_units_count_rows_that_are_no_padding():
    searched, x = function()
    for _ in range(3):
        searched.evaluate(x)
    counters = searched.counters
    assert (counters.evaluations, counters.work_units) == (3, 3 * N_ROWS)
    # Warm starts: the second and third solves are at the first's solution.
    assert len(counters.newton_steps) == 3
    assert counters.newton_steps[0] > 3 >= max(counters.newton_steps[1:])
    assert all(np.array(counters.chord_steps) < counters.newton_steps)
    assert counters.chord_steps[0] == 0
    batch = searched.on(searched.sample, 10)
    batch.evaluate(x)
    assert counters.work_units == 3 * N_ROWS + 10
    searched.uncounted().evaluate(x)
    searched.warm_up(x)
    assert counters.work_units == 3 * N_ROWS + 10


# mu as a vector.


@both_forms
@pytest.mark.parametrize("widths", [(3,), (3, 4, 2)])
def test_vector_round_trip(form, widths):
    net = network(form, widths, n=3)
    theta = to_vector(net)
    assert theta.dtype == np.float64
    np.testing.assert_array_equal(theta, to_vector(from_vector(net, jnp.asarray(theta))))
    ascending = from_vector(net, np.arange(len(theta), dtype=float))
    assert jax.tree.structure(ascending) == jax.tree.structure(net)
    for before, after in zip(jax.tree.leaves(net), jax.tree.leaves(ascending), strict=True):
        assert before.shape == after.shape
    bounds = from_vector(net, lower_bounds(net))
    assert all((free == -np.inf).all() for free in (*bounds.K, *bounds.b))
    assert all((L == NONNEGATIVITY[form].lower_bound).all() for L in bounds.L)


def test_vector_has_the_network_before_the_cones():
    both = units("bounds", 2)
    net, radial = both.parts
    theta = to_vector(both)
    np.testing.assert_array_equal(theta, np.concatenate([to_vector(net), to_vector(radial)]))
    back = from_vector(both, jnp.asarray(theta))
    assert jax.tree.structure(back) == jax.tree.structure(both)
    np.testing.assert_array_equal(back.parts[1].B, radial.B)
    np.testing.assert_array_equal(back.parts[1].e, radial.e)


# Rows.

law = settings(max_examples=60, deadline=None, derandomize=True, database=None)
# Few values, so that rows repeat; both zeros, which are equal.
tables = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.5, -2.0]), st.sampled_from([0.0, -0.0, 3.0])),
    min_size=1,
    max_size=12,
).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@law
@given(X=tables, seed=seeds, data=st.data())
def test_order_repetition_and_absence_of_rows(X, seed, data):
    plain = canonical_rows(X, None, seed)
    assert {tuple(row) for row in plain.X + 0.0} == {tuple(row) for row in X + 0.0}
    assert len(np.unique(plain.X, axis=0)) == len(plain.X)
    assert plain.weights.sum() == len(X)
    assert (np.diff(plain.position) > 0).all()
    assert (plain.position >= 0).all()
    assert (plain.position < 1).all()

    def same(other):
        for mine, theirs in zip(plain, other, strict=True):
            assert mine.tobytes() == theirs.tobytes()

    order = np.array(data.draw(st.permutations(range(len(X)))))
    same(canonical_rows(X[order], None, seed))
    # Repetition is weight.
    distinct, counts = np.unique(X + 0.0, axis=0, return_counts=True)
    same(canonical_rows(distinct, counts.astype(float), seed))
    # Weight zero is absence.
    absent = np.vstack([X, X + 7.0])
    same(canonical_rows(absent, np.repeat([1.0, 0.0], len(X)), seed))
    # The position of a row is its own: neither other rows nor its weight move it.
    first = canonical_rows(X[:1], np.array([0.3]), seed)
    assert first.position[0] in plain.position[(plain.X == first.X[0]).all(axis=1)]


def test_split_by_position_is_uniform_and_depends_on_the_seed():
    X = np.arange(4000.0).reshape(-1, 2)
    one, other = (canonical_rows(X, None, seed) for seed in (0, 1))
    for found in (one, other):
        # Four standard errors of a share of 2000 rows.
        assert np.mean(found.position < 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 2000))
    assert (one.X != other.X).any()
    held_out = one[one.position < 0.1]
    assert (held_out.X == one.X[: len(held_out.X)]).all()


@pytest.mark.parametrize("N", [1, 63, 64, 65, 100, 1000, 1025])
def test_sample_is_padded_with_rows_of_no_weight(N):
    rng = np.random.default_rng(N)
    X, weights = rng.normal(size=(N, 2)), rng.uniform(0.5, 2.0, size=N)
    for rows_a_chunk in (10_000, 128):
        found = PaddedSample.of(X, weights, rows_a_chunk)
        C, B, n = found.X.shape
        assert found.omega.shape == (C, B)
        assert (C, n) == (1 if N <= rows_a_chunk else -(-N // rows_a_chunk), 2)
        assert B == (padded_length(N) if N <= rows_a_chunk else rows_a_chunk)
        assert (found.omega.ravel()[N:] == 0).all()
        assert (found.X.reshape(-1, 2)[N:] == X[0]).all()
        back, omega = found.rows()
        np.testing.assert_array_equal(back, X)
        np.testing.assert_allclose(omega, weights / weights.sum(), rtol=1e-14)
    assert PaddedSample.of(X[:1], weights[:1], 128, least=100).X.shape[1] == padded_length(100)


def test_padded_lengths_are_few_and_near():
    lengths = np.array([padded_length(N) for N in range(1, 5000)])
    N = np.arange(1, 5000)
    assert (lengths >= N).all()
    assert (lengths <= np.maximum(64, 1.25 * N)).all()
    assert (np.diff(lengths) >= 0).all()
    assert len(np.unique(lengths)) < 30
    assert all(padded_length(int(length)) == length for length in np.unique(lengths))


def test_chunks_fit_into_memory():
    for n, m in [(2, 34), (60, 400)]:
        B = chunk_rows(n, m)
        assert B % 128 == 0
        assert B == 128 or 8 * n * (n + 1) // 2 * m * B <= 1 << 27


# Schemes, on functions that have nothing to do with networks.


@dataclass
class Plain(AbstractFunction):
    """A convex quadratic 1/2 (x - centre) . Q (x - centre) + level, under bounds."""

    centre: np.ndarray = None  # pyright: ignore
    level: float = 0.0
    sign: float = 1.0
    seen: list = None  # pyright: ignore

    @property
    def lower(self):
        return np.array([0.0, 0.0, -np.inf])

    def start(self, theta):
        return theta

    def evaluate(self, x):
        d = x - self.centre
        self.seen.append(x.copy())
        value, gradient = 0.5 * d @ Q @ d + self.level, self.sign * (Q @ d)
        self.counters.work_units += self.n_rows
        theta, w = to_vector(network("bounds")), np.asarray(self.cold.w)
        return Evaluated(x.copy(), theta, w, value, value, gradient)

    def curvature(self, here):
        return lambda v: Q @ v


Q = np.diag([1.0, 10.0, 100.0])
CENTRE = np.array([2.0, -3.0, 1.0])
OPTIMUM = np.array([2.0, 0.0, 1.0])
START = np.array([1.0, 1.0, 0.0])
TOL = 1e-6
OPTIMIZERS = {
    "L-BFGS": LBFGS(tol=TOL),
    "gradient descent": GradientDescent(tol=TOL),
    "Gauss-Newton": GaussNewton(tol=TOL),
}
on_schemes = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def plain(centre=CENTRE, **changes):
    base = function()[0]
    arguments = {"centre": centre, "seen": []} | changes
    return Plain(base.problem, base.sample, base.cold, N_ROWS, **arguments)


@on_schemes
def test_minimum_within_bounds(optimizer):
    searched, watch = plain(), early_stopping(max_iter=3000)
    end = OPTIMIZERS[optimizer].minimize(searched, START, watch)
    assert end.status is FitStatus.CONVERGED
    np.testing.assert_allclose(end.x, OPTIMUM, atol=TOL)
    assert (np.array(searched.seen) >= searched.lower).all()
    # Every iterate descends, and the best is the last.
    losses = [iteration.loss for iteration in watch.iterations]
    assert (np.diff(losses) <= 0).all()
    assert watch.best.number == len(losses)
    assert [iteration.number for iteration in watch.iterations] == [*range(1, len(losses) + 1)]


@on_schemes
def test_converged_where_it_starts(optimizer):
    end = OPTIMIZERS[optimizer].minimize(plain(), OPTIMUM, early_stopping())
    assert end.status is FitStatus.CONVERGED
    np.testing.assert_array_equal(end.x, OPTIMUM)


@on_schemes
def test_limits(optimizer):
    for criteria, status, n in [
        ({"max_iter": 2}, FitStatus.ITERATION_LIMIT, 2),
        ({"max_work_units": 1}, FitStatus.ITERATION_LIMIT, 1),
        ({"max_seconds": 0.0}, FitStatus.TIME_LIMIT, 0),
    ]:
        watch = early_stopping(**criteria)
        end = OPTIMIZERS[optimizer].minimize(plain(), START, watch)
        assert (end.status, len(watch.iterations)) == (status, n)
        assert (end.x >= plain().lower).all()


@on_schemes
def test_held_out_rows_stop_the_search(optimizer):
    # The held-out loss is the same at every iterate, so the first stays the best.
    watch = early_stopping(patience=2)
    watch.heldout = sample()
    end = OPTIMIZERS[optimizer].minimize(plain(np.array([1e3, 1e4, 1e5])), START, watch)
    assert end.status is FitStatus.STOPPED_ON_VALIDATION
    assert (len(watch.iterations), watch.best.number) == (4, 1)


@on_schemes
def test_no_progress_against_a_wrong_gradient(optimizer):
    end = OPTIMIZERS[optimizer].minimize(plain(sign=-1.0), START, early_stopping())
    assert end.status is FitStatus.NO_PROGRESS
    np.testing.assert_array_equal(end.x, START)


@on_schemes
def test_nothing_finite_to_start_from(optimizer):
    end = OPTIMIZERS[optimizer].minimize(plain(level=np.nan), START, early_stopping())
    assert end.status is FitStatus.NUMERICAL_FAILURE


def test_lbfgs_converges_loosely_where_the_objective_stops_falling():
    # Relative to a level of 1e9 the last digits of the fall are below tol^2.
    end = LBFGS(tol=1e-5).minimize(plain(level=1e9), START, early_stopping())
    assert end.status is FitStatus.CONVERGED_LOOSELY


def test_lbfgs_meets_a_limit_of_its_own(monkeypatch):
    def minimize(*arguments, options, **others):
        return lbfgs_minimize(*arguments, options=options | {"maxfun": 3}, **others)

    lbfgs_minimize = lbfgs.minimize
    monkeypatch.setattr(lbfgs, "minimize", minimize)
    end = LBFGS(tol=TOL).minimize(plain(), START, early_stopping())
    assert end.status is FitStatus.ITERATION_LIMIT


def test_patience_is_a_quarter_of_the_iterations_done():
    searched, watch = plain(), early_stopping(patience=0, max_iter=1000)
    watch.heldout, loss = sample(), iter([*range(100, 80, -1), *[200] * 100])
    watch.heldout_loss = lambda theta, w: float(next(loss))
    end = GradientDescent(tol=TOL).minimize(searched, START, watch)
    assert end.status is FitStatus.STOPPED_ON_VALIDATION
    # 27 - 20 > 27 / 4, and 26 - 20 is not above 26 / 4.
    assert (watch.best.number, len(watch.iterations)) == (20, 27)


@both_forms
def test_lbfgs_on_the_reduced_function(form):
    searched, x = function(form=form)
    watch = early_stopping(max_iter=5)
    start = time.perf_counter()
    end = LBFGS().minimize(searched, x, watch)
    assert end.status is FitStatus.ITERATION_LIMIT
    assert 0 < watch.elapsed <= time.perf_counter() - start + 1
    assert (end.x >= searched.lower).all()
    assert watch.iterations[-1].loss < watch.iterations[0].loss < searched.evaluate(x).loss
    assert watch.iterations[-1].work_units % N_ROWS == 0
    assert sum(i.newton_steps for i in watch.iterations) <= sum(searched.counters.newton_steps)


# The race of forms, with searches whose ends are given.

PLAIN, CONES, STIFF = FORMS = (
    Hyperparameters(1e-5, 0),
    Hyperparameters(1e-4, 2),
    Hyperparameters(1e-2, 2),
)
LIMIT, STOPPED = FitStatus.ITERATION_LIMIT, FitStatus.STOPPED_ON_VALIDATION
MANY = 1000


def race(monkeypatch, ends, forms=FORMS, max_iter=MANY, earlier=None, through=train, **changes):
    """Return a training run, and the form and iteration limit of every search in it.

    Parameters
    ----------
    ends : dict
        By form: status and held-out loss of its first search. None for the loss: no iterate.
    earlier : dict, optional
        By form: the held-out loss in the first half of a search, if it was not that of its end.
    through : callable
        What trains, on data and settings.
    """
    calls, earlier = [], earlier or {}

    def search(problem, optimizer, data, cold, watch):
        form = Hyperparameters(float(problem.decay), problem.template.network.width - WIDTHS[-1])
        status, loss = ends[form] if (form, RACE) not in calls else (STOPPED, ends[form][1])
        calls.append((form, watch.criteria.max_iter))
        theta, w = to_vector(problem.template.network), np.asarray(cold.w)
        best = None if loss is None else Iterate(theta, w, loss, loss, 1)
        n = watch.criteria.max_iter if status is LIMIT else 1
        losses = np.full(n, loss if best else np.nan)
        losses[: n // 2] = earlier.get(form, losses[-1])
        records = tuple(Iteration(watch.number, 1, N_ROWS, 0.0, J, 1, 1, 0.0) for J in losses)
        if status in OUT_OF_TIME:
            watch.stop.set()
        seconds = dict.fromkeys(PARTS, 0.0)
        return Search(status, best, records if best else (), Counters(), seconds)

    monkeypatch.setattr(training, "search", search)
    # One after the other, so that their order is known.
    monkeypatch.setattr(run_parallel, "n_cores", lambda: 1)
    X, weights = rows()
    run = {
        "widths": WIDTHS,
        "activation": ACTIVATIONS["gaussian-softplus"],
        "nonnegativity": NONNEGATIVITY["bounds"],
        "solver": SOLVERS["primal-dual"],
        "optimizer": LBFGS(),
        "quadratic": True,
        "forms": forms,
        "noise": 0.0,
        "w_min": 1e-2,
        "criteria": StoppingCriteria(max_iter, 50, None),
        "n_init": 1,
        "n_estimators": 3,
        "seed": 0,
    }
    data = Data(X, weights, X[:40], weights[:40])
    return through(data, Settings(**run | changes)), calls


IN_RACE = [(form, RACE) for form in FORMS]


@pytest.mark.parametrize("best", FORMS)
def test_all_potentials_have_the_form_that_won_the_race(best, monkeypatch):
    ends = {form: (LIMIT, 1.0 + (form != best)) for form in FORMS}
    result, calls = race(monkeypatch, ends)
    assert calls == [*IN_RACE, *[(best, MANY)] * 3]
    assert result.forms == tuple(form for form, _ in calls)
    assert result.forms[result.winner] == best
    assert [s.iterations[0].search for s in result.searches] == [1, 2, 3, 4, 5, 6]
    width = WIDTHS[-1] + best.n_radial
    # The Gaussian, should it be the best, stands in units of one member.
    assert result.map.features.network.width == max(result.n_members, 1) * width


@pytest.mark.parametrize(("before", "winner"), [(1.3, CONES), (1.15, PLAIN)])
def test_a_form_that_still_falls_wins_the_race_by_its_prospects(before, winner, monkeypatch):
    # At 1.1, and at 1.1 - (before - 1.1) after as many iterations again.
    ends = {PLAIN: (LIMIT, 1.0), CONES: (LIMIT, 1.1), STIFF: (LIMIT, 2.0)}
    earlier = {PLAIN: 1.0, CONES: before}
    _, calls = race(monkeypatch, ends, earlier=earlier)
    assert calls[3] == (winner, MANY)
    # Whichever of its two searches went better in the end.
    assert calls[4:] == [(winner, MANY)] * 2


def test_a_race_that_ended_by_itself_is_not_run_again(monkeypatch):
    ends = {PLAIN: (LIMIT, 2.0), CONES: (STOPPED, 1.0), STIFF: (LIMIT, 3.0)}
    result, calls = race(monkeypatch, ends)
    assert calls == [*IN_RACE, *[(CONES, MANY)] * 2]
    assert result.status is STOPPED


@pytest.mark.parametrize("max_iter", [5, RACE])
def test_no_search_is_run_again_that_was_not_cut_short(max_iter, monkeypatch):
    ends = dict.fromkeys(FORMS, (LIMIT, 1.0))
    result, calls = race(monkeypatch, ends, max_iter=max_iter, n_estimators=1)
    assert calls == [(form, max_iter) for form in FORMS]
    assert result.status is LIMIT


def test_one_form_runs_no_race(monkeypatch):
    result, calls = race(monkeypatch, {CONES: (STOPPED, 1.0)}, forms=(CONES,), n_init=2)
    assert calls == [(CONES, MANY)] * 6
    assert result.forms == (CONES,) * 6


@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
@pytest.mark.parametrize("loss", [None, 0.5])
def test_an_end_during_the_race_leaves_the_best_so_far(status, loss, monkeypatch):
    ends = {PLAIN: (LIMIT, 1.0), CONES: (status, loss)}
    result, calls = race(monkeypatch, ends)
    assert calls == IN_RACE[:2]
    # Not that of the search that won, which the race alone has ended.
    assert result.status is status
    assert result.forms[result.winner] == (PLAIN if loss is None else CONES)
    assert np.isfinite(result.map.value(rows()[0])).all()


def apart(data, settings):
    """Train three potentials on rows that are not quite the same."""
    splits = [replace(data, X=data.X[k:], weights=data.weights[k:]) for k in range(3)]
    return train_apart(splits, settings, [None] * 3, model=JointModel())


def test_potentials_of_several_splits_have_the_form_that_won_the_race_of_the_first(monkeypatch):
    ends = {form: (LIMIT, 1.0 + (form != CONES)) for form in FORMS}
    results, calls = race(monkeypatch, ends, through=apart)
    assert calls == [*IN_RACE, *[(CONES, MANY)] * 3]
    numbers = [[search.iterations[0].search for search in r.searches] for r in results]
    assert numbers == [[1, 2, 3, 4], [5], [6]]
    # Of the race's search and its repetition, as good, the latter.
    assert [result.winner for result in results] == [3, 0, 0]
    assert len({result.gaussian_loss for result in results}) == 3
    assert all(result.n_members <= 1 for result in results)


@pytest.mark.parametrize("status", [FitStatus.TIME_LIMIT, FitStatus.INTERRUPTED])
def test_splits_whose_search_has_not_begun_by_the_end_have_no_result(status, monkeypatch):
    ends = {PLAIN: (status, 0.5)}
    (first, *others), calls = race(monkeypatch, ends, forms=(PLAIN,), through=apart)
    assert calls == [(PLAIN, MANY)]
    assert first.status is status
    assert others == [None, None]


def test_starts_have_the_same_network_and_the_first_cones(monkeypatch):
    forms = (Hyperparameters(1e-5, 0), Hyperparameters(1e-5, 1), Hyperparameters(1e-5, 2))
    result, _ = race(monkeypatch, dict.fromkeys(forms, (STOPPED, 1.0)), forms, n_estimators=1)
    thetas = [search.best.theta for search in result.searches]
    n = len(to_vector(network("bounds")))
    for theta in thetas:
        np.testing.assert_array_equal(theta[:n], thetas[0])
    # B of the first of two radial, then of the second; then their e.
    np.testing.assert_array_equal(thetas[1][n : n + 4], thetas[2][n : n + 4])
