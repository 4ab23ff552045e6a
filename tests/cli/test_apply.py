"""`brenier score`, `sample`, `transform` and `inverse`: a model applied to files of rows."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from small_tables import NAMES, SMALL, named, rows
from terminal import TIMEOUT, done

from brenier import load
from brenier.cli.door import ExitCode
from brenier.io.table import read_table, write_table

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".npy", ".parquet")
# The inverse map iterates to a residual of about 1e-10 in whitened units.
INVERSE_TOLERANCE = 1e-6


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_command_in_every_format(suffix, model, tmp_path):
    X, flow = rows(30, seed=3), load(model)
    data, z = tmp_path / f"x{suffix}", tmp_path / f"z{suffix}"
    write_table(data, X, NAMES)

    done("score", model, data, "-o", tmp_path / f"s{suffix}")
    done("transform", model, data, "-o", z)
    done("inverse", model, z, "-o", tmp_path / f"back{suffix}")
    done("sample", model, "-n", 7, "--seed", 1, "-o", tmp_path / f"new{suffix}")

    score, transformed, back, new = (
        read_table(tmp_path / f"{name}{suffix}") for name in ("s", "z", "back", "new")
    )
    has_names = suffix != ".npy"
    assert score.columns == (("log_density",) if has_names else None)
    assert transformed.columns == (("z0", "z1") if has_names else None)
    assert back.columns == new.columns == (NAMES if has_names else None)
    X_named = named(X)
    np.testing.assert_array_equal(score.values[:, 0], flow.score_samples(X_named))
    np.testing.assert_array_equal(transformed.values, flow.transform(X_named))
    np.testing.assert_array_equal(new.values, flow.sample(7, random_state=1))
    np.testing.assert_allclose(back.values, X, rtol=INVERSE_TOLERANCE)


def test_score_prints_means_with_errors_and_the_verdict(brenier, folder, model):
    result = brenier("score", model, folder / "train.csv.gz")
    assert result.returncode == 0
    assert result.stderr == ""
    assert re.search(r"mean log-likelihood +-?\d+\.\d{4} \+- \d\.\d{4} nats", result.stdout)
    assert re.search(r"gain over Gaussian +-?\d+\.\d{4} \+- \d\.\d{4} nats", result.stdout)
    assert "Gaussian" in result.stdout.splitlines()[4]


def test_score_quiet_is_one_number(folder, model):
    result = done("score", model, folder / "train.csv.gz", "--quiet")
    assert float(result.stdout) == pytest.approx(load(model).score(named(rows())))
    assert result.stderr == ""


def test_score_to_standard_output_leaves_it_to_the_table(folder, model):
    result = done("score", model, folder / "train.csv.gz", "-o", "-")
    assert result.stdout.startswith("log_density\n")
    assert len(result.stdout.splitlines()) == 201
    assert "mean log-likelihood" in result.stderr


def test_score_names_rows_of_density_zero(model, tmp_path):
    X = rows(20)
    X[[3, 7], 1] = [-2.0, 0.0]
    write_table(tmp_path / "x.csv", X, NAMES)
    result = done("score", model, tmp_path / "x.csv")
    assert "2 rows (counted from 1)" in result.stdout
    assert "row 4: mass = -2 is not in (0, inf)" in result.stdout
    assert "row 8: mass = 0 is not in (0, inf)" in result.stdout
    assert "density zero under the model" in result.stdout
    answer = json.loads(done("score", model, tmp_path / "x.csv", "--json").stdout)
    assert answer["log_likelihood"]["mean"] is None
    inside = np.delete(X, [3, 7], axis=0)
    assert answer["log_likelihood_of_other_rows"]["mean"] == pytest.approx(
        load(model).score(named(inside))
    )


def test_score_of_one_row_has_no_standard_error(model, tmp_path):
    write_table(tmp_path / "x.csv", rows(1), NAMES)
    assert "nan" not in done("score", model, tmp_path / "x.csv").stdout
    answer = json.loads(done("score", model, tmp_path / "x.csv", "--json").stdout)
    assert answer["log_likelihood"]["standard_error"] is None


def test_rows_without_image_are_one_plain_warning(model, tmp_path):
    X = rows(20)
    X[3, 1] = -2.0
    write_table(tmp_path / "x.csv", X, NAMES)
    result = done("transform", model, tmp_path / "x.csv")
    assert result.stderr.startswith("Warning: 1 of 20 rows")
    assert len(result.stderr.splitlines()) == 1
    assert "NaN,NaN" in result.stdout


def test_columns_in_another_order_are_put_right_and_said(model, tmp_path):
    X = rows(20)
    write_table(tmp_path / "x.csv", X, NAMES)
    write_table(tmp_path / "reordered.csv", X[:, ::-1], NAMES[::-1])
    plain = done("transform", model, tmp_path / "x.csv")
    reordered = done("transform", model, tmp_path / "reordered.csv")
    assert plain.stderr == ""
    assert plain.stdout == reordered.stdout
    assert "were put in the model's order: speed, mass" in reordered.stderr


def test_names_of_data_are_not_asked_of_a_model_without(tmp_path):
    write_table(tmp_path / "x.npy", rows())
    write_table(tmp_path / "x.csv", rows(), NAMES)
    write_table(tmp_path / "default.csv", rows()[:, ::-1], ("x1", "x0"))
    done("fit", tmp_path / "x.npy", "-o", tmp_path / "m", *SMALL)
    array = done("transform", tmp_path / "m", tmp_path / "x.npy")
    named = done("transform", tmp_path / "m", tmp_path / "x.csv")
    default = done("transform", tmp_path / "m", tmp_path / "default.csv")
    assert array.stdout == named.stdout == default.stdout
    assert "are taken in order" in named.stderr
    assert "put in the model's order" in default.stderr
    assert done("sample", tmp_path / "m", "-n", 1).stdout.startswith("x0,x1\n")


def test_standard_input_and_output(model):
    drawn = done("sample", model, "-n", 5).stdout
    assert drawn == done("sample", model, "-n", 5).stdout
    assert drawn != done("sample", model, "-n", 5, "--seed", 1).stdout
    assert drawn.startswith("speed,mass\n")
    mapped = done("transform", model, "-", stdin=drawn).stdout
    back = done("inverse", model, "-", stdin=mapped).stdout
    actual, expected = (
        np.loadtxt(text.splitlines(), delimiter=",", skiprows=1) for text in (back, drawn)
    )
    np.testing.assert_allclose(actual, expected, rtol=INVERSE_TOLERANCE)


def test_broken_pipe_ends_quietly(environment, model):
    with subprocess.Popen(
        [sys.executable, "-m", "brenier", "sample", model, "-n", "20000"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "speed,mass\n"
        process.stdout.close()
        messages = process.stderr.read()
        process.wait(timeout=TIMEOUT)
    assert messages == ""
    assert process.returncode == ExitCode.BROKEN_PIPE
