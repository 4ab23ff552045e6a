"""Tables of three libraries as numbers, and the choice of columns by name."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from brenier.data.names import checked_columns
from brenier.data.tables import check_kinds, chosen, columns_of, frame_of, names_of, numbers

A = [0.5, 1.5, 2.5]
MAKE = {
    "pandas": pd.DataFrame,
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "pyarrow": pa.table,
    "record batch": lambda columns: pa.RecordBatch.from_pydict(columns),
}
on_all = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def read(table):
    frame = frame_of(table)
    check_kinds(frame.columns, frame.names)
    return numbers(frame.columns, frame.names)


@on_all
def test_numbers_are_read_and_missing_ones_are_nan(make):
    table = make(
        {
            "a": A,
            "whole": [1, None, 3],
            "truth": [True, False, None],
            "decimal": [decimal.Decimal("0.5"), None, decimal.Decimal(2)],
        }
    )
    nan = np.nan
    expected = [[0.5, 1, 1, 0.5], [1.5, nan, 0, nan], [2.5, 3, nan, 2]]
    np.testing.assert_array_equal(read(table), expected)
    assert names_of(table) == ["a", "whole", "truth", "decimal"]


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "Float64", "int64[pyarrow]", "boolean"])
def test_types_of_pandas_that_may_be_missing_are_read(dtype):
    table = pd.DataFrame({"a": A, "b": pd.array([1, 0, 1], dtype=dtype)})
    np.testing.assert_array_equal(read(table)[:, 1], [1, 0, 1])
    table = pd.DataFrame({"b": pd.array([1, None, 1], dtype=dtype)})
    np.testing.assert_array_equal(read(table)[:, 0], [1, np.nan, 1])


DAY = datetime.datetime(2021, 3, 1)
OTHERS = {
    "date": ([DAY.date()] * 3, "date"),
    "time": ([DAY] * 3, "dates or times in column.*days since the first"),
    "length of time": ([DAY - DAY] * 3, "dates or times"),
    "list": ([[1.0], [2.0], [3.0]], "list"),
}


@on_all
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_number_is_named_by_its_column(make, kind):
    cells, said = OTHERS[kind]
    with pytest.raises(ValueError, match=f"(?=.*'b'.*){'.*'}{said}"):
        read(make({"a": A, "b": cells}))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": A, "b": pd.Categorical(["u", "v", "u"])}),
        pd.DataFrame({"a": A, "b": pd.Categorical([1, 2, 1])}),
        pl.DataFrame({"a": A, "b": pl.Series(["u", "v", "u"], dtype=pl.Categorical)}),
        pl.DataFrame({"a": A, "b": pl.Series(["u", "v", "u"], dtype=pl.Enum(["u", "v"]))}),
        pa.table({"a": A, "b": pa.array(["u", "v", "u"]).dictionary_encode()}),
    ],
)
def test_categories_are_named_with_their_remedy(table):
    with pytest.raises(ValueError, match=r"got categories in column\(s\) 'b'.*get_dummies"):
        read(table)


def test_other_types_of_pandas_are_named():
    for cells, said in (
        (pd.period_range("2021-03", periods=3, freq="M"), "dates or times"),
        (np.array(A) * 1j, "complex numbers"),
        (pd.to_datetime([DAY] * 3).tz_localize("UTC"), "dates or times"),
        (pd.array([DAY] * 3, dtype="timestamp[us][pyarrow]"), "dates or times"),
    ):
        with pytest.raises(ValueError, match=rf"{said} in column\(s\) 'b'"):
            read(pd.DataFrame({"a": A, "b": cells}))


def test_rows_that_are_not_there_yet_are_asked_for():
    with pytest.raises(ValueError, match=r"LazyFrame. Call its .collect"):
        frame_of(pl.DataFrame({"a": A}).lazy())


def test_arrays_and_lists_are_no_tables():
    for other in (np.zeros((3, 2)), [[1.0, 2.0]], pd.Series(A), None):
        assert frame_of(other) is None
    assert columns_of(np.zeros(3)) is None
    assert len(columns_of(pd.Series(A))) == len(columns_of(pa.chunked_array([A]))) == 1


# The choice of columns.


@on_all
def test_columns_are_chosen_by_names_and_patterns(make):
    table = make({"b2": A, "name": ["u", "v", "w"], "a": A, "b1": A, "b10": A})
    assert names_of(chosen(table, ["a", "b?"])) == ["a", "b2", "b1"]
    assert names_of(chosen(table, ["b*", "b1"])) == ["b2", "b1", "b10"]
    assert read(chosen(table, ["a"])).shape == (3, 1)
    with pytest.raises(ValueError, match="'name2', which is none of them. Did you mean 'name'"):
        chosen(table, ["name2"])


@pytest.mark.parametrize("columns", ["ab", [], [1], ["a", None]])
def test_a_choice_is_a_list_of_names(columns):
    with pytest.raises(ValueError, match="Expected columns as a list of names"):
        checked_columns(columns)


def test_arrays_have_no_columns_to_choose():
    with pytest.raises(ValueError, match=r"named columns.*got ndarray"):
        chosen(np.zeros((3, 2)), ["a"])
