"""The choice of columns: by name and pattern, and what is said of the others."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from table_files import npy, parquet, refusal, save

from brenier.io.base import TableError
from brenier.io.columns import Columns, Roles, choose
from brenier.io.table import read_table, without_missing

NAMES = ("id", "alpha[1]", "alpha[2]", "beta", "*")
MIXED = "id,name,a,b,day,ok\n3,star one,1,2,2021-03-01,x\n5,,3,4,2021-03-02,true\n"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (Columns(), NAMES),
        (Columns(("beta",)), ("beta",)),
        (Columns(("beta", "id")), ("id", "beta")),
        (Columns(("alpha*",)), ("alpha[1]", "alpha[2]")),
        (Columns(("alpha[1]",)), ("alpha[1]",)),
        (Columns(("alpha[?]",)), ("alpha[1]", "alpha[2]")),
        # A name stands for itself, also one that could be a pattern.
        (Columns(("*",)), ("*",)),
        (Columns(drop=("id", "alpha*", "*")), ("beta",)),
        (Columns(("alpha*",), ("alpha[2]",)), ("alpha[1]",)),
        (Columns(("beta",), also=("id", "weight")), ("id", "beta")),
        (Columns(enough=("beta", "id")), ("id", "beta")),
    ],
)
def test_names_and_patterns(columns, names):
    chosen = choose(NAMES, columns, "here")
    assert chosen.names == names
    assert chosen.places == tuple(NAMES.index(name) for name in names)


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        (Columns(("Beta",)), "got 'Beta', which is none of 'id', 'alpha[1]'"),
        (Columns(("Beta",)), "Did you mean 'beta'?"),
        (Columns(("z*",)), "--columns"),
        (Columns(drop=("gamma",)), "--drop"),
        (Columns(("beta",), ("beta",)), "got all of them left out"),
        (Columns(enough=("beta", "gamma")), "got no 'gamma' and also 'id'"),
    ],
)
def test_names_that_are_not_there(columns, part):
    with pytest.raises(TableError) as caught:
        choose(NAMES, columns, "here")
    assert part in str(caught.value)


ROLES = Roles("weight", "chain__", ("lp__", "accept__"))
SAMPLED = ("chain__", "lp__", "accept__", "alpha", "weight")


@pytest.mark.parametrize(
    ("columns", "names", "notes"),
    [
        (
            Columns(),
            ("chain__", "alpha", "weight"),
            (
                "lp__ and accept__ left out",
                "column weight used as weights",
                "column chain__ used as chains",
            ),
        ),
        (
            Columns(("lp__", "alpha"), own_chains=False),
            ("lp__", "alpha", "weight"),
            ("chain__ and accept__ left out", "column weight used as weights"),
        ),
        (
            # A pattern takes variables before it takes what is none.
            Columns(("a*",), own_weights=False, own_chains=False),
            ("alpha",),
            ("chain__, lp__, accept__ and weight left out",),
        ),
        (
            Columns(("acc*",), own_weights=False, own_chains=False),
            ("accept__",),
            ("chain__, lp__ and weight left out",),
        ),
        (
            Columns(also=("weight",), own_weights=False, own_chains=False),
            ("alpha", "weight"),
            ("chain__, lp__ and accept__ left out",),
        ),
    ],
)
def test_columns_that_are_no_variables(columns, names, notes):
    chosen = choose(SAMPLED, columns, "here", ROLES)
    assert (chosen.names, chosen.notes) == (names, notes)


def test_what_is_not_needed_is_said():
    chosen = choose(("a", "b", "c"), Columns(enough=("b",)), "here")
    assert chosen.notes == ("a and c not needed and left out",)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_columns_that_are_not_chosen_may_hold_anything(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    frame = pd.DataFrame(
        {
            "name": ["a, b", None],
            "a": [1.0, 2.0],
            "day": pd.to_datetime(["2020-01-01", None]),
            "b": [3, 4],
            "kind": pd.Categorical(["x", "y"]),
        }
    )
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        getattr(frame, f"to_{suffix[1:]}")(path)
    table = read_table(path, columns=Columns(("b", "a")))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, [[1, 3], [2, 4]])
    assert "'name'" in refusal(path)


def test_text_that_is_not_chosen_may_be_in_any_encoding(tmp_path):
    path = save(tmp_path, "name,a\nM\xfcller,1\nx,2\n".encode("latin-1"))
    np.testing.assert_array_equal(read_table(path, columns=Columns(("a",))).values, [[1], [2]])
    assert "got other bytes in line 2" in refusal(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,b,c\n1,2,3\n4,5\n", "2 fields in row 2"),
        ("a,b,c\n1,2,3\n4,5,6,7\n", "4 fields in row 2"),
        ("a,b,c\n1,2,3,4\n4,5\n", "4 fields in row 1; 2 fields in row 2"),
    ],
)
def test_rows_that_are_ragged_beyond_what_is_chosen(tmp_path, text, place):
    # polars takes them, and could take a value from the wrong column.
    assert place in refusal(save(tmp_path, text), columns=Columns(("a",)))


def test_a_long_file_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("brenier.io.pieces.PIECE", 100)
    rows = np.random.default_rng(0).normal(size=(200, 3))
    path = tmp_path / "x.csv"
    pl.from_numpy(rows, schema=["a", "b", "c"]).write_csv(path)
    for names in ("ac", "abc"):
        got = read_table(path, columns=Columns(tuple(names))).values
        np.testing.assert_array_equal(got, rows[:, ["abc".index(name) for name in names]])
    save(tmp_path, path.read_text() + "1,2\n", "y.csv")
    assert "2 fields in row 201" in refusal(tmp_path / "y.csv", columns=Columns(("a",)))


@pytest.mark.parametrize("size", [30, 1000])
def test_quoted_text_is_not_divided(tmp_path, monkeypatch, size):
    monkeypatch.setattr("brenier.io.pieces.PIECE", size)
    rows = np.random.default_rng(0).normal(size=(50, 2))
    words = ['a, b;\n"c"\n', "plain", 'one "word"', ","] * 13
    frame = pd.DataFrame({"a": rows[:, 0], "name": words[:50], "b": rows[:, 1]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    got = read_table(tmp_path / "x.csv", columns=Columns(("a", "b"))).values
    np.testing.assert_array_equal(got, rows)


@pytest.mark.parametrize(
    ("line", "place"), [('x"1,2"y,3,4', "4 fields in row 2"), ('"x,1",2,3,4', "4 fields in row 2")]
)
def test_quotes_within_a_field_join_nothing(tmp_path, line, place):
    path = save(tmp_path, f"a,b,c\nx,1,2\n{line}\nz,5,6\n")
    assert place in refusal(path, columns=Columns(("b",)))


def test_columns_of_arrays_without_names(tmp_path):
    path = save(tmp_path, npy(np.arange(6.0).reshape(2, 3)), "a.npy")
    table = read_table(path, columns=Columns(("x2", "x0")))
    assert table.columns == ("x0", "x2")
    np.testing.assert_array_equal(table.values, [[0, 2], [3, 5]])


# Columns that number the rows.


@pytest.mark.parametrize("name", ["Unnamed: 0", "id", "__index_level_0__"])
def test_columns_that_number_the_rows_are_pointed_out(tmp_path, name):
    rows = np.random.default_rng(0).normal(size=20)
    frame = pl.DataFrame({name: range(7, 27), "a": rows})
    path = save(tmp_path, parquet(frame), "a.parquet")
    (note,) = read_table(path).notes
    assert note.startswith(f"column {name} numbers the rows: leave it out with --drop ")
    assert read_table(path, columns=Columns(("a", name))).notes == ()
    assert read_table(path, columns=Columns(drop=(name,))).notes == ()


@pytest.mark.parametrize("first", [[0.5, 1.5], [2, 1], [1, 3]])
def test_other_whole_numbers_are_not(tmp_path, first):
    frame = pl.DataFrame({"a": first * 6, "b": [0.0] * 12}, strict=False)
    assert read_table(save(tmp_path, parquet(frame), "a.parquet")).notes == ()


def test_a_column_without_a_name_can_be_left_out(tmp_path):
    path = tmp_path / "a.csv"
    pd.DataFrame({"a": [1.0, 2.5], "b": [3.0, 4.0]}).to_csv(path)
    message = refusal(path)
    assert "an empty one for column 1" in message
    assert "--drop 'Unnamed: 0'" in message
    table = read_table(path, columns=Columns(drop=("Unnamed: 0",)))
    assert table.columns == ("a", "b")


# Missing values.


def test_rows_with_missing_values_are_left_out(tmp_path):
    path = save(tmp_path, "a,b\n1,2\n,3\n4,NA\n5,6\n")
    table = without_missing(read_table(path, allow_missing=True), "x.csv")
    np.testing.assert_array_equal(table.values, [[1, 2], [5, 6]])
    assert table.notes == ("2 of 4 rows left out for missing values (row 2, row 3)",)
    # Of the columns that are chosen.
    one = read_table(path, columns=Columns(("a",)), allow_missing=True)
    assert len(without_missing(one, "x.csv").values) == 3


def test_nothing_else_is_left_out(tmp_path):
    table = read_table(save(tmp_path, "a,b\n1,2\n,inf\n"), allow_missing=True)
    with pytest.raises(TableError, match="1 infinite"):
        without_missing(table, "x.csv")
    nothing = read_table(save(tmp_path, "a,b\n1,\n,1\n"), allow_missing=True)
    with pytest.raises(TableError, match="got none among 2 rows"):
        without_missing(nothing, "x.csv")
