"""Fitted densities given values, and without columns: against quadrature of the model itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import simpson
from small_fits import ends_early, rows, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    ConvexPotentialMixture,
    TriangularConvexPotentialFlow,
)
from brenier.status import InputWarning

pytestmark = ends_early
# What is promised of quadrature (nats), and what SciPy's leaves of the same integral.
EXACT = 1e-6
MIXTURE = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 10, "decay": 1e-2}
PART = {"widths": (3,), "n_estimators": 1, "max_iter": 10, "validation_fraction": 0.0}
NAMES = ["a", "b", "c"]


def table(n_columns=3, N=300, seed=0):
    """Return a bent shape with names, its second column above zero."""
    z = np.random.default_rng(seed).normal(size=(N, n_columns))
    z[:, 1] = np.exp(0.4 * z[:, 1] + 0.3 * z[:, 0])
    if n_columns > 2:
        z[:, 2] += 0.5 * z[:, 0] ** 2
    return pd.DataFrame(z, columns=[*NAMES, "d", "e"][:n_columns])


@pytest.fixture(scope="module")
def bounded():
    return fitted(small(bounds={"b": (0, None)}), 3)


@pytest.fixture(scope="module")
def of_five():
    return fitted(small(), 5)


@pytest.fixture(scope="module")
def triangular():
    following = ConditionalConvexPotentialFlow(context_widths=(3,), n_gates=1, **PART)
    leading = ConvexPotentialFlow(n_radial=0, **PART)
    return fitted(
        TriangularConvexPotentialFlow([["a"], ["b", "c"]], leading=leading, following=following), 3
    )


def fitted(estimator, n_columns):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        return estimator.fit(table(n_columns))


def line(flow, given, free, points):
    """Return a flow's density at points of a free column, the others given."""
    rows = pd.DataFrame({**given, free: points})[list(flow.feature_names_in_)]
    return np.exp(flow.score_samples(rows))


def mass(flow, given, free):
    """Return the integral over a free column: the trapezoidal rule is exact for smooth functions.

    Over the logarithm of one that is above zero.
    """
    points = np.linspace(-10, 12, 1001)
    if free == "b":
        return np.trapezoid(line(flow, given, free, np.exp(points)) * np.exp(points), points)
    return np.trapezoid(line(flow, given, free, points), points)


@pytest.mark.parametrize("free", NAMES)
def test_one_free_column_is_exact(bounded, free):
    X = table(seed=1)
    for row in (X.iloc[0], X.mean() + 2 * X.std()):
        given = {name: float(row[name]) for name in NAMES if name != free}
        density = bounded.condition(given)
        assert (density.columns, density.given) == ([free], given)
        known = np.log(mass(bounded, given, free))
        assert density.log_density_of_given == pytest.approx(known, abs=EXACT)
        assert (density.standard_error, density.effective_size) == (0.0, np.inf)
        at = pd.DataFrame([{**given, free: 0.7}])[NAMES]
        expected = bounded.score_samples(at) - known
        np.testing.assert_allclose(density.log_density([0.7]), expected, atol=EXACT)
        low, median = density.quantile([0.1, 0.5])
        between = np.linspace(low, median, 1001)
        below = simpson(np.exp(density.log_density(between)), x=between)
        assert below == pytest.approx(0.4, abs=EXACT)
        assert density.quantile(0.5) == pytest.approx(median, rel=1e-9)
        drawn = density.sample(400, random_state=0)
        assert np.mean(drawn[:, 0] < median) == pytest.approx(0.5, abs=0.1)
        assert density.mean()[0] == pytest.approx(drawn.mean(), abs=0.25)


