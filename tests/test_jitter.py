"""Jitter: the bandwidth against scikit-learn's kernel density, the noise's moments."""

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from brenier.data.datasets import CorrelatedGaussian, Moons
from brenier.potential.gaussian import Gaussian
from brenier.training.noise import (
    BANDWIDTHS,
    COPIES,
    MAX_JUDGES,
    MAX_ROWS,
    NARROW,
    SHARE,
    chosen_noise,
    kernel_bandwidth,
    noisy_copies,
)
from brenier.varpro.sample import Data


def data_of(X, weights=None):
    return Data(X, np.ones(len(X)) if weights is None else weights, None, None)


def gaussian_of(data):
    return Gaussian.fit(data.X, data.weights)


def test_bandwidth_is_the_best_of_kernel_densities_without_each_row():
    X = Moons().sample(60, random_state=0)
    # An integer weight is as many copies, of which none judges the others.
    weights = np.random.default_rng(0).integers(1, 4, size=60)
    repeated, row = np.repeat(X, weights, axis=0), np.repeat(np.arange(60), weights)
    scores = []
    for h in BANDWIDTHS:
        alone = [
            KernelDensity(bandwidth=h).fit(repeated[row != j]).score_samples(X[[j]])[0]
            + np.log(np.sum(row != j))
            for j in range(60)
        ]
        scores.append(np.average(alone, weights=weights))
    assert kernel_bandwidth(X, weights.astype(float)) == BANDWIDTHS[np.argmax(scores)]


def test_few_rows_judge_and_all_are_kernels():
    X = Moons().sample(2 * MAX_JUDGES, random_state=0)
    X[MAX_JUDGES:] = X[:MAX_JUDGES] + 1e-3
    # With a neighbour so near, each judge wants the narrowest kernel.
    assert kernel_bandwidth(X, np.ones(len(X))) == BANDWIDTHS[0]


def test_noise_is_for_fine_structure_and_few_rows():
    fine = data_of(Moons().sample(500, random_state=0))
    h = chosen_noise(fine, gaussian_of(fine))
    assert 0 < h <= SHARE * NARROW
    # In standard deviations of the data, whatever their units and correlations.
    skewed = data_of(fine.X @ np.array([[3.0, 1.0], [0.0, 0.02]]))
    assert chosen_noise(skewed, gaussian_of(skewed)) == h
    # A distant origin.
    shifted = data_of(fine.X + 1e6)
    assert chosen_noise(shifted, gaussian_of(shifted)) == h
    coarse = data_of(CorrelatedGaussian(2).sample(500, random_state=0))
    assert chosen_noise(coarse, gaussian_of(coarse)) == 0
    many = data_of(Moons().sample(MAX_ROWS, random_state=0))
    assert chosen_noise(many, gaussian_of(many)) == 0
    assert noisy_copies(many, gaussian_of(many), 0.1, seed=0) is many
    assert noisy_copies(fine, gaussian_of(fine), 0.0, seed=0) is fine


@pytest.mark.parametrize(
    ("N", "copies"), [(MAX_ROWS // COPIES, COPIES), (MAX_ROWS // COPIES + 1, 2), (MAX_ROWS // 2, 2)]
)
def test_copies_keep_the_mean_and_add_their_share_of_the_covariance(N, copies):
    X = CorrelatedGaussian(2).sample(N, random_state=0) + 5.0
    weights = np.random.default_rng(0).uniform(0.5, 1.5, size=N)
    data, h = data_of(X, weights), 0.3
    gaussian = gaussian_of(data)
    found = noisy_copies(data, gaussian, h, seed=1)
    assert found.X.shape == (copies * N, 2)
    np.testing.assert_array_equal(found.weights, np.tile(weights, copies))
    omega = found.weights / found.weights.sum()
    mean, expected = omega @ found.X, np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-13)
    # Opposite pairs.
    halves = found.X.reshape(2, -1, 2)
    np.testing.assert_allclose(halves.mean(axis=0), np.tile(X, (copies // 2, 1)), rtol=1e-12)
    noise = found.X - np.tile(X, (copies, 1))
    S = np.cov(X.T, aweights=weights, ddof=0)
    # A sample covariance of some thousand independent rows.
    np.testing.assert_allclose(noise.T @ noise / len(noise), h**2 * S, rtol=0.06)
    np.testing.assert_array_equal(noisy_copies(data, gaussian, h, seed=1).X, found.X)
    assert not np.array_equal(noisy_copies(data, gaussian, h, seed=2).X, found.X)
