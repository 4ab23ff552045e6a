"""Gaussian components of a mixture, and the connected pieces of their density."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from brenier.flow.gaussians import Gaussians
from brenier.flow.pieces import connected_pieces

RNG = np.random.default_rng(0)
N, G, n = 40, 5, 3


@pytest.fixture(scope="module")
def gaussians():
    roots = RNG.normal(size=(G, n, n))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(n)
    return Gaussians(RNG.normal(size=(G, n)), np.linalg.cholesky(covariances))


def covariances_of(gaussians):
    return gaussians.factors @ gaussians.factors.transpose(0, 2, 1)


def test_densities_are_those_of_scipy(gaussians, monkeypatch):
    Y = RNG.normal(size=(N, n))
    pairs = zip(gaussians.means, covariances_of(gaussians), strict=True)
    expected = np.stack([multivariate_normal(*pair).logpdf(Y) for pair in pairs], axis=1)
    np.testing.assert_allclose(gaussians.log_density(Y), expected, rtol=1e-10)
    # In blocks of a few rows, too.
    monkeypatch.setattr("brenier.flow.gaussians.MOST_NUMBERS", 7 * G * n)
    np.testing.assert_allclose(gaussians.log_density(Y), expected, rtol=1e-10)


def test_images_have_the_density_and_come_back(gaussians):
    Y, which = RNG.normal(size=(N, n)), RNG.integers(G, size=N)
    Z = gaussians.images(Y, which)
    np.testing.assert_allclose(gaussians.preimages(Z, which), Y, rtol=1e-9, atol=1e-9)
    log_dets = -np.linalg.slogdet(gaussians.factors)[1]
    expected = multivariate_normal(np.zeros(n)).logpdf(Z) + log_dets[which]
    own = gaussians.log_density(Y)[np.arange(N), which]
    np.testing.assert_allclose(own, expected, rtol=1e-9)


def test_maps_are_gradients_of_convex_functions(gaussians):
    steps = gaussians.images(np.eye(n) + gaussians.means[2], np.full(n, 2))
    np.testing.assert_allclose(steps, steps.T, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(steps) > 0)


def test_no_gaussians_have_no_density():
    none = Gaussians(np.zeros((0, n)), np.zeros((0, n, n)))
    assert none.log_density(np.zeros((4, n))).shape == (4, 0)
    assert connected_pieces(none, np.zeros(0), np.zeros(0)).shape == (0,)


def pieces_of(gaussians, weights, n_rows=1e4):
    """Return the pieces of components that many rows were seen of."""
    return connected_pieces(gaussians, np.array(weights), np.full(len(weights), float(n_rows)))


def spheres(means):
    means = np.asarray(means, float)
    return Gaussians(means, np.tile(np.eye(means.shape[1]), (len(means), 1, 1)))


def test_pieces_are_where_the_density_dips():
    chain = [[2.0 * k, 0.0] for k in range(5)]
    gaussians = spheres([*chain, [0.0, 20.0], [1.5, 20.0]])
    weights = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3])
    np.testing.assert_array_equal(pieces_of(gaussians, weights), [0, 0, 0, 0, 0, 1, 1])
    # The heavier piece is called 0.
    weights = np.array([0.05, 0.05, 0.05, 0.05, 0.05, 0.4, 0.35])
    np.testing.assert_array_equal(pieces_of(gaussians, weights), [1, 1, 1, 1, 1, 0, 0])


def test_a_faint_component_between_pieces_joins_one_and_not_both():
    gaussians = spheres([[-4.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    pieces = pieces_of(gaussians, [0.5, 0.49, 0.01])
    assert pieces[0] != pieces[1]
    assert pieces.max() == 1


def test_two_gaussians_are_two_pieces_from_some_distance_on():
    for distance, n_pieces in ((2.0, 1), (3.0, 1), (5.0, 2)):
        gaussians = spheres([[0.0], [distance]])
        assert pieces_of(gaussians, [0.5, 0.5]).max() + 1 == n_pieces


def test_a_dip_that_chance_makes_is_none():
    # To 0.27 of the peaks: a logarithm of -1.3, and of 200 rows six errors are 0.6, of 20 1.9.
    gaussians = spheres([[0.0], [4.0]])
    found = [pieces_of(gaussians, [0.5, 0.5], n_rows).max() + 1 for n_rows in (200, 20)]
    assert found == [2, 1]
    # What counts are the rows of those that are there.
    n_rows = np.array([200.0, 200.0, 1.0])
    far = spheres([[0.0], [4.0], [100.0]])
    assert connected_pieces(far, np.array([0.4, 0.4, 0.2]), n_rows).max() == 2


def test_centres_are_connected_however_many_there_are():
    rng = np.random.default_rng(0)
    # Two clumps of more centres than a centre has neighbours, one standard deviation apart.
    clumps = np.concatenate([rng.normal(scale=1e-3, size=(60, 2)) + [x, 0.0] for x in (0.0, 1.0)])
    assert pieces_of(spheres(clumps), np.full(120, 1 / 120)).max() == 0
    # A faint clump far off joins the other.
    faint = clumps + np.repeat([[0.0, 0.0], [30.0, 0.0]], 60, axis=0)
    weights = np.repeat([0.995 / 60, 0.005 / 60], 60)
    assert pieces_of(spheres(faint), weights).max() == 0
    assert pieces_of(spheres(faint), np.full(120, 1 / 120)).max() == 1


def test_a_faint_peak_of_its_own_is_no_piece():
    gaussians = spheres([[0.0, 0.0], [20.0, 0.0], [0.0, 9.0]])
    faint = pieces_of(gaussians, [0.6, 0.395, 0.005])
    np.testing.assert_array_equal(faint, [0, 1, 0])
    assert pieces_of(gaussians, [0.6, 0.3, 0.1]).max() == 2
