"""Tables of pandas, polars and PyArrow at every door, and tables out where they are asked for."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn import config_context
from sklearn.base import clone
from small_fits import N, ends_early, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialRegressor,
    TriangularConvexPotentialFlow,
    load,
)

pytestmark = ends_early

SETTINGS = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "n_estimators": 1}
SETTINGS |= {"max_iter": 2, "validation_fraction": 0.0}
CONDITIONAL = ConditionalConvexPotentialFlow(**SETTINGS)
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
on_all = pytest.mark.parametrize("kind", KINDS)


def columns():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, N))
    return {"a": a, "b": b, "y0": a + 0.1 * b**2, "y1": rng.normal(size=N)}


def table(kind, names=("a", "b"), **more):
    return KINDS[kind]({name: columns()[name] for name in names} | more)


def array(*names):
    return np.column_stack([columns()[name] for name in names])


def of_kind(flow, *tables):
    """Return a copy of an estimator fitted to tables."""
    return clone(flow).fit(*tables)


@pytest.fixture(scope="module")
def joint():
    return small(max_iter=2).fit(table("pandas"))


@pytest.fixture(scope="module")
def conditional():
    return of_kind(CONDITIONAL, table("pandas"), table("pandas", ("y0", "y1")))


@pytest.fixture(scope="module")
def triangular():
    flow = TriangularConvexPotentialFlow(leading=small(max_iter=2), following=CONDITIONAL)
    return flow.fit(table("pandas"))


@on_all
def test_a_joint_density_reads_every_kind(kind, joint):
    flow = of_kind(joint, table(kind))
    assert flow.feature_names_in_.tolist() == ["a", "b"]
    expected = joint.score_samples(table("pandas"))
    np.testing.assert_array_equal(flow.score_samples(table(kind)), expected)
    np.testing.assert_array_equal(joint.score_samples(table(kind)), expected)
    Z = flow.transform(table(kind))
    back = flow.inverse_transform(KINDS[kind]({"z0": Z[:, 0], "z1": Z[:, 1]}))
    np.testing.assert_allclose(back, array("a", "b"), atol=1e-8)


@on_all
def test_a_conditional_density_reads_every_kind(kind, conditional):
    X, Y = table(kind), table(kind, ("y0", "y1"))
    flow = of_kind(conditional, X, Y)
    assert flow.feature_names_in_.tolist() == ["a", "b"]
    assert flow.target_names_.tolist() == ["y0", "y1"]
    expected = conditional.score_samples(table("pandas"), array("y0", "y1"))
    np.testing.assert_array_equal(flow.score_samples(X, Y), expected)
    assert flow.sample(X).shape == (N, 1, 2)
    Z = flow.transform(X, Y)
    np.testing.assert_allclose(flow.inverse_transform(X, Z), array("y0", "y1"), atol=1e-8)


@on_all
def test_a_regression_reads_every_kind(kind):
    X, y = table(kind), table(kind, ("y0",))
    r = ConvexPotentialRegressor(**SETTINGS).fit(X, y)
    series = ConvexPotentialRegressor(**SETTINGS).fit(X, y["y0"])
    of_arrays = ConvexPotentialRegressor(**SETTINGS).fit(array("a", "b"), columns()["y0"])
    assert r.target_names_.tolist() == ["y0"]
    np.testing.assert_array_equal(r.predict(X), of_arrays.predict(array("a", "b")))
    np.testing.assert_array_equal(series.predict(X), r.predict(X))
    assert r.score(X, columns()["y0"]) > 0.5
    assert r.sample(X, 2).shape == (N, 2, 1)


@on_all
def test_a_density_in_blocks_reads_every_kind(kind, triangular):
    expected = triangular.score_samples(table("pandas"))
    np.testing.assert_array_equal(triangular.score_samples(table(kind)), expected)
    given = triangular.condition(a=0.5)
    got = given.score_samples(table(kind, ("a", "b")))
    np.testing.assert_array_equal(got, given.score_samples(array("b")))
    with pytest.raises(ValueError, match="none called 'b'"):
        given.score_samples(table(kind, ("a",)))


# Columns that are none of the fit's, or no numbers.


@on_all
def test_columns_in_another_order_or_missing_are_named(kind, joint, conditional):
    with pytest.raises(ValueError, match="same order as they were in fit"):
        joint.score_samples(table(kind, ("b", "a")))
    with pytest.raises(ValueError, match="now missing:\n- b"):
        joint.score_samples(table(kind, ("a",)))
    with pytest.raises(ValueError, match="unseen at fit time:\n- y0"):
        joint.transform(table(kind, ("a", "b", "y0")))
    with pytest.raises(ValueError, match="'y0', 'y1' in this order, as in fit; got 'y1', 'y0'"):
        conditional.score(table(kind), table(kind, ("y1", "y0")))
    Z = np.zeros((2, 2))
    with pytest.raises(ValueError, match="'z0', 'z1' in this order"):
        joint.inverse_transform(KINDS[kind]({"z1": Z[:, 0], "z0": Z[:, 1]}))


DAYS = np.arange(N).astype("datetime64[D]").astype("datetime64[us]")


@on_all
def test_what_is_no_number_is_named_at_every_door(kind, joint, conditional, triangular):
    dates = table(kind, ("a",), b=DAYS)
    said = r"dates or times in column\(s\) 'b'"
    for call in (
        lambda: clone(joint).fit(dates),
        lambda: joint.score(dates),
        lambda: clone(joint).fit(table(kind), validation_data=dates),
        lambda: clone(triangular).fit(dates),
        lambda: clone(conditional).fit(dates, columns()["y0"]),
        lambda: clone(conditional).fit(table(kind, ("a",)), dates),
        lambda: conditional.mean(dates),
        lambda: ConvexPotentialRegressor().fit(dates, columns()["y0"]),
    ):
        with pytest.raises(ValueError, match=said):
            call()


@on_all
def test_text_and_missing_values_are_named_with_their_row(kind, joint, conditional):
    text = ["1.5"] * (N - 1) + ["none"]
    with pytest.raises(ValueError, match=f"'none' in row {N - 1} column 'b'"):
        clone(joint).fit(table(kind, ("a",), b=text))
    with pytest.raises(ValueError, match=r"text in column\(s\) 'b' .such as 'none'"):
        clone(conditional).fit(table(kind, ("a",), b=text), columns()["y0"])
    with pytest.raises(ValueError, match=r"text in column\(s\) 'b' .such as 'none'"):
        ConvexPotentialRegressor().fit(table(kind, ("a",), b=text), columns()["y0"])
    counted = pa.array([None, *range(1, N)])
    made = {"pandas": pd.array([None, *range(1, N)], dtype="Int64"), "polars": pl.Series(counted)}
    with pytest.raises(ValueError, match=r"NaN in 1 of 300 rows .first: row 0 column 'b'"):
        clone(joint).fit(table(kind, ("a",), b=made.get(kind, counted)))


def test_columns_of_one_name_are_refused():
    twice = pd.DataFrame(array("a", "b"), columns=["a", "a"])
    with pytest.raises(ValueError, match="different names; got several of 'a'"):
        small().fit(twice)


# The choice of columns.


@on_all
def test_chosen_columns_are_found_in_larger_tables_in_any_order(kind, tmp_path):
    more = {"day": DAYS, "name": ["star"] * N}
    large, other = table(kind, **more), table(kind, ("y0", "b", "a"), **more)
    flow = small(columns=["b", "a*"], max_iter=2).fit(large)
    assert flow.feature_names_in_.tolist() == ["b", "a"]
    alone = table(kind, ("b", "a"))
    expected = small(max_iter=2).fit(alone).score_samples(alone)
    flow.save(tmp_path / "m")
    for fitted in (flow, load(tmp_path / "m")):
        for rows in (large, other, alone):
            np.testing.assert_array_equal(fitted.score_samples(rows), expected)
    with pytest.raises(ValueError, match="none called 'a'"):
        flow.score(table(kind, ("b",), **more))


def test_chosen_columns_of_a_context_and_of_blocks(tmp_path):
    large = table("polars", ("a", "b", "y0"), name=["star"] * N)
    flow = clone(CONDITIONAL).set_params(columns=["a", "b"]).fit(large, large["y0"])
    assert flow.feature_names_in_.tolist() == ["a", "b"]
    assert flow.score_samples(large, large["y0"]).shape == (N,)
    r = ConvexPotentialRegressor(**SETTINGS, columns=("a",)).fit(large, large["y0"])
    assert r.predict(large).shape == (N,)
    t = TriangularConvexPotentialFlow(
        columns=["?"], leading=small(max_iter=2), following=CONDITIONAL
    )
    expected = t.fit(large).score_samples(large)
    t.save(tmp_path / "m")
    np.testing.assert_allclose(load(tmp_path / "m").score_samples(large), expected, rtol=1e-12)


# Tables out.


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_tables_come_out_where_they_are_asked_for(kind, joint, conditional, triangular):
    X, Y = table("pandas"), array("y0", "y1")
    X.index = np.arange(N) + 5
    with config_context(transform_output=kind):
        results = {
            "transform": joint.transform(X),
            "inverse": joint.inverse_transform(joint.transform(X)),
            "sample": joint.sample(3),
            "blocks": triangular.inverse_transform(triangular.transform(X)),
            "sample of blocks": triangular.sample(3),
            "targets": conditional.inverse_transform(X, conditional.transform(X, Y)),
            "sample of targets": conditional.sample(X[:4], 2),
        }
    names = dict.fromkeys(results, ["a", "b"]) | {"transform": ["z0", "z1"]}
    names |= {"targets": ["y0", "y1"], "sample of targets": ["y0", "y1"]}
    for name, result in results.items():
        assert isinstance(result, KINDS[kind])
        assert list(result.columns) == names[name]
    np.testing.assert_allclose(results["inverse"], X, atol=1e-8)
    np.testing.assert_allclose(results["blocks"], X, atol=1e-8)
    np.testing.assert_allclose(results["targets"], Y, atol=1e-8)
    np.testing.assert_array_equal(results["sample"], joint.sample(3))
    drawn = conditional.sample(X[:4], 2)
    np.testing.assert_array_equal(results["sample of targets"], drawn.reshape(8, 2))
    if kind == "pandas":
        for name in ("transform", "inverse", "blocks", "targets"):
            assert results[name].index.tolist() == X.index.tolist()


def test_an_estimator_remembers_what_is_asked_of_it(joint):
    flow = clone(joint).set_output(transform="polars").fit(table("pandas"))
    assert isinstance(flow.sample(2), pl.DataFrame)
    assert isinstance(joint.sample(2), np.ndarray)
