"""Pixels as rows with a density, bits per dimension, and the densities they are compared with."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from brenier.reproduce.images.data import ALPHA, IMAGE_SETS, ImageSet
from brenier.reproduce.images.peers import PEERS

DIGITS = IMAGE_SETS["digits"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)) @ RNG.normal(size=(3, 3)) + [1.0, 2.0, 3.0]
TRAIN, VALID = X[:200], X[200:]


@pytest.fixture(scope="module")
def digits():
    return DIGITS.split(0)


def test_splits_are_seventy_ten_and_twenty_percent(digits):
    assert [len(part) for part in (digits.train, digits.validation, digits.test)] == [
        1258,
        180,
        359,
    ]
    assert digits.train.shape[1] + digits.n_constant == 64
    assert digits.n_constant == 3


def test_splits_are_of_the_same_images_and_differ(digits):
    other = DIGITS.split(1)

    def images(one):
        values = one.values(np.concatenate([one.train, one.validation, one.test]))
        return {tuple(row) for row in np.floor(values + 1e-9).astype(int)}

    assert images(digits) == images(other)
    assert not np.array_equal(digits.test, other.test)
    np.testing.assert_array_equal(DIGITS.split(0).test, digits.test)


def test_values_are_the_levels_with_noise(digits):
    values = digits.values(digits.test)
    assert 0 <= values.min() < values.max() < DIGITS.levels
    levels = {tuple(row) for row in np.floor(values).astype(int)}
    known = {tuple(row) for row in DIGITS.load()[:, digits.vary].astype(int)}
    assert levels <= known


def test_uniform_levels_have_the_bits_of_their_number(digits):
    # x uniform in [0, 1]: the log-density of y is minus the logarithm of the slope dy/dx.
    x, step = digits.values(digits.test) / DIGITS.levels, 1e-6

    def y(x):
        s = ALPHA + (1 - 2 * ALPHA) * x
        return np.log(s / (1 - s))

    slope = (y(x + step) - y(x - step)) / (2 * step)
    bits = digits.bits(-np.log(slope).sum(axis=1))
    np.testing.assert_allclose(bits, np.log2(DIGITS.levels), rtol=1e-6)


def test_pictures_have_every_pixel_in_its_place():
    values = np.array([[1.0, 5.0, 0.0, 2.0], [1.0, 4.0, 3.0, 2.0], [1.0, 5.0, 3.0, 0.0]])
    rows = ImageSet("few", "few", 2, 6, lambda: values).split(0)
    assert rows.n_constant == 1
    drawn = rows.pictures(np.array([[-1.0, 2.5, 9.0]]))
    np.testing.assert_array_equal(drawn, [[[1.0, 0.0], [2.5, 6.0]]])


def test_what_is_not_installed_has_a_remedy():
    there = ImageSet("few", "Few images", 2, 6, lambda: np.zeros((1, 4)), "nonesuch")
    assert not there.is_here
    assert "Install nonesuch" in there.remedy
    assert DIGITS.is_here


@pytest.mark.parametrize("name", list(PEERS))
def test_peers_are_densities_in_the_units_of_the_rows(name):
    fitted = PEERS[name](TRAIN, VALID, 0, lambda: 1.5)
    assert fitted.best_at == 1.5
    # Of rows a thousand times as large the density is lower by three times log 1000.
    wide = PEERS[name](1000 * TRAIN, 1000 * VALID, 0, lambda: 0.0)
    shift = fitted.log_density(VALID) - wide.log_density(1000 * VALID)
    np.testing.assert_allclose(shift, 3 * np.log(1000), atol=1e-2)
    draws = fitted.draw(4000)
    error = TRAIN.std(axis=0) / np.sqrt(4000)
    assert np.all(np.abs(draws.mean(axis=0) - TRAIN.mean(axis=0)) < 5 * error)


@pytest.mark.parametrize("name", list(PEERS))
def test_peers_integrate_to_one(name):
    wide = multivariate_normal(TRAIN.mean(axis=0), 2 * np.cov(TRAIN.T))
    points = wide.rvs(20_000, random_state=0)
    ratios = np.exp(PEERS[name](TRAIN, VALID, 0, lambda: 0.0).log_density(points))
    ratios /= wide.pdf(points)
    assert ratios.mean() == pytest.approx(1.0, abs=4 * ratios.std() / np.sqrt(len(ratios)))
    assert ratios.std() < 2


def test_the_gaussian_is_that_of_scipy():
    true = multivariate_normal(TRAIN.mean(axis=0), np.cov(TRAIN.T))
    fitted = PEERS["gaussian"](TRAIN, VALID, 0, lambda: 0.0)
    np.testing.assert_allclose(fitted.log_density(VALID), true.logpdf(VALID), rtol=1e-10)
