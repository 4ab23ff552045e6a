"""Data files: values survive every format exactly, and every bad file is refused with a remedy."""

import csv
import errno
import gzip
import io
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brenier.io import table as tables
from brenier.io.table import (
    Table,
    TableError,
    check_finite,
    read_table,
    select_columns,
    write_table,
)

SUFFIXES = [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npy", ".parquet", ".pq"]
NAMED = [suffix for suffix in SUFFIXES if suffix != ".npy"]
TEXT = [suffix for suffix in SUFFIXES if suffix[1:4] in ("csv", "tsv")]
VALUES = np.array([[1.0, -2.5], [0.1, 1e-300], [-0.0, 1 / 3]])
# The disk decides how long one example takes.
RELAXED = settings(deadline=None, max_examples=40)


def save(tmp_path, content, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def parquet(frame):
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def refusal(path, **options):
    """Return the message with which a file is refused, checking what every one must have."""
    with pytest.raises(TableError) as caught:
        read_table(path, **options)
    message = str(caught.value)
    assert message.startswith("Expected")
    assert "; got" in message
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


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


# CSV as people write it.


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("a,b\n1,2\n3,4\n", "ab", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4", "ab", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4\n  ", "ab", [[1, 2], [3, 4]]),
        ("a,b\r\n1,2\r\n\r\n3,4\r\n", "ab", [[1, 2], [3, 4]]),
        ("\n\na,b\n\n1,2\n  \n3,4\n\n\n", "ab", [[1, 2], [3, 4]]),
        ("\ufeffa,b\n1,2\n", "ab", [[1, 2]]),
        (' a , "b"\n 1 , 2 \n', "ab", [[1, 2]]),
        ('"a","b"\n"1","2"\n', "ab", [[1, 2]]),
        ("a\n1\n2\n\n\n", "a", [[1], [2]]),
        ("a,b\n+.5,5.\n1E3,-1e-3\n", "ab", [[0.5, 5], [1000, -0.001]]),
        ("a,b\nTrue,1\nfalse,2\n", "ab", [[1, 1], [0, 2]]),
        ("1,2\n3,4\n", ("x0", "x1"), [[1, 2], [3, 4]]),
        ("\ufeff-1.5,2e3\n", ("x0", "x1"), [[-1.5, 2000]]),
        ("0\n1\n", ("x0",), [[0], [1]]),
        ("0,1,3\n", ("x0", "x1", "x2"), [[0, 1, 3]]),
        ("2019,total\n1,2\n", ("2019", "total"), [[1, 2]]),
        ("nan\n1\n", ("nan",), [[1]]),
        ("1_0\n1\n", ("1_0",), [[1]]),
    ],
)
def test_csv_variants(tmp_path, text, columns, values):
    table = read_table(save(tmp_path, text))
    assert table.columns == tuple(columns)
    np.testing.assert_array_equal(table.values, values)
    assert table.values.flags.c_contiguous


def test_a_quoted_header_may_hold_separators_and_line_breaks(tmp_path):
    table = read_table(save(tmp_path, '"a, in\nkg","b"\n1,2\n'))
    assert table.columns == ("a, in\nkg", "b")
    np.testing.assert_array_equal(table.values, [[1.0, 2.0]])


def test_integers_and_booleans_become_float64(tmp_path):
    frame = pl.DataFrame({"i": [1, 2], "b": [True, False], "f": [0.5, 1.5]})
    frame = frame.with_columns(
        pl.col("i").cast(pl.UInt8), d=pl.Series(["1.25", "2"]).cast(pl.Decimal(5, 2))
    )
    table = read_table(save(tmp_path, parquet(frame), "a.parquet"))
    assert table.columns == ("i", "b", "f", "d")
    np.testing.assert_array_equal(table.values, [[1, 1, 0.5, 1.25], [2, 0, 1.5, 2]])


@pytest.mark.parametrize("dtype", ["bool", "u1", "i8", "f2", "f4", ">f8", "<f8", "longdouble"])
@pytest.mark.parametrize("order", "CF")
def test_npy_dtypes_and_orders(tmp_path, dtype, order):
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype, order=order)
    table = read_table(save(tmp_path, npy(array), "a.npy"))
    assert table.columns is None
    assert table.values.dtype == np.float64
    assert table.values.flags.c_contiguous
    np.testing.assert_array_equal(table.values, array)


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


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a, b\r\n1, 2\r\n", '"a","b"\n"1","2"\n', "1,2\n"])
def test_clean_files_never_take_the_slow_way(tmp_path, monkeypatch, text):
    monkeypatch.setattr(tables, "_parse_cells", lambda *_: pytest.fail("read cell by cell"))
    np.testing.assert_array_equal(read_table(save(tmp_path, text)).values, [[1.0, 2.0]])


