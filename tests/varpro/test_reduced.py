"""The reduced objective and the full one: exact gradients, and what chunks and padding change."""

import equinox as eqx
import jax
import jax.numpy as jnp
import naive
import numpy as np
import pytest
from small_problem import N_ROWS, SOLVERS, function, network, problem, rows, sample

from brenier import taylor_check
from brenier.potential.head import SeparableFeatures
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.parameters import from_vector, to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample

pytestmark = pytest.mark.usefixtures("x64")

# Observed orders of Taylor remainders at small steps, of which the next term is a few per cent.
ORDER = 0.1
# A remainder below this is rounding of J, and the inner solver's closing step, whose error in J_tau
# is the square of a decrement of 1e-9.
INNER = 1e-11
# The same sums in another order.
ROUNDING = {"rtol": 1e-10, "atol": 1e-11}

both_forms = pytest.mark.parametrize("form", NONNEGATIVITY)


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
    function_, x = function(kind, solver, form, n_radial)
    direction = np.random.default_rng(3 + n_radial).normal(size=len(x))
    # L > 0.5 and s > 0 stay where the bounds have them, and so does the objective's domain.
    table = taylor_check(function_, x, 0.1 * direction / np.abs(direction).max())
    np.testing.assert_allclose(orders(table, "zeroth"), 1, atol=ORDER)
    np.testing.assert_allclose(orders(table, "error"), 2, atol=ORDER)
    np.testing.assert_allclose(table["order"][1:], np.log2(table["ratio"][1:]), rtol=1e-12)
    assert function_.counters.failures == 0


def test_loss_and_penalties_are_their_formulas():
    function_, x = function()
    here = function_.evaluate(x)
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
    p, theta = problem(), jnp.asarray(to_vector(network("bounds")))
    whole, chunked = sample(), PaddedSample.of(*rows(), chunk_rows=32)
    assert (whole.n_chunks, chunked.n_chunks) == (1, 2)
    cold = function()[0].cold
    solution = p.solve(theta, whole, cold)
    np.testing.assert_allclose(p.solve(theta, chunked, cold).w, solution.w, rtol=1e-7)
    one, other = (p.value_and_gradient(theta, solution.w, s) for s in (whole, chunked))
    for found, expected in zip(other[:3], one[:3], strict=True):
        np.testing.assert_allclose(found, expected, **ROUNDING)
    assert float(p.loss(theta, solution.w, chunked)) == pytest.approx(float(one.loss), rel=1e-12)
    assert one.stationarity < 1e-7
    assert float(p.duality_gap) == pytest.approx(5e-3, rel=1e-12)


def test_stationarity_is_that_of_the_inner_objective():
    p, theta, at = problem(), jnp.asarray(to_vector(network("bounds"))), sample()
    w = 1.1 * p.solve(theta, at, function()[0].cold).w
    gradient = inner_gradient(p, theta, w, at)
    s = w - jnp.where(jnp.isfinite(p.lower), p.lower, 0.0)
    expected = gradient - jnp.where(jnp.isfinite(p.lower), p.solver.tau / s, 0.0)
    found = p.value_and_gradient(theta, w, at).stationarity
    assert float(found) == pytest.approx(float(jnp.max(jnp.abs(expected))), rel=1e-9)
    assert found > 1e-4


@pytest.mark.parametrize("N", [64, 60])
def test_padding_far_from_the_data_changes_nothing(N):
    # The thesis's form in the data's own coordinates. Were padding rows x = 0, which 60 rows would
    # have and 64 not, s'' would be zero there.
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
            lower=np.array([0.0] * 3 + [-np.inf] * 2),
            ridge=np.zeros(5),
            solver=SOLVERS["primal-dual"],
            decay=np.asarray(0.0),
        )
        theta, chunk = jnp.asarray(to_vector(weights)), PaddedSample.of(table, np.ones(N), 128)
        loss, _, gradient, _ = p.value_and_gradient(theta, w, chunk)
        # K moves the data with it; b does not.
        biases = from_vector(weights, gradient).b
        results.append([loss, *biases, inner_gradient(p, theta, w, chunk)])
    for near, away in zip(*results, strict=True):
        # Eight of sixteen digits are left where 1e4 is added and taken away.
        np.testing.assert_allclose(away, near, rtol=1e-8, atol=1e-8)


@eqx.filter_jit
def inner_gradient(p, theta, w, sample):
    return p.objective(theta, sample).evaluate(w).gradient


def test_work_units_count_rows_that_are_no_padding():
    function_, x = function()
    for _ in range(3):
        function_.evaluate(x)
    counters = function_.counters
    assert (counters.evaluations, counters.work_units) == (3, 3 * N_ROWS)
    # Warm starts: the second and third solves are at the first's solution.
    newton_steps, chord_steps = np.array(counters.newton_steps), np.array(counters.chord_steps)
    assert newton_steps.shape == chord_steps.shape == (3,)
    steps = newton_steps + chord_steps
    assert steps[0] > 3 >= steps[1:].max()
    # Every solve begins with a Hessian of its own; from a cold start none is kept.
    assert (newton_steps >= 1).all()
    assert chord_steps[0] == 0
    batch = function_.on(function_.sample, 10)
    batch.evaluate(x)
    assert counters.work_units == 3 * N_ROWS + 10
    function_.uncounted().evaluate(x)
    for call in function_.first_calls(x):
        call()
    assert counters.work_units == 3 * N_ROWS + 10
