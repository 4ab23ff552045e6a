"""Data files: values survive every format exactly, and every bad file is refused with a remedy."""

import errno
import gzip
import io
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from table_files import RELAXED, SUFFIXES, VALUES, npy, refusal, save

from brenier.io.table import (
    Table,
    TableError,
    check_finite,
    read_table,
    select_columns,
    write_table,
)

NAMED = [suffix for suffix in SUFFIXES if suffix != ".npy"]


# What is written is what is read.


@pytest.mark.parametrize("suffix", NAMED)
def test_values_and_names_come_back(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    write_table(path, VALUES, ["mass", "a name, with \"signs\";\tand 'more'"])
    table = read_table(path)
    assert table.columns == ("mass", "a name, with \"signs\";\tand 'more'")
    assert table.values.tobytes() == VALUES.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tables_are_float64_in_c_order_with_default_names(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    write_table(path, np.asfortranarray(np.arange(6, dtype=np.int16).reshape(3, 2)))
    table = read_table(path)
    assert table.values.dtype == np.float64
    assert table.values.flags.c_contiguous
    assert table.columns == (None if suffix == ".npy" else ("x0", "x1"))
    np.testing.assert_array_equal(table.values, np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_float64_comes_back_exactly(tmp_path_factory, suffix):
    path = tmp_path_factory.mktemp("round") / f"data{suffix}"

    @RELAXED
    @given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats()))
    def check(values):
        write_table(path, values)
        got = read_table(path, allow_missing=True).values
        np.testing.assert_array_equal(got, values)
        # Equality takes 0 for -0; the payload of a NaN is no value.
        numbers = ~np.isnan(values)
        np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(values[numbers]))

    check()


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda text: "n" + text.strip()
)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_every_name_comes_back_exactly(tmp_path_factory, suffix):
    path = tmp_path_factory.mktemp("names") / f"data{suffix}"

    @RELAXED
    @given(st.lists(names, min_size=1, max_size=4, unique=True))
    def check(columns):
        write_table(path, np.ones((1, len(columns))), columns)
        assert read_table(path).columns == tuple(columns)

    check()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_table_gives_the_same_bytes(tmp_path, suffix, monkeypatch):
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    write_table(first, VALUES)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_table(second, VALUES)
    assert first.read_bytes() == second.read_bytes()


def test_one_dimension_is_one_column(tmp_path):
    write_table(tmp_path / "a.csv", np.arange(3), ["log_density"])
    assert (tmp_path / "a.csv").read_text() == "log_density\n0.0\n1.0\n2.0\n"
    (tmp_path / "a.npy").write_bytes(npy(np.arange(3)))
    np.testing.assert_array_equal(read_table(tmp_path / "a.npy").values, [[0.0], [1.0], [2.0]])


def test_suffixes_in_any_case(tmp_path):
    write_table(tmp_path / "A.CSV.GZ", VALUES)
    assert gzip.decompress((tmp_path / "A.CSV.GZ").read_bytes()).startswith(b"x0,x1\n")
    np.testing.assert_array_equal(read_table(tmp_path / "A.CSV.GZ").values, VALUES)


def test_dots_in_a_file_name_are_no_suffixes(tmp_path):
    write_table(tmp_path / "run.v1.5.csv", VALUES)
    np.testing.assert_array_equal(read_table(tmp_path / "run.v1.5.csv").values, VALUES)


def test_standard_streams_are_csv(monkeypatch, capfdbinary):
    write_table("-", VALUES, ["a", "b"])
    written = capfdbinary.readouterr().out
    assert written.startswith(b"a,b\n1.0,-2.5\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(written)))
    table = read_table("-")
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, VALUES)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nx\n")))
    with pytest.raises(TableError, match="in standard input; got text"):
        read_table("-")


def test_files_of_pandas(tmp_path):
    frame = pd.DataFrame(VALUES, columns=["a", "b"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        table = read_table(tmp_path / name)
        assert table.columns == ("a", "b")
        np.testing.assert_array_equal(table.values, VALUES)
    frame.to_csv(tmp_path / "a.csv")
    assert "index=False" in refusal(tmp_path / "a.csv")
    pd.DataFrame(VALUES).to_csv(tmp_path / "a.csv", index=False)
    assert "'0,1', which can be either" in refusal(tmp_path / "a.csv")


def test_importing_tables_does_not_import_the_slow_libraries():
    code = "import sys, brenier.io.table; print({'polars', 'jax', 'jaxtyping'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# Missing and infinite values.


def test_missing_and_infinite_values_are_counted_and_placed(tmp_path):
    path = save(tmp_path, "a,b\n1,inf\n2,3\n,-Infinity\n1e999,4\n")
    message = refusal(path)
    assert "1 missing (empty or NaN) and 3 infinite in 3 of 4 rows" in message
    assert "row 1, column 'b'; row 3, column 'a'; row 3, column 'b'; row 4, column 'a'." in message
    got = read_table(path, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, np.inf], [2, 3], [np.nan, -np.inf], [np.inf, 4]])


def test_finite_numbers_may_have_a_sum_that_is_not(tmp_path):
    values = np.full((3, 2), np.finfo(float).max)
    check_finite(Table(None, values), "a table")
    values[1] = np.inf, -np.inf
    with pytest.raises(TableError, match="2 infinite in 1 of 3 rows: row 2, column 1"):
        check_finite(Table(None, values), "a table")


def test_only_the_first_places_are_listed():
    table = Table(("a",), np.full((9, 1), np.nan))
    with pytest.raises(TableError) as caught:
        check_finite(table, "here")
    assert str(caught.value) == (
        "Expected finite numbers in here; got 9 missing (empty or NaN) in 9 of 9 rows: "
        "row 1, column 'a'; row 2, column 'a'; row 3, column 'a'; row 4, column 'a'; "
        "row 5, column 'a'; and 4 more. Remove these rows, fill the values in, or give "
        "--drop-missing."
    )
    check_finite(Table(("a",), np.zeros((9, 1))), "here")


