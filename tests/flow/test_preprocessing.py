"""Bounds and whitening: exact inverses of each other, with exact Jacobians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening

INF = np.inf
N, n = 200, 3
# Bounds of the first column; "all" bounds every one, each in its own way.
BOUNDS = {
    "none": ([-INF] * n, [INF] * n),
    "low": ([-2.0, -INF, -INF], [INF] * n),
    "high": ([-INF] * n, [7.0, INF, INF]),
    "both": ([-2.0, -INF, -INF], [7.0, INF, INF]),
    "all": ([0.0, -INF, 1e3], [INF, -1.0, 1e3 + 1e-3]),
}
WHITEN = ("full", "standardize", "none")
# Rounding of a few operations, relative to a column's own scale; the triangular solve and its
# inverse lose as many digits as the correlations cost.
ROUNDING = 1e-11

on_all = pytest.mark.parametrize(
    ("bounds", "how"), [(bounds, how) for bounds in BOUNDS for how in WHITEN]
)


def normal_rows(seed=0):
    """Rows of correlated columns, without bounds."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, n)) @ np.array([[1.0, 0.5, -0.9], [0, 0.3, 0.4], [0, 0, 0.2]]) + 0.3


def example(name, how):
    """Return a preprocessing and the rows that its whitening was computed from."""
    bounds = ColumnBounds(*(np.array(side) for side in BOUNDS[name]))
    X = np.asarray(bounds.inverse(normal_rows()))
    Y = np.asarray(bounds.forward(X)[0])
    return Preprocessing(bounds, whitening(Y, np.ones(N), how)), X


@on_all
def test_inverse_is_the_inverse_of_forward(bounds, how):
    with jax.enable_x64(True):
        preprocessing, X = example(bounds, how)
        back = np.asarray(preprocessing.inverse(preprocessing.forward(X)[0]))
    # A bound at 1e3 with a width of 1e-3: rounding is that of the column's values.
    np.testing.assert_allclose(back, X, rtol=ROUNDING, atol=ROUNDING)


@on_all
def test_log_determinant_is_that_of_automatic_differentiation(bounds, how):
    with jax.enable_x64(True):
        preprocessing, X = example(bounds, how)
        jacobian = jax.vmap(jax.jacfwd(lambda x: preprocessing.forward(x[None])[0][0]))(X)
        sign, expected = np.linalg.slogdet(np.asarray(jacobian))
        log_det = np.asarray(preprocessing.forward(X)[1])
    assert (sign == 1).all()
    np.testing.assert_allclose(log_det, expected, rtol=ROUNDING, atol=ROUNDING)


@on_all
def test_every_column_increases_with_itself(bounds, how):
    with jax.enable_x64(True):
        preprocessing, X = example(bounds, how)
        jacobian = jax.vmap(jax.jacfwd(lambda x: preprocessing.forward(x[None])[0][0]))(X)
    assert (np.diagonal(jacobian, axis1=1, axis2=2) > 0).all()


@on_all
def test_preimages_lie_strictly_inside_and_have_a_density(bounds, how):
    radii = np.repeat([1.0, 40.0, 1e3, 1e150, 1e300], N // 5)[:, None]
    Y = radii * np.random.default_rng(1).choice([-1.0, 0.5, 1.0], size=(N, n))
    with jax.enable_x64(True):
        preprocessing, _ = example(bounds, how)
        X = np.asarray(preprocessing.inverse(Y))
        low, high = preprocessing.bounds.low, preprocessing.bounds.high
        bounded = np.isfinite(low) | np.isfinite(high)
        finite = X[np.isfinite(X).all(axis=1)]
        Y_again, log_det = preprocessing.forward(finite)
    assert not np.isnan(X).any()
    assert ((low < X) & (high > X))[:, bounded].all()
    assert len(finite) >= 2 * N // 5
    assert np.isfinite(Y_again).all()
    assert np.isfinite(log_det).all()


# XLA takes subnormal numbers for zero.
finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
sides = st.one_of(st.none(), finite)


@settings(deadline=None)  # the first example compiles
@given(low=sides, high=sides, y=finite)
def test_any_number_comes_back_strictly_inside_any_bounds(low, high, y):
    assume(low is not None or high is not None)
    low, high = -INF if low is None else low, INF if high is None else high
    # There must be a number between them, and a width that is one.
    with np.errstate(over="ignore"):
        assume(np.nextafter(low, INF) < high and np.nextafter(high, -INF) > low)
    assume(np.isinf(low) or np.isinf(high) or np.isfinite(high - low))
    with jax.enable_x64(True):
        bounds = ColumnBounds(np.array([low]), np.array([high]))
        x = np.asarray(bounds.inverse(np.array([[y]])))
        assert low < x[0, 0] < high
        assert bool(bounds.inside(x)[0])


@settings(deadline=None)  # the first example compiles
@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    share=st.floats(1e-6, 1 - 1e-6),
    kind=st.sampled_from(["low", "high", "both"]),
)
def test_any_inner_number_is_the_preimage_of_its_image(low, width, share, kind):
    high = low + width
    x = low + share * width
    assume(low < x < high)
    with jax.enable_x64(True):
        bounds = ColumnBounds(
            np.array([-INF if kind == "high" else low]), np.array([INF if kind == "low" else high])
        )
        y, _ = bounds.forward(np.array([[x]]))
        back = float(bounds.inverse(jnp.asarray(y))[0, 0])
    # y is rounded to 1e-15 of its own size, at most 14 here; x to 1e-16 of the bounds.
    assert back == pytest.approx(x, abs=1e-13 * width + 4e-16 * (abs(low) + abs(high)))


