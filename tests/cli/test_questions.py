"""`--given NAME=VALUE`, `--columns` and missing cells: what is asked of a joint density."""

import json

import numpy as np
import polars as pl
import pytest
from small_tables import NAMES, SMALL, rows
from terminal import done, invoke

from brenier import load
from brenier.cli.door import ExitCode
from brenier.cli.questions import Given
from brenier.io.table import read_table, write_table


def refused(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == ExitCode.BAD_INPUT
    return result.stderr


def test_given_is_values_or_a_file():
    assert Given.of(["b=0.3", "p(a=1)=-2"]).values == (("b", 0.3), ("p(a=1)", -2.0))
    assert Given.of(["x=1.csv"]).file == "x=1.csv"
    assert not Given.of(None)
    for wrong in (["a.csv", "b.csv"], ["a.csv", "b=1"], ["b=1", "b=2"]):
        result = invoke("sample", "m", *(part for text in wrong for part in ("--given", text)))
        assert result.exit_code == ExitCode.USAGE


def test_sample_given_a_value(model, tmp_path):
    done("sample", model, "-n", 50, "--given", "speed=0.3", "--seed", 1, "-o", tmp_path / "s.csv")
    table = read_table(tmp_path / "s.csv")
    assert table.columns == NAMES
    assert (table.values[:, 0] == 0.3).all()
    expected = load(model).condition(speed=0.3).sample(50, random_state=1)
    np.testing.assert_array_equal(table.values[:, 1:], expected)


def test_sample_of_some_columns(model, tmp_path):
    for option in (("--columns", "m*"), ("--drop", "speed")):
        done("sample", model, "-n", 5, "--seed", 1, *option, "-o", tmp_path / "s.csv")
        table = read_table(tmp_path / "s.csv")
        assert table.columns == ("mass",)
        np.testing.assert_array_equal(table.values, load(model).sample(5, random_state=1)[:, 1:])


def test_columns_that_the_model_does_not_have_are_named(model):
    error = refused("sample", model, "--columns", "mas")
    assert "to name columns of the model (speed, mass); got mas. Did you mean 'mass'?" in error


def test_score_given_a_value(model, tmp_path):
    write_table(tmp_path / "x.csv", rows(20), NAMES)
    done("score", model, tmp_path / "x.csv", "--given", "speed=0.3", "-o", tmp_path / "s.csv")
    density = load(model).condition(speed=0.3)
    found = read_table(tmp_path / "s.csv").values[:, 0]
    np.testing.assert_allclose(found, density.log_density(rows(20)[:, 1]), atol=1e-7)
    text = done("score", model, tmp_path / "x.csv", "--given", "speed=0.3").stdout
    assert "given speed = 0.3" in text
    assert "gain over Gaussian" in text
    answer = done("score", model, tmp_path / "x.csv", "--given", "speed=0.3", "--json").stdout
    assert json.loads(answer)["given"] == {"speed": 0.3}


def test_score_of_some_columns(model, tmp_path):
    write_table(tmp_path / "x.csv", rows(20), NAMES)
    expected = load(model).marginal(["mass"]).log_density(rows(20)[:, 1])
    for option in (("--columns", "mass"), ("--drop", "speed")):
        done("score", model, tmp_path / "x.csv", *option, "-o", tmp_path / "s.csv")
        found = read_table(tmp_path / "s.csv").values[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-7)
    assert "columns mass" in done("score", model, tmp_path / "x.csv", "--columns", "mass").stdout


def test_missing_cells(model, tmp_path):
    X = rows(20)
    whole = load(model).score_samples(pl.from_numpy(X, schema=list(NAMES)))
    X[2, 0] = X[5, 1] = np.nan
    write_table(tmp_path / "x.csv", X, NAMES)
    error = refused("score", model, tmp_path / "x.csv")
    assert "2 missing" in error
    assert "--drop-missing or --integrate-missing" in error
    done("score", model, tmp_path / "x.csv", "--integrate-missing", "-o", tmp_path / "s.csv")
    found = read_table(tmp_path / "s.csv").values[:, 0]
    known = np.isfinite(X).all(axis=1)
    np.testing.assert_allclose(found[known], whole[known], rtol=1e-9)
    of_mass = load(model).marginal(["mass"]).log_density(X[2:3, 1])
    assert found[2] == pytest.approx(of_mass[0], abs=1e-7)
    both = invoke("score", model, tmp_path / "x.csv", "--integrate-missing", "--drop-missing")
    assert both.exit_code == ExitCode.USAGE


def test_errors_say_which_given_is_meant(model, tmp_path):
    write_table(tmp_path / "x.csv", rows(60), NAMES)
    error = refused("sample", model, "--given", tmp_path / "x.csv")
    assert "Expected --given NAME=VALUE, as in --given b=0.3" in error
    assert "`brenier fit --given`" in error
    assert "got 'size'" in refused("sample", model, "--given", "size=1")
    assert "got size" in refused("score", model, tmp_path / "x.csv", "--given", "size=1")
    assert "of all of them" in refused(
        "score", model, tmp_path / "x.csv", "--given", "speed=1", "--given", "mass=1"
    )
    assert "inside its bounds" in refused("sample", model, "--given", "mass=-1")
    conditional = tmp_path / "conditional"
    done("fit", tmp_path / "x.csv", "-o", conditional, "--given", "speed", *SMALL[:6])
    assert "Expected --given NAME=VALUE of each of speed" in refused("sample", conditional)
    assert "got mass" in refused("sample", conditional, "--given", "mass=1")
    error = refused("score", conditional, tmp_path / "x.csv", "--given", "speed=1")
    assert "Expected no --given" in error
    assert "columns of DATA" in error
    assert "Expected no --integrate-missing" in refused(
        "score", conditional, tmp_path / "x.csv", "--integrate-missing"
    )
    done("sample", conditional, "--given", "speed=0.5", "-n", 3, "-o", tmp_path / "s.csv")
    assert (read_table(tmp_path / "s.csv").values[:, 0] == 0.5).all()
