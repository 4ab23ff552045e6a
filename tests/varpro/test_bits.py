"""Rows of 32 bits, which a search has of many columns: what is lost, and where they are too few."""

from functools import cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import WarmStart
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import WIDE, SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.status import InnerStatus
from brenier.varpro.function import FullFunction, ReducedFunction
from brenier.varpro.mini_batches import Descent, MiniBatchFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection

pytestmark = pytest.mark.usefixtures("x64")
n, N, WIDTHS = WIDE, 160, (4, 4)


@cache
def bent():
    """Return rows of which every second column bends with the one before, standardised."""
    X = np.random.default_rng(0).normal(size=(N, n))
    X[:, 1::2] += 0.5 * X[:, ::2] ** 2
    return (X - X.mean(axis=0)) / X.std(axis=0)


def function(kind=ReducedFunction):
    """Return a function of mu on these rows, where it starts, and the same of 64 bits."""
    network = initial_network(
        bent(),
        WIDTHS,
        ACTIVATIONS["gaussian-softplus"],
        NONNEGATIVITY["bounds"],
        np.random.default_rng(1),
        spread=(0.5, 2.0),
    )
    features = SeparableFeatures(network, np.eye(n))
    lower = np.concatenate([np.zeros(WIDTHS[-1]), np.full(n, 1e-2), np.full(n, -np.inf)])
    ridge = np.concatenate([np.full(WIDTHS[-1], 1e-8), np.zeros(2 * n)])
    problem = VariableProjection(features, lower, ridge, PrimalDual(tau=1e-5), np.asarray(1e-4))
    cold = WarmStart.cold(np.concatenate([np.full(WIDTHS[-1], 0.1), np.ones(n), np.zeros(n)]))
    sample = kind.sample_of(problem, bent(), np.ones(N))
    own = kind(problem, sample, cold, N)
    return own, to_vector(network), own.on(sample.in_bits(np.float64), N)


def test_a_search_of_many_columns_has_rows_of_32_bits_and_sums_of_64():
    own, x, _ = function()
    assert own.sample.X.dtype == np.float32
    assert own.sample.omega.dtype == np.float64
    here = own.evaluate(x)
    assert here.gradient.dtype == here.w.dtype == np.float64
    # Both are variables there: nothing is solved for exactly that could make up for it.
    assert function(FullFunction)[0].sample.X.dtype == np.float64
    narrow = eqx.tree_at(lambda f: f.axes, own.problem.template, np.eye(n)[: WIDE - 1])
    assert narrow.row_bits == np.float64


def test_value_gradient_and_weights_are_those_of_64_bits_but_for_rounding():
    own, x, longer = function()
    for point in (x, 1.05 * x):
        here, there = own.evaluate(point), longer.evaluate(point)
        assert here.value == pytest.approx(there.value, abs=1e-5)
        size = np.linalg.norm(there.gradient)
        assert np.linalg.norm(here.gradient - there.gradient) < 1e-3 * size
        np.testing.assert_allclose(here.w, there.w, rtol=0.02, atol=1e-3)
    assert own.counters.failures == longer.counters.failures == 0


def test_objectives_of_32_bits_know_what_they_round():
    own, x, longer = function()
    w = jnp.asarray(own.cold.w)
    of_both = [one.problem.objective(jnp.asarray(x), one.sample) for one in (own, longer)]
    assert of_both[0].rounding > 1e3 * of_both[1].rounding
    short, long = (one.evaluate(w) for one in of_both)
    assert float(short.value) == pytest.approx(float(long.value), abs=of_both[0].rounding * n)
    for one, other in ((short.gradient, long.gradient), (short.hessian, long.hessian)):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_where_32_bits_are_too_few_all_is_of_64():
    own, x, longer = function()
    # Slopes whose squares are no numbers of 32 bits.
    steep = 1e20 * x
    with np.errstate(over="ignore"):
        here = own.evaluate(steep)
    assert own.sample.X.dtype == np.float64
    assert here.finite
    assert own.counters.failures == 0
    np.testing.assert_allclose(here.w, longer.evaluate(steep).w, rtol=1e-5, atol=1e-9)
    assert int(own.solve(x).status) == InnerStatus.CONVERGED
    # Losses of rows that nothing was fitted to, too.
    problem, short = own.problem, longer.sample.in_bits(np.float32)
    with np.errstate(over="ignore"):
        assert not np.isfinite(problem.loss(steep, here.w, short))
        found = problem.finite_loss(steep, here.w, short)
    assert found == pytest.approx(here.loss, abs=1e-4)


def test_mini_batches_have_rows_of_32_bits_too():
    own, _, longer = function(MiniBatchFunction)
    assert own.sample.X.dtype == np.float32
    x = own.start(to_vector(own.problem.template.network))
    ends = []
    for one in (own, longer):
        batches = next(one.batches(np.random.default_rng(0)))
        descent, here = one.descend(Descent.begin(x), batches)
        assert int(descent.n_skipped) == 0
        ends.append(here)
    assert ends[0].loss == pytest.approx(ends[1].loss, abs=1e-4)
    assert (
        np.abs(ends[0].theta - ends[1].theta).max()
        < 0.05 * np.abs(ends[1].theta - x[: len(ends[1].theta)]).max()
    )