def test_rows_on_or_beyond_a_bound_are_outside():
    with jax.enable_x64(True):
        bounds = ColumnBounds(np.array([0.0, -INF]), np.array([1.0, 5.0]))
        X = np.array([[0.5, 0], [0, 0], [1, 0], [-1, 0], [2, 0], [0.5, 5], [0.5, 6], [0.5, -1e300]])
        assert bounds.inside(X).tolist() == [True, *6 * [False], True]
        Y, log_det = bounds.forward(X)
    assert np.isfinite(Y).all()
    assert np.isfinite(log_det).all()


@pytest.mark.parametrize("weights", ["equal", "unequal"])
@pytest.mark.parametrize("how", WHITEN)
def test_whitened_rows_have_the_moments_they_promise(how, weights):
    w = np.ones(N) if weights == "equal" else np.random.default_rng(2).exponential(size=N)
    X = normal_rows()
    with jax.enable_x64(True):
        layer = whitening(X, w, how)
        Y = np.asarray(layer.forward(X))
    if how == "none":
        np.testing.assert_array_equal(Y, X)
        return
    covariance = np.cov(Y.T, aweights=w, ddof=0)
    expected = np.eye(n) if how == "full" else np.corrcoef(X.T) if weights == "equal" else None
    np.testing.assert_allclose(np.average(Y, axis=0, weights=w), 0, atol=ROUNDING)
    np.testing.assert_allclose(np.diagonal(covariance), 1, rtol=ROUNDING)
    if expected is not None:
        np.testing.assert_allclose(covariance, expected, atol=ROUNDING)
    assert (np.triu(layer.factor, 1) == 0).all()
    assert (np.diagonal(layer.factor) > 0).all()


@pytest.mark.parametrize("how", ["full", "standardize"])
def test_columns_of_1e_minus_12_and_1e12_lose_no_digits(how):
    unit = normal_rows()
    scales = np.array([1e-12, 1.0, 1e12])
    with jax.enable_x64(True):
        plain = whitening(unit, np.ones(N), how)
        scaled = whitening(unit * scales, np.ones(N), how)
        Y = np.asarray(scaled.forward(unit * scales))
        np.testing.assert_allclose(Y, plain.forward(unit), atol=ROUNDING)
        np.testing.assert_allclose(np.asarray(scaled.inverse(Y)) / scales, unit, atol=ROUNDING)
        # The scales' product is one.
        np.testing.assert_allclose(scaled.log_det, plain.log_det, atol=ROUNDING)


@pytest.mark.parametrize("name", BOUNDS)
def test_columns_are_those_of_the_forward_map(name):
    preprocessing, X = example(name, "full")
    with jax.enable_x64(True):
        expected = np.asarray(preprocessing.bounds.forward(X)[0])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(preprocessing.bounds.columns(X), expected)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_units_near_the_ends_of_double_precision(scale):
    X = normal_rows() * scale
    with jax.enable_x64(True):
        layer = whitening(X, np.ones(N), "full")
        Y = np.asarray(layer.forward(X))
        np.testing.assert_allclose(np.cov(Y.T, ddof=0), np.eye(n), atol=ROUNDING)
        np.testing.assert_allclose(np.asarray(layer.inverse(Y)) / scale, X / scale, atol=ROUNDING)
        assert np.isfinite(layer.log_det)


def test_weights_are_repetitions():
    X = normal_rows()
    counts = np.random.default_rng(3).integers(0, 4, size=N)
    with jax.enable_x64(True):
        weighted = whitening(X[counts > 0], counts[counts > 0].astype(float), "full")
        repeated = whitening(np.repeat(X, counts, axis=0), np.ones(counts.sum()), "full")
    for name in ("mean", "scale", "factor"):
        np.testing.assert_allclose(
            getattr(weighted, name), getattr(repeated, name), atol=ROUNDING, err_msg=name
        )


@pytest.mark.usefixtures("x64")
def test_a_column_between_two_bounds_is_made_normal_where_it_was_uniform():
    bounds = ColumnBounds(np.array([-2.0]), np.array([6.0]))
    X = np.array([[-2.0 + 8e-9], [0.0], [2.0], [5.0], [6.0 - 8e-9]])
    Y, log_slope = bounds.forward(X)
    shares = np.array([1e-9, 0.25, 0.5, 0.875])
    np.testing.assert_allclose(Y[:4, 0], norm.ppf(shares), rtol=1e-6, atol=1e-12)
    assert Y[4, 0] == pytest.approx(-Y[0, 0], rel=1e-6)
    # A uniform density is what a standard normal is of.
    np.testing.assert_allclose(norm.logpdf(Y[:, 0]) + log_slope, -np.log(8.0), rtol=1e-9)
    np.testing.assert_allclose(bounds.inverse(Y), X, rtol=1e-12)
    compiled, _ = jax.jit(lambda b, A: b.forward(A))(bounds, X)
    np.testing.assert_allclose(compiled, Y, rtol=1e-9, atol=1e-12)
    # Models from before go by the logit.
    older = ColumnBounds(bounds.low, bounds.high, probit=False)
    np.testing.assert_allclose(older.forward(X)[0][1:4, 0], np.log([1 / 3, 1, 7]), atol=1e-12)
    np.testing.assert_allclose(older.inverse(older.forward(X)[0]), X, rtol=1e-12)
