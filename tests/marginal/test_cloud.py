"""Importance sampling: errors that are what they are said to be, and draws all different."""

import numpy as np
import pytest
from known import Normal
from scipy.stats import kstest, norm

from brenier.marginal import masses
from brenier.marginal.cloud import Cloud, log_masses
from brenier.marginal.proposals import NormalMixture, Proposals
from brenier.marginal.slices import Free
from brenier.marginal.weights import log_mean, log_means, pareto_shape


def cloud_of(normal, places, values, seed=0):
    joint = normal.joint
    U = np.zeros((1, joint.n))
    U[:, places] = joint.coordinates[places].inward(np.array([values], float))
    columns = np.array([j for j in range(joint.n) if j not in places])
    cloud = Cloud.of(Free(joint, columns, U), normal.mixture(), np.random.default_rng(seed))
    slopes = joint.coordinates[places].log_slopes(U[:, places])[0]
    return cloud, joint.coordinates[columns], cloud.log_mass - slopes


@pytest.mark.parametrize(("n", "places"), [(4, [1]), (6, [0, 5]), (8, [3])])
@pytest.mark.parametrize("deviations", [0.0, 2.0])
def test_normals_given_values(n, places, deviations):
    normal = Normal(n, seed=n)
    values = normal.mean[places] + deviations * np.sqrt(np.diag(normal.covariance))[places]
    cloud, own, log_mass = cloud_of(normal, places, values)
    known = normal.marginal(places)(values[None])[0]
    assert cloud.standard_error < 0.02
    assert abs(log_mass - known) < 4 * cloud.standard_error
    assert cloud.effective_size > 4000
    mean, covariance = normal.conditional(places, values)
    sd = np.sqrt(np.diag(covariance))
    error = 4 / np.sqrt(cloud.effective_size)
    for j in range(len(mean)):
        assert cloud.mean(j, own[[j]]) == pytest.approx(mean[j], abs=error * sd[j])
    median = own.outward(cloud.quantiles(np.array([0.5])))[0]
    np.testing.assert_allclose((median - mean) / sd, 0.0, atol=1.5 * error)
    rows = own.outward(cloud.sample(2000, np.random.default_rng(1)))
    assert len(np.unique(rows, axis=0)) == 2000
    z = np.linalg.solve(np.linalg.cholesky(covariance), (rows - mean).T)
    assert min(kstest(one, norm.cdf).pvalue for one in z) > 1e-4


def test_errors_are_what_they_are_said_to_be():
    normal = Normal(5, seed=1)
    joint, places = normal.joint, [0, 3]
    columns = np.array([1, 2, 4])
    rows = joint.coordinates.outward(joint.draws[:300])
    free = Free(joint, columns, joint.draws[:300].copy())
    values, errors, sizes = log_masses(free, normal.mixture(), np.random.default_rng(0))
    slopes = joint.coordinates[places].log_slopes(joint.draws[:300][:, places])
    z = (values - slopes - normal.marginal(places)(rows[:, places])) / errors
    assert 0.85 < np.std(z) < 1.15
    assert abs(np.mean(z)) < 0.25
    assert sizes.min() > 100


def test_poor_proposals_are_moved():
    normal = Normal(5, seed=2)
    joint = normal.joint
    far = NormalMixture(np.ones(1), np.full((1, 5), 3.0), 0.3 * np.eye(5)[None])
    free = Free(joint, np.array([1, 2, 4]), joint.draws[:3].copy())
    values, errors, sizes = log_masses(free, far, np.random.default_rng(0))
    rows = joint.coordinates.outward(joint.draws[:3])
    slopes = joint.coordinates[[0, 3]].log_slopes(joint.draws[:3][:, [0, 3]])
    known = normal.marginal([0, 3])(rows[:, [0, 3]])
    assert np.all(np.abs(values - slopes - known) < 4 * errors + 1e-3)
    assert sizes.min() > 100


def test_what_cannot_be_found_is_said_to_be_worth_nothing():
    normal = Normal(4)
    joint = normal.joint
    nowhere = joint.__class__(lambda X: np.full(len(X), -np.inf), joint.coordinates, joint.draws)
    free = Free(nowhere, np.array([1, 2, 3]), joint.draws[:1].copy())
    cloud = Cloud.of(free, normal.mixture(), np.random.default_rng(0))
    assert (cloud.log_mass, cloud.effective_size) == (-np.inf, 0.0)


def test_proposals_are_densities_of_what_they_draw():
    rng = np.random.default_rng(0)
    proposals = Proposals(
        np.array([[0.2, 0.8]]), np.array([[[0.0], [3.0]]]), np.array([[[1.0]], [[0.2]]])
    )
    x = np.linspace(-400, 400, 400_001)
    density = np.exp(proposals.log_density(x[None, :, None])[0])
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=1e-5)
    draws = proposals.sample(4000, rng)[0, :, 0]
    below = np.cumsum(density) * (x[1] - x[0])
    assert kstest(draws, lambda v: np.interp(v, x, below)).pvalue > 1e-3


@pytest.mark.parametrize(("m", "K"), [(0, 3), (1, 40), (2, 3), (2, 40), (3, 3)])
def test_the_best_way_is_taken(m, K):
    normal = Normal(4, seed=3)
    joint, columns = normal.joint, np.arange(4 - m, 4)
    free = Free(joint, columns, joint.draws[:K].copy())
    found = masses.log_masses(free, normal.mixture, np.random.default_rng(0))
    places = list(range(4 - m))
    known = normal.marginal(places)(joint.coordinates.outward(joint.draws[:K])[:, places])
    known = known + joint.coordinates[places].log_slopes(joint.draws[:K][:, places])
    by_quadrature = m < 2 or (m, K) == (2, 3)
    assert np.all((found.errors == 0) == by_quadrature)
    assert np.all(np.isinf(found.sizes) == by_quadrature)
    assert np.all(np.abs(found.values - known) < 5 * found.errors + 1e-7)


def test_means_of_weights():
    rng = np.random.default_rng(0)
    logs = rng.normal(size=(400, 1000))
    values, errors, sizes = log_means(logs)
    assert 0.9 < np.std((values - 0.5) / errors) < 1.1
    np.testing.assert_allclose(sizes.mean(), 1000 / np.e, rtol=0.05)
    assert log_mean(np.zeros(10)).standard_error == pytest.approx(0.0, abs=1e-7)
    assert log_mean(np.full(10, -np.inf)).effective_size == 0.0


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_shape_of_the_largest_weights(shape):
    rng = np.random.default_rng(0)
    found = [pareto_shape(-shape * np.log(rng.random(20_000))) for _ in range(20)]
    assert np.mean(found) == pytest.approx(shape, abs=0.05)
    assert pareto_shape(np.zeros(1000)) == -np.inf
    assert np.isnan(pareto_shape(np.zeros(8)))
