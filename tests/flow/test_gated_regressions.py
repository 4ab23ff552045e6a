"""Regressions with gates, and their mixture with a flow, against formulas and brute force."""

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from brenier.flow.conditional_gaussians import ConditionalGaussians
from brenier.flow.conditional_mixture import ConditionalMixture
from brenier.flow.context import ContextScaling
from brenier.flow.gaussians import Gaussians
from brenier.flow.preprocessing import (
    ColumnBounds,
    ConditionalPreprocessing,
    Preprocessing,
    whitening,
)
from brenier.flow.spread import ContextSpread

N, Q = 30, 2
SIZES = (3, 1, 4)


def gaussians_of(n, seed=0):
    rng, d, mixtures = np.random.default_rng(seed), Q + n, []
    for size in SIZES:
        roots = 0.5 * rng.normal(size=(size, d, d)) + 0.3 * np.eye(d)
        factors = np.linalg.cholesky(roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(d))
        mixtures.append(
            (rng.dirichlet(np.ones(size)), Gaussians(rng.normal(size=(size, d)), factors))
        )
    return ConditionalGaussians.of(mixtures, d, n)


def mixture_of(n, bounds=None, spread=None):
    """Return a mixture without a flow; targets have a mean and a scale, and what is given."""
    rng = np.random.default_rng(1)
    low, high = bounds or (np.full(n, -np.inf), np.full(n, np.inf))
    own = ColumnBounds(low, high)
    Y = rng.uniform(0.1, 0.9, size=(50, n)) if bounds else 3.0 + 2.0 * rng.normal(size=(50, n))
    X = rng.normal(size=(50, Q))
    with jax.enable_x64(True):
        targets = Preprocessing(own, whitening(own.columns(Y), np.ones(50), "full"))
    scale = ContextScaling(np.ones(Q), np.full(Q, 2.0), np.full(Q, -50.0), np.full(Q, 50.0))
    gaussians, shares = gaussians_of(n), np.array([0.5, 0.2, 0.3])
    preprocessing = ConditionalPreprocessing(targets, scale, spread)
    return ConditionalMixture((), preprocessing, gaussians, shares), Y, X


def spread_of(n):
    """Return a location and a scale of targets that depend on the context."""
    location = np.array([[0.3, -0.5, 0.2], [-0.2, 0.1, 0.4]])
    log_scale = np.array([[0.4, 0.3, -0.1], [-0.3, 0.2, 0.1]])
    return ContextSpread(location[:n], log_scale[:n])


def conditioned(mean, covariance, c):
    """Return the mean and covariance of the last coordinates given the first ones, by Schur."""
    S_c, S_yc = covariance[:Q, :Q], covariance[Q:, :Q]
    slope = S_yc @ np.linalg.inv(S_c)
    return mean[Q:] + slope @ (c - mean[:Q]), covariance[Q:, Q:] - slope @ S_yc.T


@pytest.mark.parametrize("n", [1, 3])
def test_conditional_densities_and_gates_are_those_of_scipy(n):
    gaussians, rng = gaussians_of(n), np.random.default_rng(2)
    Y, C = rng.normal(size=(N, n)), rng.normal(size=(N, Q))
    means, factors = gaussians.joint.means, gaussians.joint.factors
    covariances = factors @ factors.transpose(0, 2, 1)
    expected, gates = np.empty((2, N, len(gaussians)))
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        of_context = multivariate_normal(mean[:Q], covariance[:Q, :Q])
        gates[:, k] = gaussians.weights[k] * of_context.pdf(C)
        for j in range(N):
            own = multivariate_normal(*conditioned(mean, covariance, C[j]))
            expected[j, k] = own.logpdf(Y[j])
    np.testing.assert_allclose(gaussians.log_density(Y, C), expected, rtol=1e-9)
    for start, size in zip(gaussians.starts, SIZES, strict=True):
        gates[:, start : start + size] /= gates[:, start : start + size].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(gaussians.gates(C), gates, rtol=1e-9)


def test_gates_far_away_are_still_gates():
    gates = gaussians_of(1).gates(np.full((1, Q), 1e4))
    np.testing.assert_allclose(gates.sum(), len(SIZES))


@pytest.mark.parametrize(
    ("bounds", "spread"),
    [(None, None), ((np.zeros(1), np.ones(1)), None), (None, spread_of(1))],
    ids=["free", "bounded", "scale given the context"],
)
def test_one_target_has_a_density_a_distribution_and_quantiles_that_agree(bounds, spread):
    mixture, _, X = mixture_of(1, bounds, spread)
    x = X[:4]
    y = np.linspace(*((0, 1) if bounds else (-60, 60)), 40_001)[1:-1]
    for row in x:
        rows = np.column_stack([y, np.tile(row, (len(y), 1))])
        density = np.exp(mixture.log_density(rows))
        below = np.cumsum(density) * (y[1] - y[0])
        assert below[-1] == pytest.approx(1.0, abs=2e-3)
        np.testing.assert_allclose(mixture.probabilities(rows), below, atol=2e-3)
    p = np.array([1e-9, 0.1, 0.5, 0.999])
    quantiles = mixture.quantiles(x, p)
    rows = np.column_stack([quantiles.ravel(), np.repeat(x, len(p), axis=0)])
    np.testing.assert_allclose(mixture.probabilities(rows).reshape(4, 4), np.tile(p, (4, 1)), 1e-6)
    assert np.all(np.diff(quantiles, axis=1) > 0)


