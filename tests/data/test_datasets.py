"""Toy distributions: density, entropy and sampler must tell the same story."""

import doctest
import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.datasets import make_moons

from brenier.data import datasets
from brenier.data.datasets import (
    CorrelatedGaussian,
    EightGaussians,
    MAFMoon,
    Moons,
    Rings,
    distributions,
)

LOG_2PI = math.log(2 * math.pi)
# The promise of `entropy`, and what the trapezoidal rule at these steps leaves far behind.
QUADRATURE = 1e-6
# Rounding of exponents up to 1e5, the largest that the references are compared at.
ROUNDING = {"rtol": 1e-11, "atol": 1e-10}
STANDARD_ERRORS = 4

# name: (distribution, low corner, high corner, step), the box holding all but 1e-12 of the mass.
PLANE = {
    "moons": (Moons(), (-1.5, -1.0), (2.5, 1.5), 0.02),
    "moons, independent": (Moons(grid=False), (-1.5, -1.0), (2.5, 1.5), 0.02),
    "moons, noisy": (Moons(0.3, grid=False), (-3.6, -3.1), (4.6, 3.6), 0.05),
    "eight-gaussians": (EightGaussians(), (-3.7, -3.7), (3.7, 3.7), 0.04),
    "eight-gaussians, merged": (EightGaussians(1.0, 0.5), (-5.2, -5.2), (5.2, 5.2), 0.08),
    "rings": (Rings(), (-3.7, -3.7), (3.7, 3.7), 0.04),
    "rings, merged": (Rings((0.3, 1.0), 0.25), (-3.2, -3.2), (3.2, 3.2), 0.05),
    "correlated-gaussian": (CorrelatedGaussian(2), (-8.0, -8.0), (8.0, 8.0), 0.1),
    "maf-moon": (MAFMoon(), (-9.0, -16.0), (73.0, 16.0), 0.2),
}
ALL = {name: entry[0] for name, entry in PLANE.items()} | {
    "one column": CorrelatedGaussian(1),
    "five columns": CorrelatedGaussian(5),
    "negative correlation": CorrelatedGaussian(3, -0.6),
}

on_plane = pytest.mark.parametrize("name", PLANE)
on_all = pytest.mark.parametrize("name", ALL)


def grid(name):
    """Return points covering the plane, their log-density, and the area of each."""
    distribution, low, high, step = PLANE[name]
    x, y = (np.arange(a, b, step) for a, b in zip(low, high, strict=True))
    X = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    return X, distribution.log_density(X), step**2


def panels(low, high, n_panels):
    nodes, weights = np.polynomial.legendre.leggauss(12)
    half = (high - low) / (2 * n_panels)
    middles = low + half * (2 * np.arange(n_panels)[:, None] + 1)
    return (middles + half * nodes).ravel(), np.tile(weights * half, n_panels)


def log_smeared(X, curve, weights, s):
    """Return the log-density of points on a curve plus N(0, s^2 I), summed over the curve."""
    squares = ((X[:, None, :] - curve) ** 2).sum(axis=2)
    return logsumexp(-squares / (2 * s**2), b=weights, axis=1) - LOG_2PI - 2 * np.log(s)


def circle(t):
    return np.column_stack([np.cos(t), np.sin(t)])


def moons_reference(distribution, X):
    # t = pi (1 - cos v) / 2: beyond its ends a half circle is felt over a 1e-4 of its length only.
    v, weights = panels(0, np.pi, 200)
    t, weights = np.pi / 2 * (1 - np.cos(v)), np.pi / 2 * np.sin(v) * weights
    curve = np.vstack([circle(t), np.array([1, 0.5]) - circle(t)])
    return log_smeared(X, curve, np.tile(weights, 2) / (2 * np.pi), distribution.noise)


def rings_reference(distribution, X):
    t, weights = panels(0, 2 * np.pi, 200)
    curve = np.vstack([r * circle(t) for r in distribution.radii])
    K = len(distribution.radii)
    return log_smeared(X, curve, np.tile(weights, K) / (2 * np.pi * K), distribution.noise)


def eight_reference(distribution, X):
    angles = np.deg2rad([0, 45, 90, 135, 180, 225, 270, 315])
    means, cov = distribution.radius * circle(angles), distribution.scale**2 * np.eye(2)
    parts = [stats.multivariate_normal(mean, cov).logpdf(X) for mean in means]
    return logsumexp(parts, axis=0) - np.log(8)


