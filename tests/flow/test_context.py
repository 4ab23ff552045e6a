"""Contexts: how columns with far values are bent, and what stays as it is."""

import jax
import numpy as np
import pytest

from brenier.flow.context import Bending, ContextScaling

BENDING = Bending(6.0, 128, 64)


def scaled(X, bending=BENDING):
    constant = np.ptp(X, axis=0) == 0
    return ContextScaling.of(X, np.ones(len(X)), constant, bending)


@pytest.fixture
def columns():
    """Return columns: normal, spanning decades, the same below zero, of both signs, few values."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5))
    wide = np.exp(3.0 * x[:, 1:4])
    signs = rng.choice([-1.0, 1.0], size=500)
    few = np.where(np.abs(x[:, 4]) > 2.5, 1e3, np.round(x[:, 4]))
    return np.column_stack([x[:, 0], wide[:, 0], -wide[:, 1], signs * wide[:, 2], few]), x


def test_decades_become_what_their_logarithms_are(columns):
    X, x = columns
    scaling = scaled(X)
    C = scaling.forward(X)
    standard = (x[:, 1] - x[:, 1].mean()) / x[:, 1].std()
    np.testing.assert_allclose(C[:, 1], standard, atol=1e-9)
    # Increasing, whatever the sign.
    standard = (x[:, 2] - x[:, 2].mean()) / x[:, 2].std()
    np.testing.assert_allclose(C[:, 2], -standard, atol=1e-9)
    assert scaling.curve.sign.tolist() == [0, 1, -1, 0, 0]


def test_both_signs_become_normal_quantiles_of_their_ranks(columns):
    X, _ = columns
    C = scaled(X).forward(X)[:, 3]
    ranks = np.argsort(np.argsort(X[:, 3]))
    assert (np.diff(C[np.argsort(ranks)]) >= 0).all()
    assert np.abs(C).max() < 4
    assert abs(np.median(C)) < 0.1


def test_columns_near_each_other_or_of_few_values_stay(columns):
    X, x = columns
    scaling = scaled(X)
    assert np.isnan(scaling.curve.values[0]).tolist() == [True, True, True, False, True]
    np.testing.assert_allclose(
        scaling.forward(X)[:, 0], (x[:, 0] - x[:, 0].mean()) / x[:, 0].std(), atol=1e-12
    )
    assert scaled(X[:, [0]]).curve is None


@pytest.mark.usefixtures("x64")
def test_a_compiled_scaling_is_the_same_and_keeps_to_the_edges(columns):
    X, _ = columns
    scaling = scaled(X)
    beyond = np.concatenate([X, 1e12 * X, -X])
    compiled = jax.jit(lambda s, Y: s.forward(Y))(scaling, beyond)
    np.testing.assert_allclose(compiled, scaling.forward(beyond), rtol=1e-9, atol=1e-9)
    edges = np.stack([scaling.low, scaling.high])
    np.testing.assert_allclose(
        scaling.forward(np.array([np.full(5, -1e300), np.full(5, 1e300)])), scaling.forward(edges)
    )
    assert np.isfinite(compiled).all()
    # Of logarithms, the range is widened by its own width there.
    assert scaling.low[1] == pytest.approx(X[:, 1].min() ** 2 / X[:, 1].max())
