"""Parquet files of a folder, or of a pattern, are one table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from table_files import refusal

from brenier.io import folder
from brenier.io.columns import Columns
from brenier.io.table import TableError, read_pieces, read_table


def write(folder, name, **columns):
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(columns).write_parquet(folder / name)


@pytest.fixture
def draws(tmp_path):
    """Three files, the columns of the second in another order, and what Spark leaves besides."""
    folder = tmp_path / "draws"
    write(folder, "b.parquet", y=[30.0, 40.0], x=[3.0, 4.0])
    write(folder, "a.parquet", x=[1.0, 2.0], y=[10.0, 20.0])
    write(folder / "more", "c.parquet", x=[5], y=[50])
    (folder / "_SUCCESS").touch()
    (folder / ".c.parquet.crc").write_bytes(b"crc")
    return folder


def test_rows_come_in_the_order_of_the_files_names(draws):
    table = read_table(draws)
    assert table.columns == ("x", "y")
    expected = np.column_stack([np.arange(1.0, 6.0), np.arange(10.0, 60.0, 10.0)])
    np.testing.assert_array_equal(table.values, expected)


def test_only_the_columns_asked_for_are_read(draws):
    table = read_table(draws, columns=Columns(keep=("y",)))
    assert table.columns == ("y",)
    np.testing.assert_array_equal(table.values[:, 0], np.arange(10.0, 60.0, 10.0))
    assert "none of 'x', 'y'" in refusal(draws, columns=Columns(keep=("z",)))


def test_a_pattern_names_some(draws):
    assert read_table(draws / "[ab].parquet").values.shape == (4, 2)
    assert read_table(draws / "**" / "*.parquet").values.shape == (5, 2)
    assert "got none. Check the pattern" in refusal(draws / "d*.parquet")
    # A file of that very name is meant itself.
    write(draws, "[ab].parquet", z=[7.0])
    assert read_table(draws / "[ab].parquet").columns == ("z",)


def test_files_that_pandas_writes_for_each_value(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]})
    for k, part in frame.groupby("x"):
        (tmp_path / f"k={k}").mkdir()
        part.to_parquet(tmp_path / f"k={k}" / "0.parquet")
    np.testing.assert_array_equal(read_table(tmp_path).values, frame.to_numpy())


def test_values_that_are_missing_are_counted_over_all_files(draws):
    write(draws, "d.parquet", x=[None, 1.0], y=[1.0, None])
    assert "2 missing (empty or NaN) in 2 of 7 rows" in refusal(draws)


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ({"x": [1.0]}, "got no 'y'"),
        ({"x": [1.0], "y": [1.0], "z": [1.0]}, "got also 'z'"),
        ({"x": [1.0], "y": ["a"]}, "column 'y' of String"),
    ],
)
def test_files_of_other_columns_are_named(draws, columns, part):
    write(draws, "d.parquet", **columns)
    message = refusal(draws)
    assert part in message
    assert "d.parquet" in message


def test_other_files_are_named(draws, tmp_path):
    (draws / "notes.txt").write_text("x,y\n1,2\n")
    assert "notes.txt. Move it elsewhere" in refusal(draws)
    (tmp_path / "empty").mkdir()
    assert "Expected Parquet files in the folder" in refusal(tmp_path / "empty")
    write(tmp_path / "no rows", "a.parquet", x=pl.Series([], dtype=pl.Float64))
    assert "got 0 rows in 1 file" in refusal(tmp_path / "no rows")
    with pytest.raises(TableError, match="got 0 rows in 1 file. Give some with data"):
        next(read_pieces(tmp_path / "no rows" / "a.parquet"))


def test_damaged_files_are_named(draws):
    whole = (draws / "b.parquet").read_bytes()
    (draws / "b.parquet").write_bytes(whole[: len(whole) // 2])
    assert "b.parquet" in refusal(draws)


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_pieces_are_the_table(draws, rows, monkeypatch):
    monkeypatch.setattr(folder, "PIECE_BYTES", 16 * rows)
    pieces = list(read_pieces(draws))
    assert [piece.first for piece in pieces] == list(range(0, 5, rows))
    assert all(len(piece.values) == rows for piece in pieces[:-1])
    values = np.concatenate([piece.values for piece in pieces])
    np.testing.assert_array_equal(values, read_table(draws).values)


def test_other_files_are_one_piece(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,\n")
    (piece,) = read_pieces(tmp_path / "a.csv")
    assert piece.columns == ("x", "y")
    np.testing.assert_array_equal(piece.values, [[1, 2], [3, np.nan]])