def gaussian_reference(distribution, X):
    i = np.arange(distribution.n_features)
    cov = distribution.correlation ** np.abs(i[:, None] - i)
    return stats.multivariate_normal(cov=cov).logpdf(X)


def maf_reference(distribution, X):
    x1, x2 = X.T
    return stats.norm(0, math.sqrt(4)).logpdf(x2) + stats.norm(x2**2 / 4, 1).logpdf(x1)


REFERENCES = {
    Moons: moons_reference,
    Rings: rings_reference,
    EightGaussians: eight_reference,
    CorrelatedGaussian: gaussian_reference,
    MAFMoon: maf_reference,
}


# The density.


@on_all
def test_log_density_is_the_reference(name):
    distribution = ALL[name]
    generator = np.random.default_rng(0)
    near = distribution.sample(100, random_state=1)
    around = generator.uniform(-4, 4, size=(100, distribution.n_features))
    far = generator.normal(scale=10, size=(20, distribution.n_features))
    X = np.vstack([near, around, far, np.zeros((1, distribution.n_features))])
    reference = REFERENCES[type(distribution)](distribution, X)
    np.testing.assert_allclose(distribution.log_density(X), reference, **ROUNDING)


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.3, 2.0, 50.0])
def test_moons_log_density_is_the_reference_at_every_noise(noise):
    ends = np.array([[1, 0], [-1, 0], [0, 0.5], [2, 0.5], [1, 0.5], [0, 0], [0, -1], [0.0, 1]])
    X = np.vstack([ends, ends + noise * np.random.default_rng(0).normal(size=ends.shape)])
    reference = moons_reference(Moons(noise), X)
    np.testing.assert_allclose(Moons(noise).log_density(X), reference, **ROUNDING)


def test_arc_integral_keeps_its_digits_for_every_angle_and_concentration():
    generator = np.random.default_rng(0)
    a = np.concatenate([generator.uniform(-np.pi, np.pi, 500), -(10 ** -np.linspace(1, 12, 100))])
    a = np.concatenate([a, [0, np.pi, -np.pi, np.pi / 2, -np.pi / 2]])
    kappa = 10 ** generator.uniform(-3, 6, len(a))
    fine = datasets._log_arc(a, kappa, n_nodes=120, decay=60.0)
    np.testing.assert_allclose(datasets._log_arc(a, kappa), fine, rtol=1e-14, atol=1e-11)


def test_two_half_circles_make_a_circle():
    # Rings with one radius has Bessel's function in closed form.
    X = np.random.default_rng(0).normal(size=(200, 2))
    upper = datasets._log_half_circle(X, 0.1)
    lower = datasets._log_half_circle(-X, 0.1)
    whole = Rings((1.0,), 0.1).log_density(X)
    np.testing.assert_allclose(np.logaddexp(upper, lower) - np.log(2), whole, **ROUNDING)


@on_plane
def test_density_integrates_to_one(name):
    _, log_p, area = grid(name)
    assert np.exp(log_p).sum() * area == pytest.approx(1, abs=1e-10)


@on_all
def test_far_tails_are_finite_and_fall(name):
    distribution = ALL[name]
    direction = np.random.default_rng(2).normal(size=distribution.n_features)
    direction /= np.linalg.norm(direction)
    # A crescent falls with the fourth power of x2, the others with the square.
    largest = 1e70 if isinstance(distribution, MAFMoon) else 1e140
    radii = np.geomspace(20, largest, 40)
    log_p = distribution.log_density(radii[:, None] * direction)
    assert np.isfinite(log_p).all()
    assert (np.diff(log_p) < 0).all()


@on_all
def test_rows_beyond_every_number_have_minus_infinity(name):
    n = ALL[name].n_features
    X = np.vstack([np.full((1, n), 1e200), np.full((1, n), -1e308), np.full((1, n), 1e308)])
    assert (ALL[name].log_density(X) == -np.inf).all()