def test_importing_tables_does_not_import_the_slow_libraries():
    code = "import sys, brenier.io.table; print({'polars', 'jax', 'jaxtyping'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# Missing and infinite values.


@pytest.mark.parametrize(
    "mark", ["", " ", "NA", "n/a", "#N/A", "NaN", "nan", "null", "None", "<NA>"]
)
def test_marks_of_missing_values(tmp_path, mark):
    path = save(tmp_path, f"a,b\n1,2\n3,{mark}\n")
    assert "got 1 missing (empty or NaN) in 1 of 2 rows: row 2, column 'b'." in refusal(path)
    got = read_table(path, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, 2], [3, np.nan]])


def test_missing_values_of_a_single_column(tmp_path):
    path = save(tmp_path, "a\n1\n\n3\n\n")
    assert "1 of 3 rows: row 2, column 'a'" in refusal(path)
    np.testing.assert_array_equal(read_table(path, allow_missing=True).values, [[1], [np.nan], [3]])


def test_missing_values_of_a_headerless_file(tmp_path):
    path = save(tmp_path, "1,NA\n3,4\n")
    assert "row 1, column 'x1'" in refusal(path)
    np.testing.assert_array_equal(
        read_table(path, allow_missing=True).values, [[1, np.nan], [3, 4]]
    )


def test_missing_and_infinite_values_are_counted_and_placed(tmp_path):
    path = save(tmp_path, "a,b\n1,inf\n2,3\n,-Infinity\n1e999,4\n")
    message = refusal(path)
    assert "1 missing (empty or NaN) and 3 infinite in 3 of 4 rows" in message
    assert "row 1, column 'b'; row 3, column 'a'; row 3, column 'b'; row 4, column 'a'." in message
    got = read_table(path, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, np.inf], [2, 3], [np.nan, -np.inf], [np.inf, 4]])


def test_missing_values_of_parquet_and_npy(tmp_path):
    frame = pl.DataFrame({"a": [1.0, None], "b": [True, None], "c": [None, None]})
    path = save(tmp_path, parquet(frame), "a.parquet")
    assert "4 missing (empty or NaN) in 2 of 2 rows: row 1, column 'c'" in refusal(path)
    nan = np.nan
    got = read_table(path, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, 1, nan], [nan, nan, nan]])
    path = save(tmp_path, npy(np.array([[1.0, nan]])), "a.npy")
    assert "row 1, column 2." in refusal(path)


def test_only_the_first_places_are_listed():
    table = Table(("a",), np.full((9, 1), np.nan))
    with pytest.raises(TableError) as caught:
        check_finite(table, "here")
    assert str(caught.value) == (
        "Expected finite numbers in here; got 9 missing (empty or NaN) in 9 of 9 rows: "
        "row 1, column 'a'; row 2, column 'a'; row 3, column 'a'; row 4, column 'a'; "
        "row 5, column 'a'; and 4 more. Remove these rows or fill the values in."
    )
    check_finite(Table(("a",), np.zeros((9, 1))), "here")


# Files that are no tables.


def test_missing_file(tmp_path):
    assert "got nothing at" in refusal(tmp_path / "none.csv")


def test_folder(tmp_path):
    (tmp_path / "a.csv").mkdir()
    assert "got the folder" in refusal(tmp_path / "a.csv")


def test_path_below_a_file(tmp_path):
    assert "got nothing at" in refusal(save(tmp_path, "a\n1\n") / "below.csv")