def test_quantiles_far_out_are_those_of_the_widest_component():
    mixture, _, X = mixture_of(1)
    for p in (1e-250, 1e-30, 1e-12):
        quantiles = mixture.quantiles(X, np.array([p]))
        found = mixture.probabilities(np.column_stack([quantiles, X]))
        np.testing.assert_allclose(found, p, rtol=1e-6)


def test_several_targets_have_a_density_that_integrates_to_one():
    mixture, _, X = mixture_of(2)
    y = np.linspace(-25, 30, 441)
    grid = np.stack(np.meshgrid(y, y), axis=-1).reshape(-1, 2)
    for row in X[:2]:
        rows = np.column_stack([grid, np.tile(row, (len(grid), 1))])
        mass = np.exp(mixture.log_density(rows)).sum() * (y[1] - y[0]) ** 2
        assert mass == pytest.approx(1.0, abs=5e-3)


def test_weights_are_shares_times_gates_and_labels_follow_them():
    mixture, _, X = mixture_of(2)
    weights = mixture.weights(X[:3])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    of_mixtures = np.add.reduceat(weights, mixture.gaussians.starts, axis=1)
    np.testing.assert_allclose(of_mixtures, np.tile(mixture.shares, (3, 1)))
    u = np.random.default_rng(0).random((3, 20_000))
    labels = mixture.labels(X[:3], u)
    found = np.stack([np.bincount(own, minlength=8) for own in labels]) / 20_000
    np.testing.assert_allclose(found, weights, atol=0.02)


@pytest.mark.parametrize(
    ("bounds", "spread"),
    [(None, None), ((np.zeros(2), np.ones(2)), None), (None, spread_of(2))],
    ids=["free", "bounded", "scale given the context"],
)
def test_rows_come_back_and_images_have_the_density(bounds, spread):
    mixture, Y, X = mixture_of(2, bounds, spread)
    rows = np.column_stack([Y, X])
    labels = np.arange(len(rows)) % mixture.n_components
    Z = mixture.images(rows, labels)
    back, converged, residual = mixture.preimages(Z, X, labels)
    np.testing.assert_allclose(back, Y, rtol=1e-9)
    assert converged.all()
    assert not residual.any()
    # By central differences of the map.
    h, slopes = 1e-5, np.empty((len(Y), 2, 2))
    for i in range(2):
        step = np.eye(4)[i] * h
        slopes[..., i] = (
            mixture.images(rows + step, labels) - mixture.images(rows - step, labels)
        ) / (2 * h)
    expected = norm.logpdf(Z).sum(axis=1) + np.linalg.slogdet(slopes)[1]
    terms = mixture._terms(rows) - np.log(mixture.weights(X))
    np.testing.assert_allclose(terms[np.arange(len(rows)), labels], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spread", [None, spread_of(2)], ids=["plain", "scale given the context"])
def test_mean_is_that_of_draws(spread):
    mixture, _, X = mixture_of(2, None, spread)
    rng, k = np.random.default_rng(0), 40_000
    labels = mixture.labels(X[:3], rng.random((3, k))).ravel()
    Z = rng.normal(size=(3 * k, 2))
    drawn = mixture.preimages(Z, np.repeat(X[:3], k, axis=0), labels)[0].reshape(3, k, 2)
    errors = drawn.std(axis=1) / np.sqrt(k)
    assert np.all(np.abs(mixture.means_of_gaussians(X[:3]) - drawn.mean(axis=1)) < 5 * errors)
    assert mixture.is_affine
    assert not mixture_of(2, (np.zeros(2), np.ones(2)))[0].is_affine


def test_density_is_zero_outside_the_bounds():
    mixture, _, X = mixture_of(1, (np.zeros(1), np.ones(1)))
    rows = np.column_stack([[-0.1, 0.0, 1.0, 1.5], X[:4]])
    assert np.all(np.isneginf(mixture.log_density(rows)))
    np.testing.assert_allclose(mixture.responsibilities(rows), mixture.weights(X[:4]))


def test_blocks_of_rows_make_no_difference(monkeypatch):
    mixture, Y, X = mixture_of(1)
    rows, p = np.column_stack([Y, X]), np.array([0.2, 0.7])

    def everything():
        return (
            mixture.log_density(rows),
            mixture.probabilities(rows),
            mixture.quantiles(X, p),
            mixture.means_of_gaussians(X),
            mixture.drawn(rows, np.random.default_rng(0)),
        )

    whole = everything()
    monkeypatch.setattr("brenier.flow.gaussians.MOST_NUMBERS", 7 * mixture.n_components * 3)
    for one, other in zip(whole, everything(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