@on_all
def test_a_row_does_not_see_the_others(name):
    distribution = ALL[name]
    X = distribution.sample(50, random_state=3)
    alone = np.concatenate([distribution.log_density(X[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(alone, distribution.log_density(X), rtol=1e-13, atol=1e-13)
    assert distribution.log_density(X[:0]).shape == (0,)


# Symmetries.


def rotated(X, angle):
    c, s = math.cos(angle), math.sin(angle)
    return X @ np.array([[c, s], [-s, c]])


@pytest.mark.parametrize(
    ("name", "move"),
    [
        ("rings", lambda X: rotated(X, 1.0)),
        ("rings, merged", lambda X: X * [-1, 1]),
        ("eight-gaussians", lambda X: rotated(X, math.pi / 4)),
        ("eight-gaussians", lambda X: X[:, ::-1]),
        ("moons", lambda X: [1.0, 0.5] - X),
        ("correlated-gaussian", lambda X: X[:, ::-1]),
        ("maf-moon", lambda X: X * [1, -1]),
    ],
)
def test_symmetry(name, move):
    X = np.random.default_rng(4).uniform(-3, 3, size=(100, 2))
    log_p = ALL[name].log_density(X)
    np.testing.assert_allclose(ALL[name].log_density(move(X)), log_p, **ROUNDING)
    assert np.ptp(log_p) > 1


# The entropy.


@on_plane
def test_entropy_is_that_of_the_density(name):
    _, log_p, area = grid(name)
    entropy = -np.sum(np.exp(log_p) * log_p) * area
    assert PLANE[name][0].entropy() == pytest.approx(entropy, abs=QUADRATURE)


@on_all
def test_entropy_is_that_of_the_samples(name):
    distribution = ALL[name]
    losses = -distribution.log_density(distribution.sample(20_000, random_state=5))
    error = losses.std() / math.sqrt(len(losses))
    assert abs(losses.mean() - distribution.entropy()) < STANDARD_ERRORS * error


def gaussian_entropy(variance):
    return LOG_2PI + 1 + math.log(variance)


@pytest.mark.parametrize(
    ("distribution", "entropy"),
    [
        (EightGaussians(2.0, 0.02), math.log(8) + gaussian_entropy(0.02**2)),
        (EightGaussians(1e-5, 3.0), gaussian_entropy(9)),
        (Rings((1e-5,), 0.3), gaussian_entropy(0.09)),
        (Moons(1e4), gaussian_entropy(1e8)),
        (CorrelatedGaussian(2, 0.0), gaussian_entropy(1)),
        (CorrelatedGaussian(2, 0.6), gaussian_entropy(0.8)),
        (MAFMoon(), gaussian_entropy(2)),
    ],
)
def test_entropy_has_its_limits(distribution, entropy):
    assert distribution.entropy() == pytest.approx(entropy, abs=QUADRATURE)


@pytest.mark.parametrize(
    ("name", "best_loss"),
    [
        ("moons", -1.548643),
        ("eight-gaussians", -0.139816),
        ("rings", 0.785306),
        ("correlated-gaussian", -0.821462),
        ("maf-moon", 1 + math.log(2)),
    ],
)
def test_best_loss_of_the_defaults(name, best_loss):
    distribution = distributions()[name]
    assert distribution.best_loss() == pytest.approx(best_loss, abs=QUADRATURE)
    constant = 0.5 * distribution.n_features * LOG_2PI
    assert distribution.best_loss() == distribution.entropy() - constant


def test_entropy_is_computed_once_and_changes_nothing():
    computed = []

    class Counted(Moons):
        def _entropy(self):
            computed.append(self.noise)
            return super()._entropy()

    moons = Counted(0.5)
    assert moons.entropy() == moons.entropy() == Moons(0.5).entropy()
    assert computed == [0.5]
    assert moons == Counted(0.5)
    assert hash(moons) == hash(Counted(0.5))
    # Another object computes its own.
    assert Counted(0.4).entropy() != moons.entropy()
    assert computed == [0.5, 0.4]
    plain = Moons(0.5)
    plain.entropy()
    assert pickle.loads(pickle.dumps(plain)) == plain == Moons(0.5)
    assert hash(plain) == hash(Moons(0.5))


# The sampler.


@on_all
def test_samples_repeat_by_seed(name):
    distribution = ALL[name]
    X = distribution.sample(101, random_state=6)
    assert X.shape == (101, distribution.n_features)
    assert X.dtype == np.float64
    np.testing.assert_array_equal(X, distribution.sample(101, random_state=6))
    np.testing.assert_array_equal(X, distribution.sample(101, np.random.RandomState(6)))
    assert (X != distribution.sample(101, random_state=7)).any(axis=1).all()


def test_a_generator_advances():
    generator = np.random.RandomState(0)
    first, second = (Rings().sample(5, generator) for _ in range(2))
    assert (first != second).all()


def powers(X):
    """Return the first two powers of all columns, (N, n + n (n + 1) / 2)."""
    rows, columns = np.triu_indices(X.shape[1])
    return np.hstack([X, X[:, rows] * X[:, columns]])


@on_plane
def test_moments_of_the_samples_are_those_of_the_density(name):
    X, log_p, area = grid(name)
    expected = np.exp(log_p) @ powers(X) * area
    found = powers(PLANE[name][0].sample(20_000, random_state=8))
    error = found.std(axis=0) / math.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - expected) < STANDARD_ERRORS * error).all()


def test_covariance_of_the_gaussian():
    found = powers(CorrelatedGaussian(4, 0.7).sample(20_000, random_state=9))
    i, j = np.triu_indices(4)
    expected = np.concatenate([np.zeros(4), 0.7 ** np.abs(i - j)])
    error = found.std(axis=0) / math.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - expected) < STANDARD_ERRORS * error).all()


