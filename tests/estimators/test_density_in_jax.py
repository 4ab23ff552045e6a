"""`density_`: what estimators say of a density, and what it says in JAX."""

import jax
import numpy as np
import pytest
from small_fits import ends_early, pieces, rows, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialMixture,
    TriangularConvexPotentialFlow,
)

pytestmark = [ends_early, pytest.mark.usefixtures("few_mixtures")]
ROUNDING = 1e-9
SMALL = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 15, "decay": 1e-2}
SMALL |= {"n_estimators": 1}
FEW = {"widths": (3,), "n_estimators": 1, "max_iter": 10, "validation_fraction": 0.0}


@pytest.fixture(scope="module")
def mixture():
    X = pieces()
    return ConvexPotentialMixture(bounds=[(0, None)] * 2, **SMALL).fit(X), X


@pytest.fixture(scope="module")
def triangular():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(112, 3)) @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.4], [0.0, 0.0, 0.6]])
    X[:, 2] = np.exp(X[:, 2])
    following = ConditionalConvexPotentialFlow(context_widths=(3,), n_gates=1, **FEW)
    leading = small(widths=(3,), max_iter=10)
    blocks, bounds = [[1], [2, 0]], [(None, None), (None, None), (0, None)]
    flow = TriangularConvexPotentialFlow(
        blocks, leading=leading, following=following, bounds=bounds
    )
    return flow.fit(X), X


@pytest.fixture(scope="module", params=["flow", "mixture", "triangular"])
def fitted(request):
    """Return an estimator and rows of it."""
    if request.param == "flow":
        X = rows()
        return small(bounds=[(-20, 20), (None, None)]).fit(X), X
    return request.getfixturevalue(request.param)


def test_log_density_and_limits_are_the_estimators(fitted):
    estimator, X = fitted
    density = estimator.density_
    assert density.n == X.shape[1]
    with jax.enable_x64(True):
        whole = jax.jit(density.log_density)(X)
        outside = np.full(density.n, -1e3)
        each, slopes = jax.jit(jax.vmap(jax.value_and_grad(density.log_density)))(
            np.vstack([X, outside])
        )
    expected = estimator.score_samples(X)
    np.testing.assert_allclose(whole, expected, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(each[:-1], expected, rtol=ROUNDING, atol=ROUNDING)
    assert np.isneginf(each[-1])
    assert np.isfinite(slopes).all()
    low, high = density.limits
    assert ((low < X) & (X < high)).all()
    assert np.isfinite(low).any()


def test_draws_are_like_the_estimators(fitted):
    estimator, _ = fitted
    density = estimator.density_
    with jax.enable_x64(True):
        X = np.asarray(jax.jit(density.sample, static_argnums=1)(jax.random.key(0), (2000,)))
    drawn = np.asarray(estimator.sample(2000))
    # Equal but for the error of two means of 2000 draws each.
    both = np.stack([estimator.score_samples(X), estimator.score_samples(drawn)])
    error = np.sqrt(2 * both.var(axis=1).mean() / 2000)
    assert abs(both[0].mean() - both[1].mean()) < 4 * error
    np.testing.assert_allclose(
        X.mean(axis=0), drawn.mean(axis=0), atol=6 * (X.std(axis=0) / np.sqrt(2000)).max()
    )


def test_a_chain_has_an_inverse_and_coordinates_for_a_sampler(triangular):
    estimator, X = triangular
    density = estimator.density_
    Z = estimator.transform(X)
    with jax.enable_x64(True):
        back, inversions = jax.jit(density.inverse)(Z)
        pulled = density.pulled_back(density.log_density)
        slope = jax.jit(jax.grad(pulled))(Z[0])
    np.testing.assert_allclose(back, X, rtol=1e-8, atol=1e-8)
    assert all(one.converged.all() for one in inversions)
    np.testing.assert_allclose(slope, -Z[0], rtol=1e-7, atol=1e-7)


def test_a_mixture_has_no_single_map(mixture):
    with pytest.raises(TypeError, match="Expected a density with a single map"):
        mixture[0].density_.inverse(np.zeros(2))
