"""A scale that depends on the context: found where it is all there is, and exactly invertible."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from brenier.data.rows import WeightedRows
from brenier.flow.context import ContextScaling
from brenier.flow.preprocessing import (
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
    whitening,
)
from brenier.training.context_spread import context_spread, likeliest
from brenier.training.settings import default_settings

N, N_TARGETS, Q = 400, 2, 2
SETTINGS = default_settings()
LEAST_SD = SETTINGS.least_sd


def weighted(Y, C, weights=None):
    X, position = np.concatenate([Y, C], axis=1), np.linspace(0, 1, len(Y), endpoint=False)
    return WeightedRows(X, np.ones(len(Y)) if weights is None else weights, position)


def funnel(seed=0, slopes=(1.2, -0.4)):
    """Return targets whose mean and whose logarithm of scale are lines in the context; these."""
    rng = np.random.default_rng(seed)
    C, noise = rng.normal(size=(N, Q)), rng.normal(size=(N, N_TARGETS))
    return C @ [[0.3], [0.8]] + np.exp(C @ np.array(slopes) - 0.5)[:, None] * noise, C


def found_in(Y, C):
    return context_spread(weighted(Y, C), Y.shape[1], SETTINGS)


def loss(parameters, y, C, omega):
    m, s = np.split(parameters, 2)
    C = np.column_stack([C, np.ones(len(C))])
    return omega @ (C @ s + 0.5 * ((y - C @ m) ** 2 + LEAST_SD**2) * np.exp(-2 * C @ s))


def test_the_likeliest_is_what_a_general_optimiser_finds():
    Y, C = funnel()
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=N)
    spread, omega = likeliest(weighted(Y, C, weights), 2, LEAST_SD).spread, weights / weights.sum()
    for y, m, s in zip(Y.T, spread.location, spread.log_scale, strict=True):
        general = minimize(loss, np.zeros(6), (y, C, omega), options={"gtol": 1e-9})
        assert loss(np.r_[m, s], y, C, omega) == pytest.approx(general.fun, abs=1e-8)
        np.testing.assert_allclose(np.r_[m, s], general.x, atol=1e-3)
    np.testing.assert_allclose(spread.log_scale, [[1.2, -0.4, -0.5]] * 2, atol=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_a_funnel_has_it_and_what_is_left_is_normal(seed):
    Y, C = funnel(seed)
    left, _ = found_in(Y, C).forward(Y, C)
    np.testing.assert_allclose(left.T @ left / N, np.eye(2), atol=0.2)
    assert np.mean(left**4) == pytest.approx(3.0, abs=1.0)


def curved(rng, C):
    return np.sin(2 * C[:, :1]) + 0.2 * rng.normal(size=(N, 1))


def two_branches(rng, C):
    place = np.sqrt(np.maximum(C[:, :1] + 1.0, 0.0))
    return rng.choice([-1, 1], size=(N, 1)) * place + 0.1 * rng.normal(size=(N, 1))


def skewed(rng, C):
    return np.exp(C[:, :1]) * rng.exponential(size=(N, 1))


def no_scale(rng, C):
    return C[:, :1] + rng.normal(size=(N, 1))


@pytest.mark.parametrize("kind", [curved, two_branches, skewed, no_scale])
def test_what_is_not_normal_with_it_does_without(kind):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        C = rng.normal(size=(N, Q))
        assert found_in(kind(rng, C), C) is None


def test_few_rows_and_a_constant_context_have_none():
    Y, C = funnel()
    for few in (2, 6, 8, 10, 12):
        assert found_in(Y[:few], C[:few]) is None
    assert found_in(Y, np.zeros_like(C)) is None


def test_contexts_that_repeat_each_other_do_no_harm():
    Y, C = funnel()
    twice = np.column_stack([C, C[:, 0], np.zeros(N)])
    once, again = found_in(Y, C), found_in(Y, twice)
    np.testing.assert_allclose(again.forward(Y, twice)[0], once.forward(Y, C)[0], atol=1e-6)


def test_rows_without_any_noise_at_some_contexts_have_a_least_scale():
    rng = np.random.default_rng(0)
    C = rng.choice([-1.0, 1.0], size=(N, 1))
    Y = rng.normal(size=(N, 1)) * (C > 0)
    left, log_det = likeliest(weighted(Y, C), 1, LEAST_SD).spread.forward(Y, C)
    assert np.isfinite(left).all()
    assert log_det.max() < -np.log(LEAST_SD / 2)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("low", [-np.inf, 0.0])
def test_preprocessing_with_it_is_inverted_and_has_its_jacobian(low):
    Y, C = funnel()
    Y = np.exp(0.1 * Y) if np.isfinite(low) else Y
    own, weights = ColumnBounds(np.full(2, low), np.full(2, np.inf)), np.ones(N)
    targets = Preprocessing(own, whitening(own.columns(Y), weights, "full"))
    edges = np.full(Q, -9.0), np.full(Q, 9.0)
    scaling = ContextScaling(np.full(Q, 0.1), np.full(Q, 1.3), *edges)
    scaled = weighted(np.asarray(targets.forward(Y)[0]), scaling.forward(C))
    spread = likeliest(scaled, 2, LEAST_SD).spread
    preprocessing = ConditionalPreprocessing(targets, scaling, spread)
    forward, log_det = preprocessing.forward(np.concatenate([Y, C], axis=1))
    np.testing.assert_allclose(preprocessing.inverse(forward), Y, rtol=1e-10, atol=1e-10)

    def targets_of(y, c):
        return preprocessing.forward(jax.numpy.concatenate([y, c])[None])[0][0, :2]

    jacobians = jax.vmap(jax.jacobian(targets_of))(Y[:20], C[:20])
    np.testing.assert_allclose(np.linalg.slogdet(jacobians)[1], log_det[:20], rtol=1e-10)
