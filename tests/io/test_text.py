"""CSV and TSV files as people write them, and the places of what is no number in them."""

import csv
import gzip
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import RELAXED, SUFFIXES, VALUES, refusal, save

from brenier.io.table import TableError, read_table, write_table

TEXT = [suffix for suffix in SUFFIXES if suffix[1:4] in ("csv", "tsv")]


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


@pytest.fixture
def readings(monkeypatch):
    """Return a list that gets the types of the columns each time that polars reads a file."""
    scan_csv, types = pl.scan_csv, []

    def record(*arguments, schema, **options):
        types.append(set(schema.values()))
        return scan_csv(*arguments, schema=schema, **options)

    monkeypatch.setattr(pl, "scan_csv", record)
    return types


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a, b\r\n1, 2\r\n", '"a","b"\n"1","2"\n', "1,2\n"])
def test_clean_files_are_read_once_and_as_numbers(tmp_path, readings, text):
    np.testing.assert_array_equal(read_table(save(tmp_path, text)).values, [[1.0, 2.0]])
    assert readings == [{pl.Float64}]


@pytest.mark.parametrize("text", ["a,b\n1, \n", "a,b\n\n1,2\n", "a,b\ntrue,2\n"])
def test_other_files_are_read_again_as_text(tmp_path, readings, text):
    read_table(save(tmp_path, text), allow_missing=True)
    assert readings == [{pl.Float64}, {pl.String}]


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


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\n\n  \n"])
def test_header_only(tmp_path, content):
    assert "a header of 2 columns ('a', 'b') and no rows" in refusal(save(tmp_path, content))


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
    assert "; and 2 more. Leave" in message


def test_booleans_among_numbers_are_text(tmp_path):
    message = refusal(save(tmp_path, "a,b\ntrue,1\n2,1\nfalse,1\n"))
    assert "column 'a' (row 1 'true'; row 3 'false')" in message


def test_booleans_among_missing_values(tmp_path):
    got = read_table(save(tmp_path, "a,b\ntrue,1\n,1\n"), allow_missing=True).values
    np.testing.assert_array_equal(got, [[1, 1], [np.nan, 1]])


def test_text_remedies_name_the_usual_causes(tmp_path):
    assert "separate values by ',' throughout" in refusal(save(tmp_path, "a,b\n1,2\n1;2,3\n"))
    assert "separate values by tabs throughout" in refusal(save(tmp_path, "a\tb\n1\t2\n1|2\t3\n"))
    assert "decimals with a point" in refusal(save(tmp_path, 'a\n"1,5"\n'))
    assert "point" not in refusal(save(tmp_path, "a\nx\n"))
    assert "decimals with a point" in refusal(save(tmp_path, "a\n1,5\n2,5\n"))
    assert "commas between thousands" in refusal(save(tmp_path, 'a\n"-12,345"\n'))
    assert "thousands" not in refusal(save(tmp_path, 'a\n"0,345"\n'))


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


@pytest.mark.parametrize("content", ['"', 'a\n"1\n', 'a\n1\n"', "a\r1\r2\r", 'a,"' + "b" * 200_000])
def test_text_that_is_no_csv(tmp_path, content):
    assert "separated text" in refusal(save(tmp_path, content))


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


@pytest.mark.parametrize("suffix", TEXT)
@pytest.mark.parametrize("columns", [["1", "2"], [" a", "b"], ["a", "b\n"], ["a", "NA\x00"]])
def test_names_that_a_text_file_would_not_return(tmp_path, suffix, columns):
    with pytest.raises(TableError, match="names that a text file can hold"):
        write_table(tmp_path / f"a{suffix}", VALUES, columns)
    assert not list(tmp_path.iterdir())


FORMULAS = ["=HYPERLINK(1)", "+1+1", "-x", "@SUM(A1)", "'=x", "''@", "'quoted'", "x=1"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
def test_names_that_are_formulas_to_a_spreadsheet_are_text_in_a_file(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    write_table(path, np.ones((2, len(FORMULAS))), FORMULAS)
    blob = path.read_bytes()
    text = (gzip.decompress(blob) if suffix.endswith(".gz") else blob).decode()
    first = text.splitlines()[0].split("\t" if suffix == ".tsv" else ",")
    assert not [name for name in first if name.lstrip('"')[0] in "=+-@"]
    assert read_table(path).columns == tuple(FORMULAS)


def test_names_that_are_formulas_are_read_as_they_are(tmp_path):
    assert read_table(save(tmp_path, "=a,'b\n1,2\n")).columns == ("=a", "'b")


@pytest.mark.parametrize("name", ["\x1b[2J", "a\x07b", "a\x9bb", "a\x7f"])
def test_names_that_would_steer_a_terminal_are_not_written_as_text(tmp_path, name):
    with pytest.raises(TableError, match="control characters"):
        write_table(tmp_path / "x.csv", np.ones((2, 1)), [name])
    write_table(tmp_path / "x.parquet", np.ones((2, 1)), [name])
    assert read_table(tmp_path / "x.parquet").columns == (name,)
