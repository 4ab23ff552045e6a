"""CP-Flow's estimators: right on average over many probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.cpflow import (
    STEEP,
    Weights,
    bent,
    exact_log_det,
    hessian_product,
    lanczos_log_det,
    markdown,
    surrogate,
)

PROBES, N = 4000, 3


@pytest.fixture(scope="module", autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def at_one_row(float64):
    rng = np.random.default_rng(0)
    weights = Weights.at_random(bent(200, N, rng), rng, STEEP)
    return weights, jnp.tile(jnp.asarray(bent(1, N, rng)), (PROBES, 1))


def test_products_are_those_of_the_hessian(at_one_row):
    weights, rows = at_one_row
    products = jax.jit(jax.vmap(hessian_product, (None, None, 0)))
    A = products(weights, rows[0], jnp.eye(N))
    np.testing.assert_allclose(A, A.T, atol=1e-12)
    log_det = jnp.linalg.slogdet(A)[1]
    assert exact_log_det(weights, rows[:1])[0] == pytest.approx(float(log_det), rel=1e-12)


def test_lanczos_is_the_log_determinant_on_average(at_one_row):
    weights, rows = at_one_row
    lanczos = jax.jit(lanczos_log_det, static_argnums=3)
    found = np.asarray(lanczos(weights, rows, jax.random.key(0), N))
    error = found.std() / np.sqrt(PROBES)
    assert error > 0
    assert abs(found.mean() - exact_log_det(weights, rows[:1])[0]) < 4 * error


def test_the_surrogate_has_the_gradient_on_average(at_one_row):
    weights, rows = at_one_row
    gradient = jax.jit(jax.grad(surrogate))
    found = gradient(weights, rows, jax.random.key(0))
    true = jax.jit(jax.grad(lambda weights: exact_log_det(weights, rows[:1])[0]))(weights)
    assert distance(found, true) < 0.02 * distance(true, jax.tree.map(jnp.zeros_like, true))
    one = gradient(weights, rows[:1], jax.random.key(0))
    assert distance(one, true) > 3 * distance(found, true)


def distance(a, b):
    """Return the Euclidean distance of two trees."""
    parts = jax.tree.map(lambda x, y: np.sum((np.asarray(x) - np.asarray(y)) ** 2), a, b)
    return np.sqrt(sum(jax.tree.leaves(parts)))


def test_the_page_says_what_was_found():
    exact, probe = {"seconds": 2e-3}, {"relative error": 0.25, "of the mean of 20": 0.05}
    runs = {
        name: {"log-density": value, "learning rate": 1e-3, "steps": 1200}
        for name, value in (("one-probe surrogate", -2.5), ("exact gradient", -2.0))
    }
    records = [
        {"part": "training", "columns": 8, "found": runs | {"seconds of a run": 30.0}},
        {
            "part": "estimators",
            "columns": 64,
            "found": {"log det": exact, "one-probe surrogate": probe | {"seconds": 1e-3}},
        },
    ]
    text = markdown(records)
    assert "| 64 | log det |  |  | 2 |" in text
    assert "| 64 | one-probe surrogate | 0.25 | 0.05 | 1 |" in text
    assert "| 8 | 30 | exact gradient | -2.000 | 1,200 |" in text