def test_two_free_columns_are_exact(bounded):
    density = bounded.condition(a=0.4)

    of_b = np.linspace(-4, 3, 61)
    masses = np.array([mass(bounded, {"a": 0.4, "b": b}, "c") for b in np.exp(of_b)])
    known = np.trapezoid(masses * np.exp(of_b), of_b)
    assert density.log_density_of_given == pytest.approx(np.log(known), abs=EXACT)
    of_b = bounded.marginal(["a", "b"])
    grid = np.array([[0.4, b] for b in (0.5, 1.0, 2.0)])
    both = of_b.log_density(grid) - density.log_density_of_given
    inner = [mass(bounded, {"a": 0.4, "b": b}, "c") for _, b in grid]
    np.testing.assert_allclose(both, np.log(inner) - np.log(known), atol=EXACT)
    drawn = density.sample(200, random_state=0)
    assert drawn.shape == (200, 2)
    assert (drawn[:, 0] > 0).all()
    np.testing.assert_allclose(density.mean(), drawn.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(density.quantile(0.5), np.median(drawn, axis=0), atol=0.3)


def test_more_free_columns_come_with_an_error(of_five):
    exact = of_five.marginal(["a", "b"])
    density = of_five.condition({"a": 0.3})
    assert density.columns == ["b", "c", "d", "e"]
    assert 0 < density.standard_error < 0.02
    assert density.effective_size > 2000
    row = pd.DataFrame([[0.3, 1.1]], columns=["a", "b"])
    values, errors = exact.log_density(row, return_error=True)
    assert 0 < errors[0] < 0.1
    # p(b | a) by both ways: over the other three, at b.
    of_b = of_five.condition(a=0.3, b=1.1).log_density_of_given
    assert values[0] == pytest.approx(of_b, abs=5 * errors[0])
    drawn = density.sample(300, random_state=1)
    np.testing.assert_array_equal(drawn, density.sample(300, random_state=1))
    assert len(np.unique(drawn, axis=0)) == 300
    again = of_five.condition({0: 0.3})
    assert again.log_density_of_given == density.log_density_of_given


def test_marginals_of_two_columns():
    flow = small().fit(rows())
    marginal = flow.marginal([1])
    assert marginal.columns == ["x1"]
    at = np.array([-0.5, 0.2])
    x = np.linspace(-10, 10, 4001)
    for value, t in zip(marginal.log_density(at), at, strict=True):
        density = np.exp(flow.score_samples(np.column_stack([x, np.full(len(x), t)])))
        assert value == pytest.approx(np.log(np.trapezoid(density, x)), abs=EXACT)
    drawn = marginal.sample(2000, random_state=0)
    np.testing.assert_array_equal(drawn[:, 0], flow.sample(2000, random_state=0)[:, 1])
    assert marginal.mean()[0] == pytest.approx(drawn.mean(), abs=0.1)
    assert marginal.quantile(0.9) == pytest.approx(np.quantile(drawn, 0.9), abs=0.15)
    both = flow.marginal(["x1", "x0"])
    np.testing.assert_allclose(both.log_density(rows()[:, ::-1]), flow.score_samples(rows()))


def test_missing_cells_are_integrated_out_on_request(bounded):
    X = table(seed=2, N=12)
    whole = bounded.score_samples(X)
    X.iloc[0, 1] = X.iloc[1, 2] = np.nan
    X.iloc[2, 1:] = X.iloc[3] = np.nan
    X.iloc[4, 2], X.iloc[4, 1] = np.nan, -1.0
    found = bounded.score_samples(X, integrate_missing=True)
    np.testing.assert_allclose(found[5:], whole[5:], rtol=1e-12)
    for k, columns in enumerate((["a", "c"], ["a", "b"], ["a"])):
        expected = bounded.marginal(columns).log_density(X[columns].iloc[[k]])
        assert found[k] == pytest.approx(expected[0], abs=EXACT)
    assert (found[3], found[4]) == (0.0, -np.inf)
    baseline = bounded.baseline_score_samples(X, integrate_missing=True)
    assert np.isfinite(baseline[:4]).all()
    assert baseline[3] == 0.0
    with pytest.raises(ValueError, match=r"row 0 column 'b'.* with integrate_missing=True"):
        bounded.score_samples(X)
    X.iloc[6, 0] = np.inf
    with pytest.raises(ValueError, match="got infinity in 1 of 12 rows"):
        bounded.score_samples(X, integrate_missing=True)


@pytest.mark.filterwarnings("ignore:.* lie far outside the training rows")
def test_triangular_density_given_any_columns(triangular):
    leading = triangular.condition(a=0.4)
    assert leading.given == {"a": 0.4}
    assert (leading.standard_error, leading.effective_size) == (0.0, np.inf)
    known = triangular.flows_[0].score_samples(pd.DataFrame({"a": [0.4]}))[0]
    assert leading.log_density_of_given == pytest.approx(known, rel=1e-9)
    np.testing.assert_array_equal(
        leading.log_density([[1.0, 0.5]]), leading.score_samples([[1.0, 0.5]])
    )
    given = {"b": 1.2, "c": 0.3}
    density = triangular.condition(given)
    assert density.columns == ["a"]
    assert density.log_density_of_given == pytest.approx(
        np.log(mass(triangular, given, "a")), abs=1e-4
    )
    assert triangular.marginal([0]).log_density([0.4])[0] == pytest.approx(known, abs=1e-6)
    X = table(seed=3, N=6)
    X.iloc[0, 0] = np.nan
    found = triangular.score_samples(X, integrate_missing=True)
    of_rest = triangular.marginal(["b", "c"]).log_density(X[["b", "c"]].iloc[:1])
    assert found[0] == pytest.approx(of_rest[0], abs=EXACT)


def test_exact_means_of_a_triangular_density_given_leading_blocks(triangular):
    leading = triangular.condition(a=0.4)
    drawn = leading.sample(4000, random_state=0)
    np.testing.assert_allclose(leading.mean(), drawn.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(leading.quantile(0.5), np.median(drawn, axis=0), atol=0.1)


def test_mixture_in_two_pieces_given_a_value():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) + [30.0, 0.0]])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        mixture = ConvexPotentialMixture(**MIXTURE).fit(rng.permutation(X))
    density = mixture.condition({1: 0.0})
    drawn = density.sample(500, random_state=0)[:, 0]
    assert np.mean(drawn > 15) == pytest.approx(1 / 3, abs=0.1)
    at = np.array([0.0, 30.0])
    expected = mixture.score_samples(np.column_stack([at, 0 * at])) - density.log_density_of_given
    np.testing.assert_allclose(density.log_density(at), expected)
    x = np.linspace(-20, 50, 35_001)
    along = np.exp(mixture.score_samples(np.column_stack([x, 0 * x])))
    assert density.log_density_of_given == pytest.approx(np.log(np.trapezoid(along, x)), abs=EXACT)
    between = np.where((x > 5) & (x < 25), along, 0.0)
    share = np.trapezoid(between, x) / np.trapezoid(along, x)
    # Next to nothing, and of the draws as much.
    assert share < 3e-3
    error = np.sqrt(share / len(drawn))
    assert np.mean((drawn > 5) & (drawn < 25)) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"A": 0.0}, r"values of columns of the table \('a', 'b', 'c'\); got 'A'. Did you mean"),
        ({3: 0.0}, "got 3"),
        ({}, "Expected values of some columns .* got values of none"),
        ({"a": 0, "b": 1, "c": 0}, "with one free at least"),
        ({"a": "0"}, "Expected a finite number as the value of 'a'; got '0'"),
        ({"a": np.nan}, "Expected a finite number"),
        ({"b": -1.0}, r"a value of 'b' strictly inside its bounds, \(0, inf\); got -1"),
        ({"a": 0.0, 0: 1.0}, "different columns"),
        ({"a": 1e9}, "where it is zero to every digit"),
    ],
)
@pytest.mark.filterwarnings("ignore:Expected given values near")
def test_values_that_cannot_be_given(bounded, values, message):
    with pytest.raises(ValueError, match=message):
        bounded.condition(values)