def test_unreadable_file(tmp_path, monkeypatch):
    def fail(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = save(tmp_path, "a\n1\n")
    monkeypatch.setattr(type(path), "read_bytes", fail)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.npy.gz", "a.xlsx", ".csv"])
def test_unknown_suffixes(tmp_path, name):
    message = refusal(save(tmp_path, "a\n1\n", name))
    for suffix in SUFFIXES:
        assert suffix in message
    with pytest.raises(TableError, match="file name ending in"):
        write_table(tmp_path / f"new{name}" if name != ".csv" else tmp_path / name, VALUES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file(tmp_path, suffix):
    assert "an empty file" in refusal(save(tmp_path, b"", f"a{suffix}"))


@pytest.mark.parametrize("content", ["\n \r\n\n", "\ufeff", "\ufeff\n"])
def test_files_of_blanks_are_empty(tmp_path, content):
    assert "an empty file" in refusal(save(tmp_path, content))


def test_empty_gzip_content(tmp_path):
    assert "an empty file" in refusal(save(tmp_path, gzip.compress(b""), "a.csv.gz"))


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\n\n  \n"])
def test_header_only(tmp_path, content):
    assert "a header of 2 columns ('a', 'b') and no rows" in refusal(save(tmp_path, content))


def test_parquet_without_rows_or_columns(tmp_path):
    frame = pl.DataFrame({"a": [1.0]})
    assert "0 rows and 1 column" in refusal(save(tmp_path, parquet(frame.clear()), "a.parquet"))
    assert "0 columns" in refusal(save(tmp_path, parquet(pl.DataFrame()), "a.parquet"))


def test_text_among_numbers(tmp_path):
    rows = ["1,2", "x,3", "4,5", "y z,6", "7,b"]
    message = refusal(save(tmp_path, "\n".join(["a,b", *rows])))
    assert (
        "text in 2 columns: column 'a' (row 2 'x'; row 4 'y z'); column 'b' (row 5 'b')" in message
    )


def test_only_the_first_texts_are_listed(tmp_path):
    header, row = ",".join(f"c{j}" for j in range(7)), ",".join("t" * 7)
    message = refusal(save(tmp_path, "\n".join([header] + [row] * 8)))
    assert "text in 7 columns" in message
    assert "(row 1 't'; row 2 't'; row 3 't'; row 4 't'; row 5 't'; and 3 more)" in message
    assert "column 'c4'" in message
    assert "column 'c5'" not in message
    assert "; and 2 more. Remove" in message


def test_booleans_among_numbers_are_text(tmp_path):
    message = refusal(save(tmp_path, "a,b\ntrue,1\n2,1\nfalse,1\n"))
    assert "column 'a' (row 1 'true'; row 3 'false')" in message


def test_booleans_among_missing_values(tmp_path):
    got = read_table(save(tmp_path, "a,b\ntrue,1\n,1\n"), allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, 1], [np.nan, 1]])


def test_text_remedies_name_the_usual_causes(tmp_path):
    assert "separate values by ','" in refusal(save(tmp_path, "a;b\n1;2\n"))
    assert "separate values by '\\t'" in refusal(save(tmp_path, "a;b\n1;2\n", "a.tsv"))
    assert "decimals with a point" in refusal(save(tmp_path, 'a\n"1,5"\n'))
    assert "point" not in refusal(save(tmp_path, "a\nx\n"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,b\n1,2\n3\n", "got 1 field in row 2."),
        ("a,b\n1,2\n\n3,4,5\n", "got 3 fields in row 2."),
        ("a,b\n1,2,\n", "got 3 fields in row 1."),
        ("1,2\n3\n", "got 1 field in row 2."),
        ("a\n1,5\n2\n", "got 2 fields in row 1."),
        ("a,b\n" + "1\n" * 7, "1 field in row 5; and 2 more."),
    ],
)
@pytest.mark.parametrize("allow_missing", [False, True])
def test_ragged_rows(tmp_path, text, place, allow_missing):
    assert place in refusal(save(tmp_path, text), allow_missing=allow_missing)


def test_duplicate_and_empty_names(tmp_path):
    assert "got 'a', 'c' more than once" in refusal(save(tmp_path, "a,b,a,c,c\n1,2,3,4,5\n"))
    assert "an empty one for column 1" in refusal(save(tmp_path, ",a\n1,2\n"))
    assert "an empty one for column 2" in refusal(save(tmp_path, "a, \n1,2\n"))
    assert "an empty one for column 1" in refusal(save(tmp_path, '"'))


@pytest.mark.parametrize("header", ["0,1", "0,1,2"])
def test_a_header_of_counting_numbers_is_ambiguous(tmp_path, header):
    assert f"'{header}', which can be either" in refusal(save(tmp_path, f"{header}\n{header}\n"))


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"\xe9,b\n1,2\n", 1), (b"a,b\n1,2\n\xe9,3\n", 3), ("a,b\n1,2\n".encode("utf-16"), 1)],
)
def test_text_that_is_not_utf8(tmp_path, content, line):
    message = refusal(save(tmp_path, content))
    assert f"got other bytes in line {line}." in message
    assert "UTF-8" in message


@pytest.mark.parametrize("content", ['a\n"1\n', 'a\n1\n"', "a\r1\r2\r", 'a,"' + "b" * 200_000])
def test_text_that_is_no_csv(tmp_path, content):
    assert "separated text" in refusal(save(tmp_path, content))


ZIPPED = gzip.compress(b"a\n1\n" * 100, mtime=0)


@pytest.mark.parametrize(
    "content",
    [b"a\n1\n", ZIPPED[:-9], ZIPPED[:-8] + bytes(8), ZIPPED[:10] + b"junk", ZIPPED + b"x"],
)
def test_corrupt_gzip(tmp_path, content):
    assert "a gzip file" in refusal(save(tmp_path, content, "a.csv.gz"))


