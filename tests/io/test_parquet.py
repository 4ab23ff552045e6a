"""Parquet files: columns of numbers and booleans are read, whatever their types, others refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from table_files import parquet, refusal, save

from brenier.io.parquet import COLUMNS, ROWS
from brenier.io.table import read_table


def test_missing_values_of_any_type(tmp_path):
    frame = pl.DataFrame({"a": [1.0, None], "b": [True, None], "c": [None, None]})
    path = save(tmp_path, parquet(frame), "a.parquet")
    assert "4 missing (empty or NaN) in 2 of 2 rows: row 1, column 'c'" in refusal(path)
    nan = np.nan
    got = read_table(path, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, 1, nan], [nan, nan, nan]])


def test_integers_and_booleans_become_float64(tmp_path):
    frame = pl.DataFrame({"i": [1, 2], "b": [True, False], "f": [0.5, 1.5]})
    frame = frame.with_columns(
        pl.col("i").cast(pl.UInt8), d=pl.Series(["1.25", "2"]).cast(pl.Decimal(5, 2))
    )
    table = read_table(save(tmp_path, parquet(frame), "a.parquet"))
    assert table.columns == ("i", "b", "f", "d")
    np.testing.assert_array_equal(table.values, [[1, 1, 0.5, 1.25], [2, 0, 1.5, 2]])


@pytest.mark.parametrize("group", [1000, ROWS])
def test_tables_of_more_rows_and_columns_than_are_read_together(tmp_path, group):
    n = COLUMNS + 1
    values = np.random.default_rng(0).normal(size=(ROWS + 10, 1)) * np.arange(1.0, n + 1)
    frame = pl.from_numpy(values, schema=[f"x{j}" for j in range(n)])
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=group)
    np.testing.assert_array_equal(read_table(tmp_path / "a.parquet").values, values)


def test_parquet_without_rows_or_columns(tmp_path):
    frame = pl.DataFrame({"a": [1.0]})
    assert "got 0 rows and 1 column." in refusal(
        save(tmp_path, parquet(frame.clear()), "a.parquet")
    )
    assert "got 0 rows and 0 columns." in refusal(
        save(tmp_path, parquet(pl.DataFrame()), "a.parquet")
    )


PARQUET = parquet(pl.DataFrame({"a": [1.0, 2.0]}))


@pytest.mark.parametrize("content", [PARQUET[:-5], PARQUET[:20], b"PAR1" + bytes(40)])
def test_corrupt_parquet(tmp_path, content):
    assert "a Parquet table" in refusal(save(tmp_path, content, "a.parquet"))


@pytest.mark.parametrize(
    "column",
    [["x"], [b"x"], [[1.0]], [{"k": 1}], [pd.Timestamp("2020-01-01")]],
    ids=["text", "bytes", "list", "struct", "date"],
)
def test_parquet_columns_that_are_no_numbers(tmp_path, column):
    path = save(tmp_path, parquet(pl.DataFrame({"a": [1.0], "b": column})), "a.parquet")
    message = refusal(path)
    assert "got column 'b' of " in message
    assert "'a'" not in message
