"""One or two columns given the others: against conditionals that are known."""

import numpy as np
import pytest
from known import Normal, bent, bent_rows, joint_of
from scipy.integrate import quad
from scipy.stats import beta, lognorm, norm

from brenier.marginal.joint import Coordinates
from brenier.marginal.slices import Free, Line, Plane, mean_of, quantiles_of

EXACT = 1e-8
LEVELS = np.array([0.01, 0.5, 0.9])


def slice_of(joint, places, values):
    """Return the density of the other columns, and their coordinates."""
    U = np.zeros((1, joint.n))
    U[:, places] = joint.coordinates[places].inward(np.array([values], float))
    columns = np.array([j for j in range(joint.n) if j not in places])
    found = (Line if len(columns) == 1 else Plane)(Free(joint, columns, U))
    slopes = joint.coordinates[places].log_slopes(U[:, places])[0]
    return found, joint.coordinates[columns], found.log_mass - slopes


@pytest.mark.parametrize(
    ("n", "places"), [(2, [0]), (2, [1]), (4, [0, 2, 3]), (3, [1]), (4, [3, 0])]
)
@pytest.mark.parametrize("deviations", [0.0, -2.0, 5.0])
def test_normals_given_values(n, places, deviations):
    normal = Normal(n, seed=n)
    sd = np.sqrt(np.diag(normal.covariance))[places]
    values = normal.mean[places] + deviations * sd
    found, own, log_mass = slice_of(normal.joint, places, values)
    known = normal.marginal(places)(values[None])[0]
    assert log_mass == pytest.approx(known, abs=EXACT)
    mean, covariance = normal.conditional(places, values)
    sd = np.sqrt(np.diag(covariance))
    means = [found.mean(j, own[[j]]) for j in range(len(mean))]
    np.testing.assert_allclose((means - mean) / sd, 0.0, atol=1e-6)
    quantiles = (own.outward(found.quantiles(LEVELS)) - mean) / sd
    np.testing.assert_allclose(quantiles, norm.ppf(LEVELS)[:, None] + 0 * sd, atol=1e-6)


def test_draws_of_a_plane_are_of_both_columns():
    normal = Normal(3)
    found, own, _ = slice_of(normal.joint, [0], normal.mean[:1])
    rows = own.outward(found.sample(600, np.random.default_rng(0)))
    mean, covariance = normal.conditional([0], normal.mean[:1])
    z = np.linalg.solve(np.linalg.cholesky(covariance), (rows - mean).T)
    assert np.abs(z.mean(axis=1)).max() < 4 / np.sqrt(600)
    np.testing.assert_allclose(np.cov(z), np.eye(2), atol=0.2)


@pytest.mark.parametrize("y", [0.2, 2.0, 5.0])
def test_bent_shape_has_two_modes_given_y(y):
    joint = joint_of(bent, bent_rows(2))
    found, own, log_mass = slice_of(joint, [1], [y])
    mass = 2 * quad(lambda x: np.exp(bent(np.array([[x, y]]))[0]), 0, 4, points=[y**0.5])[0]
    assert log_mass == pytest.approx(np.log(mass), abs=1e-7)
    assert found.mean(0, own) == pytest.approx(0.0, abs=1e-6)
    low, high = own.outward(found.quantiles(np.array([0.25, 0.75])))[:, 0]
    assert low == pytest.approx(-high, abs=1e-6)


def test_bent_shape_of_three_columns_without_two_of_them():
    joint = joint_of(bent, bent_rows(3))
    _, _, log_mass = slice_of(joint, [0], [1.2])
    assert log_mass == pytest.approx(norm.logpdf(1.2), abs=EXACT)


def test_bounds_are_respected():
    def log_density(X):
        of_a = lognorm.logpdf(X[:, 0], 0.5)
        return of_a + beta.logpdf(X[:, 1], 2.0 + X[:, 0], 3.0)

    rng = np.random.default_rng(0)
    a = lognorm.rvs(0.5, size=1000, random_state=rng)
    b = beta.rvs(2.0 + a, 3.0, random_state=rng)
    joint = joint_of(log_density, np.column_stack([a, b]), [0, 0], [np.inf, 1])
    found, own, log_mass = slice_of(joint, [0], [1.3])
    assert log_mass == pytest.approx(lognorm.logpdf(1.3, 0.5), abs=1e-7)
    assert found.mean(0, own) == pytest.approx(3.3 / 6.3, abs=1e-7)
    quantiles = own.outward(found.quantiles(LEVELS))[:, 0]
    np.testing.assert_allclose(quantiles, beta.ppf(LEVELS, 3.3, 3.0), atol=1e-6)
    rows = own.outward(found.sample(1000, rng))
    assert np.all((rows > 0) & (rows < 1))
    means = mean_of(joint, np.array([0]))
    assert means[0] == pytest.approx(lognorm.mean(0.5), abs=1e-6)
    of_a = quantiles_of(joint, np.array([0]), LEVELS)[:, 0]
    np.testing.assert_allclose(of_a, lognorm.ppf(LEVELS, 0.5), rtol=1e-6)


def test_coordinates_come_back_from_far_out():
    low, high = np.array([-np.inf, 2.0, -np.inf, 0.0]), np.array([np.inf, np.inf, 3.0, 1.0])
    U = np.random.default_rng(0).normal(size=(500, 4))
    middle, scale = np.array([1.0, -2.0, 0.5, 0.1]), np.array([1e-3, 2.0, 0.3, 1.5])
    coordinates = Coordinates(low, high, middle, scale)
    X = coordinates.outward(U)
    assert coordinates.inside(X).all()
    np.testing.assert_allclose(coordinates.inward(X), U, atol=1e-6)
    far = coordinates.outward(300.0 * np.sign(U))
    assert coordinates.inside(far).all()
    step = 1e-6
    slopes = [
        (coordinates.outward(U + step * e) - coordinates.outward(U - step * e)) @ e / (2 * step)
        for e in np.eye(4)
    ]
    np.testing.assert_allclose(coordinates.log_slopes(U), np.sum(np.log(slopes), axis=0), atol=1e-6)


def test_plane_takes_some_hundred_thousand_evaluations():
    normal = Normal(3)
    found, _, _ = slice_of(normal.joint, [0], normal.mean[:1])
    assert found.log_mass
    assert 20_000 < normal.joint.log_density.rows < 250_000