PARQUET = parquet(pl.DataFrame({"a": [1.0, 2.0]}))


@pytest.mark.parametrize("content", [b"a\n1\n", PARQUET[:-5], PARQUET[:20], b"PAR1" + bytes(40)])
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


NPY = npy(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "content",
    [
        b"a\n1\n",
        NPY[:5],
        NPY[:40],
        NPY.replace(b"'fortran_order'", b"'fortran_odder'"),
        NPY.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x03"),
        NPY.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
        NPY.replace(b"(2, 3)", b"((((((")[:128],
    ],
)
def test_corrupt_npy(tmp_path, content):
    assert "an NPY array" in refusal(save(tmp_path, content, "a.npy"))


@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        (NPY[:-1], "48 bytes for shape (2, 3) and dtype float64"),
        (NPY + b"x", "got 49"),
        (NPY.replace(b"(2, 3)", b"(2,-3)"), "shape (2, -3)"),
        (NPY.replace(b"(2, 3), ", b"(2,9999)"), "shape (2, 9999)"),
    ],
)
def test_npy_of_another_size_than_its_header_says(tmp_path, content, sizes):
    assert sizes in refusal(save(tmp_path, content, "a.npy"))


class Bomb:
    """An object whose unpickling fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_npy_of_objects_is_never_unpickled(tmp_path):
    path = save(tmp_path, npy(np.array([Bomb()], dtype=object)), "a.npy")
    assert "dtype object, which is never read" in refusal(path)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((2, 2), complex), "dtype complex128"),
        (np.array(["a"]), "dtype <U1"),
        (np.array(["2020"], "M8[D]"), "dtype datetime64[D]"),
        (np.zeros(2, [("a", float)]), "dtype [('a', '<f8')]"),
        (np.float64(1), "shape ()"),
        (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
        (np.zeros((0, 2)), "shape (0, 2)"),
        (np.zeros((2, 0)), "shape (2, 0)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_npy_arrays_that_are_no_tables(tmp_path, array, got):
    assert f"got {got}" in refusal(save(tmp_path, npy(array), "a.npy"))


def naive(text):
    """Read a CSV file as the docstring of `read_table` has it, cell by cell, or return None."""
    records = [record for record in csv.reader(io.StringIO(text)) if "".join(record).strip(" ")]
    n = len(records[0])
    cells = [[cell.strip().lower() for cell in record] for record in records[1:]]
    if not cells or any(len(record) != n for record in cells):
        return None
    truth = [{row[j] for row in cells} <= {"true", "false"} for j in range(n)]
    return [[row[j] == "true" if truth[j] else float(row[j]) for j in range(n)] for row in cells]


@RELAXED
@given(
    st.lists(
        st.sampled_from(
            ["1,2", " 1 ,-2.5e3", '"3",.5', "", "  ", "1", "1,2,3", "inf,-0", "true,4"]
        ),
        max_size=6,
    ),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_reading_agrees_with_the_naive_way(tmp_path_factory, lines, end):
    path = save(tmp_path_factory.getbasetemp(), end.join(["a,b", *lines]))
    try:
        expected = naive(path.read_text())
    except ValueError:
        expected = None
    if expected is None:
        refusal(path, allow_missing=True)
    else:
        np.testing.assert_array_equal(read_table(path, allow_missing=True).values, expected)


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


@pytest.mark.parametrize("suffix", TEXT)
@pytest.mark.parametrize("columns", [["1", "2"], [" a", "b"], ["a", "b\n"], ["a", "NA\x00"]])
def test_names_that_a_text_file_would_not_return(tmp_path, suffix, columns):
    with pytest.raises(TableError, match="names that a text file can hold"):
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
        ("ab", "got also 'c'.", "remove what is not wanted"),
        ("abz", "got no 'z' and also 'c'.", "add or rename what is missing and remove"),
    ],
)
def test_missing_and_other_columns(names, got, remedy):
    with pytest.raises(TableError) as caught:
        select_columns(TABLE, list(names), where="data.csv")
    message = str(caught.value)
    assert message.startswith("Expected the columns 'a', 'b'")
    assert "in data.csv; " + got in message
    assert remedy in message


def test_columns_without_names_are_counted():
    table = Table(None, TABLE.values)
    assert select_columns(table, ["p", "q", "r"], where="a.npy") == (table, False)
    with pytest.raises(TableError, match=r"Expected 2 columns in a.npy \('p', 'q'\); got 3\."):
        select_columns(table, ["p", "q"], where="a.npy")
