"""Files of samplers and instruments: comments, chains with weights, decimal commas, footers."""

from pathlib import Path

import numpy as np
import pytest
from table_files import refusal, save

from brenier.io.columns import Columns
from brenier.io.table import read_table

ROWS = np.random.default_rng(3).normal(size=(30, 2)).round(6)
WEIGHTS = np.arange(30) % 4 + 1.0
CHAIN = np.column_stack([WEIGHTS, 0.5 * (ROWS**2).sum(1), ROWS])


def lines(values, separator=","):
    return "".join(separator.join(map(repr, map(float, row))) + "\n" for row in values)


STAN = np.column_stack([-0.5 * (ROWS**2).sum(1), np.full((30, 2), 0.9), ROWS])
STAN_HEADER = "lp__,accept_stat__,stepsize__,mu,tau.1\n"
STAN_END = "# \n#  Elapsed Time: 0.1 seconds (Sampling)\n# \n"


def stan(warm_up=""):
    saved = f"#     save_warmup = {'1' if warm_up else '0 (Default)'}\n"
    return (
        f"# model = bent\n{saved}{STAN_HEADER}{warm_up}# Adaptation terminated\n"
        f"# Step size = 0.25\n{lines(STAN)}{STAN_END}"
    )


def test_stan(tmp_path):
    path = save(tmp_path, stan())
    table = read_table(path)
    assert table.columns == ("mu", "tau.1")
    assert table.notes == ("lp__, accept_stat__ and stepsize__ left out",)
    np.testing.assert_array_equal(table.values, ROWS)
    asked = read_table(path, columns=Columns(("mu", "lp__")))
    np.testing.assert_array_equal(asked.values, STAN[:, [0, 3]])


def test_the_warm_up_of_stan_is_left_out(tmp_path):
    table = read_table(save(tmp_path, stan(lines(STAN[:7] + 9))))
    np.testing.assert_array_equal(table.values, ROWS)
    assert "the draws of the warm-up left out" in table.notes


def test_chains_of_cmdstanpy_and_posterior(tmp_path):
    for header in ("chain__,iter__,lp__,mu", ".chain,.iteration,.draw,mu"):
        values = np.column_stack([WEIGHTS, ROWS[:, :1], ROWS])
        table = read_table(save(tmp_path, header + "\n" + lines(values)))
        assert table.columns == ("mu",)
        np.testing.assert_array_equal(table.chain, WEIGHTS)
        assert f"column {header.split(',')[0]} used as chains" in table.notes


@pytest.mark.parametrize("name", ["chain.1.txt", "chain_1.txt", "chain.txt", "chain.dat"])
def test_getdist(tmp_path, name):
    path = save(tmp_path, lines(CHAIN, "   "), name)
    save(tmp_path, "a\t\\alpha\nb*\t\\beta\n", "chain.paramnames")
    table = read_table(path)
    assert table.columns == ("a", "b")
    assert table.notes == (
        "names of columns from chain.paramnames",
        "minuslogpost left out",
        "column weight used as weights",
    )
    np.testing.assert_array_equal(table.values, ROWS)
    np.testing.assert_array_equal(table.weights, WEIGHTS)
    save(tmp_path, "a\nb\nc\n", "chain.paramnames")
    message = refusal(path)
    assert "Expected 5 columns" in message
    assert "chain.paramnames" in message
    assert "got 4" in message


def test_cobaya(tmp_path):
    header = "#   weight   minuslogpost   a   b   minuslogprior__0   chi2   chi2__planck\n"
    values = np.column_stack([CHAIN, CHAIN[:, :3]])
    table = read_table(save(tmp_path, header + lines(values, "   "), "run.1.txt"))
    assert table.columns == ("a", "b")
    assert table.notes == (
        "minuslogpost, minuslogprior__0, chi2 and chi2__planck left out",
        "column weight used as weights",
    )
    np.testing.assert_array_equal(table.weights, WEIGHTS)
    message = refusal(save(tmp_path, header + lines(CHAIN, "   "), "run.2.txt"))
    assert "Expected 7 columns" in message
    assert "got 4" in message