def test_moons_are_those_of_scikit_learn():
    X, _ = make_moons(1025, noise=0.05, random_state=11)
    np.testing.assert_array_equal(Moons().sample(1025, random_state=11), X)


def test_a_grid_of_angles_scatters_less_than_independent_ones():
    def spread(moons):
        means = [moons.sample(200, random_state=seed).mean(axis=0) for seed in range(50)]
        return np.std(means, axis=0)

    assert (spread(Moons()) < 0.2 * spread(Moons(grid=False))).all()


# The doors.


def test_defaults_are_named():
    found = distributions()
    names = ["moons", "eight-gaussians", "rings", "correlated-gaussian", "maf-moon"]
    assert list(found) == names
    assert [distribution.name for distribution in found.values()] == names
    assert [distribution.n_features for distribution in found.values()] == [2, 2, 2, 5, 2]


def test_settings_are_frozen():
    moons = Moons()
    with pytest.raises(FrozenInstanceError):
        moons.noise = 0.1  # pyright: ignore[reportAttributeAccessIssue]


@on_all
def test_input_is_read_and_not_written(name):
    distribution = ALL[name]
    X = distribution.sample(20, random_state=12)
    log_p = distribution.log_density(X)
    X.flags.writeable = False
    np.testing.assert_array_equal(distribution.log_density(X), log_p)
    np.testing.assert_array_equal(distribution.log_density(X.tolist()), log_p)
    np.testing.assert_array_equal(distribution.log_density(np.asfortranarray(X)), log_p)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"Expected an array of shape \(N, 2\), one row a point; got \(2,\)"),
        ([[1.0, 2.0, 3.0]], r"Expected .*; got \(1, 3\)"),
        ([[0.0, 0.0], [1.0, math.nan]], r"Expected finite .*; got .* 1 of 2 rows \(first: row 1;"),
        ([[math.inf, 0.0]], r"Expected finite numbers; got .* \(first: row 0;"),
        ([["a", "b"]], r"Expected a table of numbers; got .*'a'"),
    ],
)
def test_bad_rows_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        Moons().log_density(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Moons(0.0), "Expected noise positive and finite; got 0.0"),
        (lambda: Moons(math.nan), "Expected noise positive and finite; got nan"),
        (lambda: EightGaussians(scale=-1.0), "Expected scale positive and finite; got -1.0"),
        (lambda: EightGaussians(radius=math.inf), "Expected radius .*; got inf"),
        (lambda: Rings(()), "Expected at least one radius; got none"),
        (lambda: Rings((1.0, 0.0)), "Expected radii positive and finite; got 0.0"),
        (lambda: Rings(noise=-0.1), "Expected noise .*; got -0.1"),
        (lambda: CorrelatedGaussian(0), "Expected n_features an integer .*; got 0"),
        (lambda: CorrelatedGaussian(2, 1.0), "Expected -1 < correlation < 1; got 1.0"),
        (lambda: CorrelatedGaussian(2, math.nan), "Expected -1 < correlation < 1; got nan"),
        (lambda: Moons().sample(0, 0), "Expected n_samples an integer of at least 1; got 0"),
        (lambda: Moons().sample(n_samples=True, random_state=0), "Expected n_samples .*; got True"),
        (lambda: Moons().sample(1, -1), r"Expected random_state a seed in .*; got -1"),
        (lambda: Moons().sample(1, 2**32), r"Expected random_state .*; got 4294967296"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_documented_example_runs():
    assert doctest.testmod(datasets).failed == 0
    assert doctest.testmod(datasets).attempted > 0
