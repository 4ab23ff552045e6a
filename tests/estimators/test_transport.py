"""Maps between two samples: through two flows, and between Gaussians."""

import numpy as np
import pytest
from small_fits import ends_early, rows, small

import brenier
from brenier import ConvexPotentialMixture

pytestmark = ends_early


@pytest.fixture(scope="module")
def samples():
    return rows("maf-moon"), rows("moons", seed=1)


@pytest.fixture(scope="module")
def carrier(samples):
    return brenier.transport(*samples, estimator=small())


def test_it_carries_one_sample_into_the_other_and_back(carrier, samples):
    X, Y = samples
    carried = carrier.transform(X)
    np.testing.assert_allclose(carrier.inverse_transform(carried), X, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        carried, carrier.target.inverse_transform(carrier.source.transform(X)), rtol=1e-12
    )
    # As likely under the target as its own rows, which those of the source are not.
    own = carrier.target.score_samples(Y)
    error = own.std() * np.sqrt(2 / len(X))
    assert abs(carrier.target.score(carried) - own.mean()) < 5 * error
    assert carrier.target.score(X) < own.mean() - 10 * error


def test_fitted_estimators_are_taken_as_they_are(carrier, samples):
    again = brenier.transport(carrier.source, carrier.target)
    assert again.source is carrier.source
    np.testing.assert_array_equal(again.transform(samples[0]), carrier.transform(samples[0]))


def test_other_columns_and_mixtures_are_errors(carrier):
    few = small().fit(rows()[:, :1])
    with pytest.raises(ValueError, match=r"Expected samples of the same columns; got \['x0', 'x1'"):
        brenier.transport(carrier.source, few)
    settings = {"n_radial": 0, "noise": 0.0, "decay": 0.1, "validation_fraction": 0.0}
    mixture = ConvexPotentialMixture(widths=(3,), max_iter=3, n_estimators=1, **settings)
    with pytest.raises(ValueError, match="Expected densities with a single map"):
        brenier.transport(mixture.fit(rows()), carrier.target)


def test_the_bures_map_is_the_optimal_one_of_gaussians():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 3, 3))
    X, Y = (
        rng.normal(size=(400, 3)) @ root + shift for root, shift in zip(roots, (1, -2), strict=True)
    )
    found = brenier.bures_map(X, Y)
    carried = found.transform(X)
    np.testing.assert_allclose(carried.mean(axis=0), Y.mean(axis=0), atol=1e-10)
    covariances = [np.cov(rows.T, bias=True) for rows in (carried, Y)]
    np.testing.assert_allclose(*covariances, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.inverse_transform(carried), X, atol=1e-9)
    # The gradient of a convex function, so optimal; and its cost is what it moves.
    np.testing.assert_allclose(found.matrix, found.matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(found.matrix).min() > 0
    assert np.mean(np.sum((carried - X) ** 2, axis=1)) == pytest.approx(found.cost, rel=1e-9)
    # Weights are copies.
    counts = rng.integers(0, 3, size=400)
    weighted = brenier.bures_map(X, Y, source_weight=counts)
    copied = brenier.bures_map(np.repeat(X, counts, axis=0), Y)
    np.testing.assert_allclose(weighted.matrix, copied.matrix, rtol=1e-9)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros(3), "as finite rows"),
        (np.full((5, 2), np.nan), "10 entries that are not finite"),
        (np.ones((5, 2)), "covariance of full rank of source"),
        (np.random.default_rng(0).normal(size=(9, 3)), "as many columns of both; got 3 and 2"),
    ],
)
def test_samples_without_a_bures_map_are_errors(X, said):
    with pytest.raises(ValueError, match=said):
        brenier.bures_map(X, rows())