def test_weights_are_left_alone_where_others_are_used(tmp_path):
    path = save(tmp_path, "# weight minuslogpost a b\n" + lines(CHAIN, " "))
    plain = read_table(path, columns=Columns(own_weights=False))
    assert plain.columns == ("a", "b")
    assert plain.weights is None
    named = read_table(path, columns=Columns(also=("weight",), own_weights=False))
    assert named.columns == ("weight", "a", "b")


def test_ultranest(tmp_path):
    equal = read_table(save(tmp_path, "a b\n" + lines(ROWS, " "), "equal_weighted_post.txt"))
    assert equal.columns == ("a", "b")
    table = read_table(save(tmp_path, "weight logl a b\n" + lines(CHAIN, " "), "weighted_post.txt"))
    assert table.columns == ("a", "b")
    assert table.notes == ("logl left out", "column weight used as weights")
    np.testing.assert_array_equal(table.weights, WEIGHTS)


ORIGINALS = Path(__file__).parents[1] / "fixtures" / "chains"


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("getdist.txt", "minuslogpost"),
        ("cobaya.1.txt", "minuslogpost, minuslogprior, minuslogprior__0, chi2 and chi2__normal"),
        ("ultranest_weighted_post.txt", "logl"),
    ],
)
def test_weighted_chains_that_the_original_libraries_wrote(name, left_out):
    table = read_table(str(ORIGINALS / name))
    written = np.loadtxt(ORIGINALS / name, skiprows=int("ultranest" in name))
    assert table.columns == ("a", "b")
    assert f"{left_out} left out" in table.notes
    np.testing.assert_array_equal(table.weights, written[:, 0])
    np.testing.assert_array_equal(table.values, written[:, 2:4])


def test_rows_of_equal_weight_that_ultranest_wrote():
    name = str(ORIGINALS / "ultranest_equal_weighted_post.txt")
    table = read_table(name)
    assert (table.columns, table.weights, table.notes) == (("a", "b"), None, ())
    np.testing.assert_array_equal(table.values, np.loadtxt(name, skiprows=1))


@pytest.mark.parametrize("header", ["# a, b", "# a b", "#a,b", "# sampled by x\n# a b\n#"])
def test_dnest4_and_other_names_in_comments(tmp_path, header):
    table = read_table(save(tmp_path, f"{header}\n" + lines(ROWS, " "), "posterior_sample.txt"))
    assert table.columns == ("a", "b")
    (note,) = table.notes
    assert note.startswith("names of columns from the comment 'a")
    np.testing.assert_array_equal(table.values, ROWS)


@pytest.mark.parametrize("delimiter", [" ", ",", "\t", ";", "|", "  "])
@pytest.mark.parametrize("header", ["", "weight{}a", "written by hand, in March, 2020"])
def test_numpy(tmp_path, delimiter, header):
    path = tmp_path / "x.dat"
    np.savetxt(
        path, ROWS, delimiter=delimiter, header=header.format(delimiter), footer="the end, of it"
    )
    table = read_table(path)
    assert table.columns == (("weight", "a") if "{}" in header else ("x0", "x1"))
    np.testing.assert_array_equal(table.values, ROWS)
    # A weight of no sampler's is a column like others.
    assert table.weights is None


def test_comments_anywhere(tmp_path):
    text = "# one\n\na,b\n# two\n1,2\n  # three, four\n3,4\n#"
    for columns in (Columns(), Columns(("a", "b"))):
        got = read_table(save(tmp_path, text), columns=columns)
        np.testing.assert_array_equal(got.values, [[1, 2], [3, 4]])
    assert "comments only" in refusal(save(tmp_path, "# one\n"))


def test_a_file_of_blanks(tmp_path):
    text = "  a   b\tc\n 1.0  2\t 3 \n\n  -4e1 5   NA\n"
    table = read_table(save(tmp_path, text, "x.txt"), allow_missing=True)
    assert table.columns == ("a", "b", "c")
    np.testing.assert_array_equal(table.values, [[1, 2, 3], [-40, 5, np.nan]])


