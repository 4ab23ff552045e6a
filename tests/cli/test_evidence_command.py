"""`brenier evidence`: constants that are known, from files of draws."""

import json

import numpy as np
import pytest
from scipy.stats import norm
from small_tables import SMALL
from terminal import assert_one_error, done, invoke

from brenier.cli.door import ExitCode
from brenier.io.table import write_table

LOG_Z = 2.5


def draws(N, seed):
    """Return normal draws of two columns, and their unnormalised log-densities."""
    X = np.random.default_rng(seed).normal(size=(N, 2))
    return X, norm.logpdf(X).sum(axis=1) + LOG_Z


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evidence")
    X, logs = draws(300, 0)
    write_table(folder / "first.csv", X, ["a", "b"])
    done("fit", folder / "first.csv", "-o", folder / "model.brenier", *SMALL)
    X, logs = draws(500, 1)
    write_table(folder / "more.csv", np.column_stack([logs, X[:, ::-1]]), ["lp__", "b", "a"])
    return folder


def test_the_constant_is_found(place):
    model, more = place / "model.brenier", place / "more.csv"
    said = done("evidence", model, more, "--log-posterior", "lp__").stdout
    found = json.loads(done("evidence", model, more, "--log-posterior", "lp__", "--json").stdout)
    assert abs(found["log_evidence"] - LOG_Z) < 4 * found["standard_error"]
    assert 0 < found["standard_error"] < 0.05
    assert found["n_draws"] == 500
    assert f"{found['log_evidence']:.4f} +- {found['standard_error']:.4f} nats" in said
    quiet = done("evidence", model, more, "--log-posterior", "lp__", "-q").stdout
    assert float(quiet) == found["log_evidence"]


def test_weights_of_a_chain_are_repetitions(place, tmp_path):
    X, logs = draws(500, 1)
    times = np.random.default_rng(2).integers(1, 4, size=500)
    table = np.column_stack([times, -logs, X])
    write_table(tmp_path / "chain.csv", table, ["weight", "minuslogpost", "a", "b"])
    repeated = np.repeat(np.column_stack([X, logs]), times, axis=0)
    write_table(tmp_path / "repeated.csv", repeated, ["a", "b", "log_p"])
    options = (("chain.csv", "--minus-log-posterior", "minuslogpost"),)
    options += (("repeated.csv", "--log-posterior", "log_p"),)
    one, other = (
        json.loads(
            done("evidence", place / "model.brenier", tmp_path / name, *rest, "--json").stdout
        )
        for name, *rest in options
    )
    assert one["n_draws"] == times.sum()
    assert one["log_evidence"] == pytest.approx(other["log_evidence"], abs=1e-12)
    assert one["standard_error"] == pytest.approx(other["standard_error"], rel=1e-9)
    table[3, 0] = 1.5
    write_table(tmp_path / "chain.csv", table, ["weight", "minuslogpost", "a", "b"])
    result = invoke("evidence", place / "model.brenier", tmp_path / "chain.csv", *options[0][1:])
    assert_one_error(result, "Expected whole weights", "got 1.5")


def test_draws_that_it_was_fitted_to_are_warned_of(place, tmp_path):
    X, logs = draws(300, 0)
    write_table(tmp_path / "seen.csv", np.column_stack([X, logs]), ["a", "b", "lp__"])
    result = done(
        "evidence", place / "model.brenier", tmp_path / "seen.csv", *"--log-posterior lp__".split()
    )
    assert "got 300 of 300 that it was" in result.stderr


def test_what_no_evidence_is_of(place, tmp_path):
    model, more = place / "model.brenier", place / "more.csv"
    for options in ((), ("--log-posterior", "a", "--minus-log-posterior", "b")):
        assert invoke("evidence", model, more, *options).exit_code == ExitCode.USAGE
    result = invoke("evidence", model, more, "--log-posterior", "log_p")
    assert_one_error(result, "'log_p'")
    assert_one_error(invoke("evidence", model, more, "--log-posterior", "a"), "Fit with --drop a")
    X, logs = draws(1, 1)
    write_table(tmp_path / "one.csv", np.column_stack([X, logs]), ["a", "b", "lp__"])
    result = invoke("evidence", model, tmp_path / "one.csv", "--log-posterior", "lp__")
    assert_one_error(result, "Expected 2 draws or more", "got 1")