# Files that are no tables.


def test_missing_file(tmp_path):
    assert "got nothing at" in refusal(tmp_path / "none.csv")


def test_path_below_a_file(tmp_path):
    assert "got nothing at" in refusal(save(tmp_path, "a\n1\n") / "below.csv")


def test_unreadable_file(tmp_path, monkeypatch):
    def fail(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = save(tmp_path, "a\n1\n")
    monkeypatch.setattr(os, "open", fail)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.npy.gz", "a.xlsx", ".csv"])
def test_unknown_suffixes(tmp_path, name):
    with pytest.raises(TableError, match="file name ending in") as caught:
        write_table(tmp_path / name, VALUES)
    for suffix in SUFFIXES:
        assert suffix in str(caught.value)
    np.testing.assert_array_equal(read_table(save(tmp_path, "a\n1\n", name)).values, [[1.0]])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file(tmp_path, suffix):
    assert "an empty file" in refusal(save(tmp_path, b"", f"a{suffix}"))


@pytest.mark.parametrize("content", ["\n \r\n\n", "\ufeff", "\ufeff\n"])
def test_files_of_blanks_are_empty(tmp_path, content):
    assert "an empty file" in refusal(save(tmp_path, content))


def test_empty_gzip_content(tmp_path):
    assert "an empty file" in refusal(save(tmp_path, gzip.compress(b""), "a.csv.gz"))


ZIPPED = gzip.compress(b"a\n1\n" * 100, mtime=0)


@pytest.mark.parametrize(
    "content",
    [ZIPPED[:-9], ZIPPED[:-8] + bytes(8), ZIPPED[:10] + b"junk", ZIPPED + b"x"],
)
def test_corrupt_gzip(tmp_path, content):
    assert "a gzip file" in refusal(save(tmp_path, content, "a.csv.gz"))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.npy", "a.parquet"])
def test_any_bytes_give_a_table_or_a_refusal(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("bytes") / name
    csv_like = st.text('ab1.,"\n\r \té', max_size=30).map(str.encode)

    @RELAXED
    @given(st.binary(max_size=60) | csv_like)
    def check(content):
        path.write_bytes(content)
        try:
            table = read_table(path, allow_missing=True)
        except TableError:
            return
        assert table.values.dtype == np.float64
        assert table.values.shape[1] == len(table.columns or ())

    check()


# Writing.


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\)"),
        (np.array([["a"]]), "dtype <U1"),
        (np.zeros((2, 2), complex), "dtype complex128"),
    ],
)
def test_values_that_are_no_table(tmp_path, values, got):
    with pytest.raises(TableError, match=f"values to write to .*a.csv.*; got {got}"):
        write_table(tmp_path / "a.csv", values)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("columns", "got"),
    [
        (["a"], "got 1: 'a'"),
        (["a", "b", "c"], "got 3: 'a', 'b', 'c'"),
        (["a", "a"], "got 'a' more than once"),
        (["a", ""], "got an empty one for column 2"),
    ],
)
def test_names_that_do_not_fit(tmp_path, suffix, columns, got):
    with pytest.raises(TableError, match=got):
        write_table(tmp_path / f"a{suffix}", VALUES, columns)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    write_table(path, VALUES)
    before = path.read_bytes()

    def no_space(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_table(path, VALUES + 1)
    assert caught.value.errno == errno.ENOSPC
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_writing_below_a_file(tmp_path):
    path = save(tmp_path, "a\n1\n")
    with pytest.raises(OSError, match="Not a directory"):
        write_table(path / "below.csv", VALUES)
    assert path.read_text() == "a\n1\n"


# The columns a model wants.


TABLE = Table(("a", "b", "c"), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


def test_columns_in_order_are_left_alone():
    assert select_columns(TABLE, ["a", "b", "c"], where="here") == (TABLE, False)


@given(st.permutations("abc"))
def test_columns_are_put_in_order(names):
    table, moved = select_columns(TABLE, names, where="here")
    assert table.columns == tuple(names)
    assert moved == (names != ["a", "b", "c"])
    assert table.values.flags.c_contiguous
    for j, name in enumerate(names):
        np.testing.assert_array_equal(table.values[:, j], TABLE.values[:, "abc".index(name)])


@pytest.mark.parametrize(
    ("names", "got", "remedy"),
    [
        ("abcd", "got no 'd'.", "add or rename what is missing"),
        ("abz", "got no 'z' and also 'c'.", "add or rename what is missing"),
    ],
)
def test_missing_columns(names, got, remedy):
    with pytest.raises(TableError) as caught:
        select_columns(TABLE, list(names), where="data.csv")
    message = str(caught.value)
    assert message.startswith("Expected the columns 'a', 'b'")
    assert "in data.csv; " + got in message
    assert remedy in message


def test_other_columns_are_left_out():
    table, moved = select_columns(TABLE, ["c", "a"], where="here")
    assert (table.columns, moved) == (("c", "a"), True)
    np.testing.assert_array_equal(table.values, [[3.0, 1.0], [6.0, 4.0]])
    assert not select_columns(TABLE, ["a", "c"], where="here")[1]


def test_columns_without_names_are_counted():
    table = Table(None, TABLE.values)
    assert select_columns(table, ["p", "q", "r"], where="a.npy") == (table, False)
    with pytest.raises(TableError, match=r"Expected 2 columns in a.npy \('p', 'q'\); got 3\."):
        select_columns(table, ["p", "q"], where="a.npy")
