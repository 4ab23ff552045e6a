"""Noise: the bandwidth against scikit-learn's kernel density, the noise's moments."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from brenier.data.datasets import CorrelatedGaussian, Moons
from brenier.data.rows import WeightedRows
from brenier.potential.gaussian import Gaussian
from brenier.training.noise import chosen_noise, kernel_bandwidth, noisy_copies
from brenier.training.settings import Settings

SETTINGS = Settings()
COPIES, MAX_ROWS = SETTINGS.noise_copies, SETTINGS.noise_max_rows
BANDWIDTHS = np.geomspace(*SETTINGS.noise_bandwidths)


def rows_of(X, weights=None):
    N = len(X)
    return WeightedRows(X, np.ones(N) if weights is None else weights, np.arange(N) / N)


def gaussian_of(rows):
    return Gaussian.fit(rows.X, rows.weights)


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
    found = kernel_bandwidth(X, weights.astype(float), SETTINGS)
    assert found == BANDWIDTHS[np.argmax(scores)]
    # Neither the narrowest nor the widest.
    assert 0 < np.argmax(scores) < len(BANDWIDTHS) - 1


def test_few_rows_judge_and_all_are_kernels():
    judges = SETTINGS.noise_judges
    X = Moons().sample(2 * judges, random_state=0)
    X[judges:] = X[:judges] + 1e-3
    # With a neighbour so near, each judge wants the narrowest kernel.
    assert kernel_bandwidth(X, np.ones(len(X)), SETTINGS) == BANDWIDTHS[0]
    # Not where these neighbours are no kernels.
    few = replace(SETTINGS, whole_rows=judges)
    alone = kernel_bandwidth(X[:judges], np.ones(judges), SETTINGS)
    assert kernel_bandwidth(X, np.ones(len(X)), few) == alone > BANDWIDTHS[0]


def test_noise_is_for_fine_structure_and_few_rows():
    fine = rows_of(Moons().sample(500, random_state=0))
    h = chosen_noise(fine, gaussian_of(fine), SETTINGS)
    assert 0 < h <= SETTINGS.noise_max_bandwidth
    assert h in BANDWIDTHS
    # In standard deviations of the data, whatever their units and correlations.
    skewed = rows_of(fine.X @ np.array([[3.0, 1.0], [0.0, 0.02]]))
    assert chosen_noise(skewed, gaussian_of(skewed), SETTINGS) == h
    # A distant origin.
    shifted = rows_of(fine.X + 1e6)
    assert chosen_noise(shifted, gaussian_of(shifted), SETTINGS) == h
    coarse = rows_of(CorrelatedGaussian(2).sample(500, random_state=0))
    assert chosen_noise(coarse, gaussian_of(coarse), SETTINGS) == 0
    many = rows_of(Moons().sample(MAX_ROWS, random_state=0))
    assert chosen_noise(many, gaussian_of(many), SETTINGS) == 0
    assert noisy_copies(many, gaussian_of(many), 0.1, 0, SETTINGS) is many
    assert noisy_copies(fine, gaussian_of(fine), 0.0, 0, SETTINGS) is fine


def test_noise_that_is_given_is_taken_as_it_is():
    for noise in (0.0, 0.7):
        coarse = rows_of(CorrelatedGaussian(2).sample(50, random_state=0))
        assert chosen_noise(coarse, gaussian_of(coarse), replace(SETTINGS, noise=noise)) == noise


@pytest.mark.parametrize(
    ("N", "copies"), [(MAX_ROWS // COPIES, COPIES), (MAX_ROWS // COPIES + 1, 2), (MAX_ROWS // 2, 2)]
)
def test_copies_keep_the_mean_and_add_their_share_of_the_covariance(N, copies):
    X = CorrelatedGaussian(2).sample(N, random_state=0) + 5.0
    weights = np.random.default_rng(0).uniform(0.5, 1.5, size=N)
    rows, h = rows_of(X, weights), 0.3
    gaussian = gaussian_of(rows)
    found = noisy_copies(rows, gaussian, h, 1, SETTINGS)
    assert found.X.shape == (copies * N, 2)
    np.testing.assert_array_equal(found.weights, np.tile(weights, copies))
    np.testing.assert_array_equal(found.position, np.tile(rows.position, copies))
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
    np.testing.assert_array_equal(noisy_copies(rows, gaussian, h, 1, SETTINGS).X, found.X)
    assert not np.array_equal(noisy_copies(rows, gaussian, h, 2, SETTINGS).X, found.X)
