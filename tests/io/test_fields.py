"""Fields of separated text: counted as Python's reader of CSV counts them, or not at all."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import RELAXED, refusal, save

from brenier.io.columns import Columns
from brenier.io.fields import BLOCK, FIELDS, LONGEST, Lines, count_unquoted, is_regular
from brenier.io.pieces import together
from brenier.io.table import read_table


def records(text):
    """Return the fields of every line, as Python reads them."""
    return list(csv.reader(io.StringIO(text, newline="")))


@RELAXED
@given(
    st.lists(st.lists(st.text('a,"\n', max_size=4), min_size=2, max_size=4), min_size=1),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_separators_of_what_python_writes_are_counted(rows, quoting, end):
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting, lineterminator=end).writerows(rows)
    lines = Lines.of(stream.getvalue().encode())
    assert not lines.is_open
    assert count_unquoted(lines, ",") == sum(len(row) - 1 for row in rows)


@RELAXED
@given(st.text('a,"\n', min_size=1, max_size=12))
def test_whatever_is_counted_is_what_python_reads(text):
    lines = Lines.of(text.encode())
    found = count_unquoted(lines, ",")
    if found is not None:
        assert found == sum(max(len(record) - 1, 0) for record in records(text))
    for n in (2, 3):
        if is_regular(lines.text, n, ","):
            assert found == (n - 1) * len(records(text))


def test_many_quoted_fields_and_long_ones():
    row = '"a, ""b""",1,"c,\n"\n'
    many = row * (FIELDS + BLOCK // len(row))
    assert count_unquoted(Lines.of(many.encode()), ",") == 2 * many.count('"a')
    long = f'"{"," * LONGEST}",2\n'
    assert count_unquoted(Lines.of(long.encode()), ",") is None
    assert is_regular(long.encode(), 2, ",")


@pytest.mark.parametrize("text", ['a "b",1\n', '"a"b,1\n', '"a', 'a"b\n'])
def test_unusual_quotes_are_not_counted(text):
    assert count_unquoted(Lines.of(text.encode()), ",") is None


BELOW = "a,b,c,d\n1,x,2,y\n"


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("1,x,2", 3),
        ("1,x", 2),
        ("1,x,2,y,", 5),
        ("1,x,2,y,,z", 6),
        ("1,x,2,,", 5),
        ('1,"x, z",2', 3),
        ('1,"x, z",2,"y",', 5),
    ],
)
def test_lines_of_other_lengths_are_found_beyond_the_columns_that_are_read(tmp_path, line, got):
    path = save(tmp_path, f"{BELOW}{line}\n3,x,4,y\n")
    assert f"got {got} fields in row 2" in refusal(path, columns=Columns(("a",)))
    # One too short makes good for one too long.
    path = save(tmp_path, f"{BELOW}{line}\n" + "3,x,4,y,z\n" * (got < 4) + "3,x,4\n" * (got > 4))
    assert f"got {got} fields in row 2" in refusal(path, columns=Columns(("a",)))


@pytest.mark.parametrize("last", ["", '""', " ", '"y, z"', "\xff", "5"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_last_column_may_hold_anything(tmp_path, last, encoding):
    text = f"{BELOW}3,x,4,{last}\n".encode(encoding)
    table = read_table(save(tmp_path, text), columns=Columns(("a", "c")))
    np.testing.assert_array_equal(table.values, [[1, 2], [3, 4]])


@pytest.mark.parametrize("share", [1e-3, 0.2, 1.0])
def test_parts_come_together_whatever_share_they_seem_to_be(share):
    rows = np.random.default_rng(0).normal(size=(100, 3))
    parts = np.split(rows, [1, 30, 31, 90])
    np.testing.assert_array_equal(together((part, share) for part in parts), rows)


def test_a_part_that_is_none_makes_all_none():
    assert together([(np.ones((2, 1)), 0.5), (None, 0.5)]) is None
    assert together([]) is None