def test_values_far_from_the_data_are_warned_of(bounded):
    with pytest.warns(InputWarning, match=r"got a = 9, c = 0, far from all 4096 draws"):
        bounded.condition(a=9.0, c=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bounded.condition(a=2.0, c=2.0)


def test_wrong_rows_levels_and_columns(bounded):
    density = bounded.condition(a=0.1, b=1.0)
    with pytest.raises(ValueError, match=r"rows of the 1 column 'c'; got .* \(2, 2\)"):
        density.log_density(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="between 0 and 1; got 1.0"):
        density.quantile(1.0)
    with pytest.raises(ValueError, match="n_samples"):
        density.sample(0)
    with pytest.raises(ValueError, match="Expected a list of columns"):
        bounded.marginal("nothing")
    with pytest.raises(ValueError, match="Expected a list of columns"):
        bounded.marginal([])
    with pytest.raises(ValueError, match="a list of columns of the table .* got 'z'"):
        bounded.marginal(["z"])
    assert bounded.marginal(["b"]).log_density([-1.0])[0] == -np.inf


def test_a_density_that_is_not_fitted_is_asked_nothing():
    flow = small()
    for call in (lambda: flow.condition({0: 1.0}), lambda: flow.marginal([0])):
        with pytest.raises(ValueError, match="not fitted"):
            call()
