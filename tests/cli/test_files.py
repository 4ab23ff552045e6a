"""Files as people have them: chosen columns, chains, weights, missing values, and what is said."""

import numpy as np
import pytest
from small_tables import NAMES, SMALL, named, rows, write
from terminal import assert_one_error, done, invoke

from brenier import load
from brenier.io.table import read_table, write_table


def text(values, header, separator=",", more=()):
    lines = (separator.join([*map(str, row), *more]) + "\n" for row in values)
    return f"{header}\n" + "".join(lines)


def mixed(values):
    """Return such rows among columns of text, dates and numbers of rows."""
    lines = [
        f"{i},star {i % 7},{speed},2021-03-{i % 28 + 1:02d},{mass},{i % 2 == 0}\n"
        for i, (speed, mass) in enumerate(values)
    ]
    return "id,name,speed,day,mass,ok\n" + "".join(lines)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder with a table of rows and the model of it."""
    folder = tmp_path_factory.mktemp("plain")
    write_table(folder / "x.csv", rows(), NAMES)
    done("fit", folder / "x.csv", "-o", folder / "m", *SMALL)
    return folder


def fitted(folder, *arguments):
    """Return what is said of a fit, and some log-densities of its model."""
    result = done("fit", *arguments, "-o", folder / "m", *SMALL)
    return result.stderr, densities(folder / "m")


def densities(path):
    return load(path).score_samples(named(rows(20, seed=5))).tolist()


@pytest.mark.parametrize(
    "options",
    [
        ("--columns", "speed,mass"),
        ("--columns", "s*,ma??"),
        ("--drop", "id,name,day,ok"),
        ("--columns", "id,speed,mass", "--drop", "i*"),
    ],
)
def test_a_fit_of_some_columns(plain, tmp_path, options):
    data = write(tmp_path / "mixed.csv", mixed(rows()))
    _, model = fitted(tmp_path, data, *options)
    assert model == densities(plain / "m")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ((), ["text in 2 columns", "'name'", "'day'", "--drop"]),
        (("--columns", "speed,Mass"), ["'Mass'", "Did you mean 'mass'?"]),
        (("--columns", "speed,mass", "--drop", "sp*,mass"), ["all of them left out"]),
    ],
)
def test_columns_that_cannot_be_fitted(tmp_path, options, parts):
    data = write(tmp_path / "mixed.csv", mixed(rows()))
    assert_one_error(invoke("fit", data, "-o", tmp_path / "m", *options, *SMALL), *parts)


def test_weights_and_chains_are_read_whatever_is_chosen(tmp_path):
    values = np.column_stack([rows(), np.arange(200) % 3 + 1.0, np.arange(200) % 2])
    write_table(tmp_path / "x.csv", values, (*NAMES, "w", "chain"))
    apart = ("--weights", "w", "--chains", "chain")
    _, model = fitted(tmp_path, tmp_path / "x.csv", *apart)
    _, chosen = fitted(tmp_path, tmp_path / "x.csv", *apart, "--columns", "speed,mass")
    assert model == chosen


@pytest.mark.parametrize("command", ["score", "transform"])
def test_wider_tables_are_accepted_and_it_is_said(plain, tmp_path, command):
    data = write(tmp_path / "mixed.csv", mixed(rows()))
    result = done(command, plain / "m", data)
    narrow = done(command, plain / "m", plain / "x.csv")
    assert result.stdout.splitlines()[1:] == narrow.stdout.splitlines()[1:]
    assert narrow.stderr == ""
    assert result.stderr == f"Note: {data}: id, name, day and ok not needed and left out.\n"


def test_wider_tables_of_a_context(tmp_path):
    write_table(tmp_path / "x.csv", rows(), NAMES)
    done("fit", tmp_path / "x.csv", "-o", tmp_path / "m", "--given", "speed", *SMALL[:6])
    data = write(tmp_path / "mixed.csv", mixed(rows(5)))
    result = done("sample", tmp_path / "m", "--given", data, "-n", 2)
    assert result.stdout.startswith("speed,mass\n")
    assert len(result.stdout.splitlines()) == 11
    assert "id, name, day, mass and ok not needed and left out" in result.stderr


def test_rows_with_missing_values(plain, tmp_path):
    values = rows()
    values[[3, 7], [0, 1]] = np.nan
    write_table(tmp_path / "x.csv", values, NAMES)
    assert_one_error(invoke("score", plain / "m", tmp_path / "x.csv"), "--drop-missing")
    for command in ("score", "transform"):
        output = tmp_path / f"{command}.csv"
        result = done(command, plain / "m", tmp_path / "x.csv", "--drop-missing", "-o", output)
        assert "2 of 200 rows left out for missing values (row 4, row 8)" in result.stderr
        assert len(read_table(output).values) == 198
    said, _ = fitted(tmp_path, tmp_path / "x.csv", "--drop-missing")
    assert "2 of 200 rows left out" in said


def test_chains_of_stan(tmp_path):
    header = "# model = bent\nlp__,accept_stat__,speed,mass"
    for j in range(4):
        values = np.column_stack([np.ones((50, 2)), rows(50, seed=j)])
        write(tmp_path / f"{j}.csv", text(values, header) + "# \n# Elapsed Time: 1 seconds\n")
        write_table(tmp_path / f"plain_{j}.csv", values[:, 2:], NAMES)
    said, model = fitted(tmp_path, *(tmp_path / f"{j}.csv" for j in range(4)))
    notes = [line for line in said.splitlines() if line.startswith("Note: ")]
    assert notes == [
        f"Note: {tmp_path / '0.csv'} and 3 more files: 4 chains of 50 draws; lp__ and "
        "accept_stat__ left out."
    ]
    said, plain = fitted(tmp_path, *(tmp_path / f"plain_{j}.csv" for j in range(4)))
    assert model == plain
    assert "4 chains of 50 draws." in said


def test_chains_with_weights(tmp_path):
    omega = np.arange(200) % 5 + 1.0
    chain = np.column_stack([omega, np.zeros(200), rows()])
    data = write(tmp_path / "c.1.txt", text(chain, "# weight minuslogpost speed mass", "  "))
    write_table(tmp_path / "x.csv", np.column_stack([omega, rows()]), ("w", *NAMES))
    said, model = fitted(tmp_path, data)
    assert "minuslogpost left out; column weight used as weights." in said
    _, named = fitted(tmp_path, tmp_path / "x.csv", "--weights", "w")
    assert model == named
    # Told otherwise.
    done("fit", data, "--weights", "mass", "-o", tmp_path / "m", *SMALL)
    assert load(tmp_path / "m").feature_names_in_.tolist() == ["speed"]
    # Rows for validation have theirs, too.
    said, _ = fitted(tmp_path, data, "--validation", data)
    assert said.count("column weight used as weights") == 2
    assert "left out" in done("score", tmp_path / "m", data).stderr


def test_some_files_with_weights_and_some_without(tmp_path):
    chain = np.column_stack([np.ones((200, 2)), rows()])
    first = write(tmp_path / "a.txt", text(chain, "# weight minuslogpost speed mass", " "))
    write_table(tmp_path / "b.csv", rows(), NAMES)
    result = invoke("fit", first, tmp_path / "b.csv", "-o", tmp_path / "m", *SMALL)
    assert_one_error(result, "got none in", "b.csv", "--weights")


def test_a_column_that_numbers_the_rows(tmp_path):
    data = write(tmp_path / "x.csv", mixed(rows()))
    fit = ("fit", data, "--drop", "name,day,ok", "-o", tmp_path / "m", *SMALL)
    assert "column id numbers the rows: leave it out with --drop id." in done(*fit).stderr
    assert "numbers the rows" not in done(*fit, "--quiet").stderr


@pytest.mark.parametrize("more", [(), ("--given", "speed"), ("--blocks", "speed")])
def test_columns_of_one_value_are_remembered(tmp_path, more):
    values = np.column_stack([np.full(200, 2.5), rows(), np.zeros(200)])
    write_table(tmp_path / "x.csv", values, ("c", *NAMES, "zero"))
    settings = SMALL[:8] if more else SMALL
    fit = ("fit", tmp_path / "x.csv", "-o", tmp_path / "m", *more, *settings)
    assert_one_error(invoke(*fit), "constant column", "'c'")
    said = done(*fit, "--drop-constant", "--validation", tmp_path / "x.csv").stderr
    assert "c = 2.5, zero = 0 in all rows: left out, samples carry it." in said
    assert "c = 2.5, zero = 0" in done("info", tmp_path / "m").stdout
    given = ("--given", tmp_path / "x.csv") if "--given" in more else ()
    done("sample", tmp_path / "m", *given, "-n", 3, "-o", tmp_path / "new.csv")
    new = read_table(tmp_path / "new.csv")
    assert new.columns == (*NAMES, "c", "zero")
    np.testing.assert_array_equal(new.values[:, 2:], [[2.5, 0]] * len(new.values))
    done("score", tmp_path / "m", tmp_path / "new.csv")


def test_a_table_of_constants_has_no_density(tmp_path):
    write_table(tmp_path / "x.csv", np.ones((20, 2)), NAMES)
    result = invoke("fit", tmp_path / "x.csv", "-o", tmp_path / "m", "--drop-constant", *SMALL)
    assert_one_error(result, "with different values")
