"""What is asked in another way than was meant: taken for what it is, or refused in words."""

import numpy as np
import pandas as pd
import pytest
from small_fits import ends_early, rows, small

import brenier
from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
)
from brenier.data.circles import periodic_columns

pytestmark = ends_early


@pytest.fixture(scope="module")
def model():
    return small().fit(rows())


def test_one_column_is_a_list_of_one(model):
    for column in (0, "x0", np.int64(0)):
        assert model.marginal(column).columns == ["x0"]
    for wrong in (7, "z", None, {}):
        with pytest.raises(ValueError, match="Expected a list of columns"):
            model.marginal(wrong)


def test_values_are_a_mapping(model):
    for wrong in ("x0", 0, ["x0"]):
        with pytest.raises(ValueError, match="Expected values as a mapping of columns"):
            model.condition(wrong)


def test_models_to_compare_are_densities(model):
    for wrong in ("model.brenier", 3):
        with pytest.raises(ValueError, match=r"fitted densities to compare; got .* brenier.load"):
            brenier.compare([model, wrong], rows())
    with pytest.raises(ValueError, match="two models or more"):
        brenier.compare(model, rows())


def test_references_need_rows(model):
    with pytest.raises(ValueError, match="more than 4 rows as train.*got 1"):
        model.diagnose(rows(), train=rows()[:1])


def test_periods_in_arrays_and_twice():
    names = ["a", "b"]
    assert periodic_columns({"a": np.array([0.0, 2.0])}, names) == {0: (0.0, 2.0)}
    assert periodic_columns({1: np.float64(3.0)}, names) == {1: (0.0, 3.0)}
    assert periodic_columns({1: np.array(3.0)}, names) == {1: (0.0, 3.0)}
    with pytest.raises(ValueError, match="one period of 'a'; got two"):
        periodic_columns({"a": 1.0, 0: 2.0}, names)


def test_draws_given_leading_blocks_are_tables_where_asked_for():
    part = {"widths": (3,), "n_estimators": 1, "max_iter": 3, "decay": 1e-2}
    leading = ConvexPotentialFlow(n_radial=0, noise=0.0, **part)
    following = ConditionalConvexPotentialFlow(context_widths=(3,), **part)
    blocks = TriangularConvexPotentialFlow(leading=leading, following=following).fit(rows())
    given = blocks.condition({"x0": 0.1})
    plain = given.sample(4)
    blocks.set_output(transform="pandas")
    table = given.sample(4)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["x1"]
    np.testing.assert_array_equal(table.to_numpy(), plain)
    assert given.mean().shape == (1,)
