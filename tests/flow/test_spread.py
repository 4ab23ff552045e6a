"""Location and scale that depend on the context: found where they are, and exactly invertible."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from brenier.flow.context import ContextScaling
from brenier.flow.preprocessing import (
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
    whitening,
)
from brenier.flow.spread import ContextSpread

N, Q, LEAST_SD = 400, 2, 1e-6


def funnel(n=2, seed=0, slopes=(1.2, -0.4)):
    """Return targets whose mean and whose logarithm of scale are lines in the context; these."""
    rng = np.random.default_rng(seed)
    C = rng.normal(size=(N, Q))
    Y = C @ [[0.3], [0.8]] + np.exp(C @ np.array(slopes) - 0.5)[:, None] * rng.normal(size=(N, n))
    return Y, C, rng.uniform(0.5, 2.0, size=N)


def found_in(Y, C, weights):
    return ContextSpread.of(Y, C, weights, LEAST_SD)


def loss(parameters, y, C, omega):
    m, s = np.split(parameters, 2)
    C = np.column_stack([C, np.ones(len(C))])
    return omega @ (C @ s + 0.5 * ((y - C @ m) ** 2 + LEAST_SD**2) * np.exp(-2 * C @ s))


def test_the_likeliest_is_what_a_general_optimiser_finds():
    Y, C, weights = funnel()
    spread = found_in(Y, C, weights)
    omega = weights / weights.sum()
    for y, m, s in zip(Y.T, spread.location, spread.log_scale, strict=True):
        general = minimize(loss, np.zeros(6), (y, C, omega), options={"gtol": 1e-9})
        assert loss(np.r_[m, s], y, C, omega) == pytest.approx(general.fun, abs=1e-8)
        np.testing.assert_allclose(np.r_[m, s], general.x, atol=1e-3)
    truth = [[1.2, -0.4, -0.5]] * 2
    np.testing.assert_allclose(spread.log_scale, truth, atol=0.15)


def test_a_constant_scale_is_left_alone():
    found = [found_in(*funnel(seed=seed, slopes=(0.0, 0.0))) for seed in range(50)]
    assert sum(spread is not None for spread in found) <= 1


def test_few_rows_and_a_constant_context_have_none():
    Y, C, weights = funnel()
    assert found_in(Y[:6], C[:6], weights[:6]) is None
    assert found_in(Y, np.zeros_like(C), weights) is None


def test_contexts_that_repeat_each_other_do_no_harm():
    Y, C, weights = funnel()
    twice = np.column_stack([C, C[:, 0], np.zeros(N)])
    once, again = found_in(Y, C, weights), found_in(Y, twice, weights)
    np.testing.assert_allclose(again.forward(Y, twice)[0], once.forward(Y, C)[0], atol=1e-6)


def test_rows_without_any_noise_at_some_contexts_have_a_least_scale():
    rng = np.random.default_rng(0)
    C = rng.choice([-1.0, 1.0], size=(N, 1))
    Y = rng.normal(size=(N, 1)) * (C > 0)
    left, log_det = found_in(Y, C, np.ones(N)).forward(Y, C)
    assert np.isfinite(left).all()
    assert log_det.max() < -np.log(LEAST_SD / 2)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.0, np.inf)])
def test_preprocessing_with_it_is_inverted_and_has_its_jacobian(bounds):
    Y, C, weights = funnel()
    Y = np.exp(0.1 * Y) if np.isfinite(bounds[0]) else Y
    own = ColumnBounds(*(np.full(2, bound) for bound in bounds))
    targets = Preprocessing(own, whitening(own.columns(Y), weights, "full"))
    edges = np.full(Q, -9.0), np.full(Q, 9.0)
    scaling = ContextScaling(np.full(Q, 0.1), np.full(Q, 1.3), *edges)
    inside = np.asarray(targets.forward(Y)[0]), scaling.forward(C)
    preprocessing = ConditionalPreprocessing(targets, scaling, found_in(*inside, weights))
    rows = np.concatenate([Y, C], axis=1)
    forward, log_det = preprocessing.forward(rows)
    np.testing.assert_allclose(preprocessing.inverse(forward), Y, rtol=1e-10, atol=1e-10)

    def targets_of(y, c):
        return preprocessing.forward(jax.numpy.concatenate([y, c])[None])[0][0, :2]

    jacobians = jax.vmap(jax.jacobian(targets_of))(Y[:20], C[:20])
    np.testing.assert_allclose(np.linalg.slogdet(jacobians)[1], log_det[:20], rtol=1e-10)
    left = np.asarray(forward)[:, :2]
    for sign in (-1, 1):
        own_half = np.sign(C[:, 0]) == sign
        assert left[own_half].std() == pytest.approx(1.0, abs=0.15)