@pytest.mark.parametrize("separator", [";", "\t", " ", "|"])
@pytest.mark.parametrize("header", ["a{}b\n", ""])
def test_decimal_commas(tmp_path, separator, header):
    text = header.format(separator) + lines(ROWS, separator).replace(".", ",")
    table = read_table(save(tmp_path, text))
    np.testing.assert_array_equal(table.values, ROWS)
    assert "commas are decimal points" in table.notes[0]
    with_missing = save(tmp_path, "a;b\n1,5;2\nNA;-3,5e1\n")
    got = read_table(with_missing, allow_missing=True).values
    np.testing.assert_array_equal(got, [[1.5, 2], [np.nan, -35]])


def test_semicolons_and_commas_that_both_separate(tmp_path):
    table = read_table(save(tmp_path, "a;x,b;y,c\n1,2,3\n4,5,6\n"))
    assert table.columns == ("a;x", "b;y", "c")
    text = read_table(save(tmp_path, "a,n;b\n1,x;2\n3,y;4\n"), columns=Columns(("a",)))
    assert text.notes == ("values are separated by ',', not by ';'",)


def test_a_first_line_of_numbers_is_said_to_be_a_row(tmp_path):
    table = read_table(save(tmp_path, "2019,2020\n1.5,2.5\n3.5,4.5\n"))
    assert len(table.values) == 3
    (note,) = table.notes
    assert note.startswith("its first line holds numbers and was taken as a row, not as names")
    assert note.endswith("begin with a letter")
    assert read_table(save(tmp_path, "1,2\n3,4\n")).notes == ()


@pytest.mark.parametrize("footer", ["Total: 30 rows", "end of data\n", "mean,1\nof x,2"])
def test_footers_are_named(tmp_path, footer):
    message = refusal(save(tmp_path, "a,b\n" + lines(ROWS) + footer))
    assert "got a footer after row 30: " in message
    assert footer.splitlines()[0] in message
    # A row that broke off is none.
    assert "1 field in row 31" in refusal(save(tmp_path, "a,b\n" + lines(ROWS) + "3.5"))


@pytest.mark.parametrize("units", ["m,s", "m,", "(kg),(1/s)"])
def test_a_line_of_units_is_named(tmp_path, units):
    message = refusal(save(tmp_path, f"a,b\n{units}\n" + lines(ROWS)))
    assert "got a second line of text, perhaps of units: " in message
    assert "Remove it" in message
    # A cell of text is none.
    assert "column 'a' (row 1 'm')" in refusal(save(tmp_path, "a,b\nm,1\n" + lines(ROWS)))


def test_lines_of_names_between_rows_are_named(tmp_path):
    part = "a,b\n" + lines(ROWS)
    assert "got the line of names again: row 31; row 62." in refusal(save(tmp_path, 3 * part))
    # Not all of it.
    assert "text in 1 column" in refusal(save(tmp_path, part + "a,1\n" + lines(ROWS)))


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_names_of_rows_without_a_name_of_their_column_are_said(tmp_path, separator):
    names = separator.join(['"a"', '"b"'])
    rows = [f'"{i}"{separator}{line}' for i, line in enumerate(lines(ROWS, separator).split("\n"))]
    message = refusal(save(tmp_path, "\n".join([names, *rows[:-1]]) + "\n"))
    assert "Expected 2 fields in every row" in message
    assert "got 3 fields in row 1; 3 fields in row 2" in message
    assert "row.names = FALSE" in message


@pytest.mark.parametrize("mark", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n'])
def test_excels_line_of_the_separator_is_no_header(tmp_path, mark):
    text = mark + "a;b\n" + lines(ROWS, ";").replace(".", ",")
    table = read_table(save(tmp_path, text))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)


SAME = [
    ("stan", stan()),
    ("tabs", "a\tb\n1\t2\n"),
    ("semicolons", "a;b\n1,5;2\n"),
    ("blanks", "1 2\n3 4\n"),
]


@pytest.mark.parametrize(("name", "text"), SAME)
def test_the_suffix_counts_for_nothing(tmp_path, name, text):
    expected = read_table(save(tmp_path, text, name))
    for suffix in ("csv", "tsv", "npy", "parquet", "gz", "txt"):
        got = read_table(save(tmp_path, text, f"{name}.{suffix}"))
        assert got.columns == expected.columns
        np.testing.assert_array_equal(got.values, expected.values)
