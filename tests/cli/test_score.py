"""`brenier score` of rows with weights: those of a chain's file, and those of a column."""

import json

import numpy as np
import pytest
from small_tables import NAMES, SMALL, named, rows
from terminal import assert_one_error, done, invoke

from brenier import load
from brenier.cli.door import ExitCode
from brenier.io.table import read_table, write_table

N = 60
X = rows(N, seed=3)
OMEGA = np.arange(N) % 4 + 1.0
# Kish's number of rows of equal weight.
WORTH = OMEGA.sum() ** 2 / (OMEGA**2).sum()


def chain(path, values=X, weights=OMEGA):
    """Write rows as Cobaya writes a chain."""
    table = np.column_stack([weights, np.zeros(len(values)), values])
    np.savetxt(path, table, header="weight minuslogpost speed mass")
    return path


def answer(*arguments):
    return json.loads(done("score", *arguments, "--json").stdout)


def test_a_chains_own_weights_weight_the_mean(model, tmp_path):
    data = chain(tmp_path / "chain.1.txt")
    said = done("score", model, data, "-o", tmp_path / "s.csv")
    assert said.stderr.splitlines() == [
        f"Note: {data}: minuslogpost left out; column weight used as weights."
    ]
    flow = load(model)
    mean = flow.score(named(X), sample_weight=OMEGA)
    assert mean != pytest.approx(flow.score(named(X)), abs=1e-3)
    lines = dict(line.split(maxsplit=1) for line in said.stdout.splitlines() if "rows" in line[:6])
    assert lines["rows"] == f"{N}, worth {WORTH:.1f}"
    assert f"mean log-likelihood {mean:.4f} +- " in " ".join(said.stdout.split())
    assert said.stdout.count("nats per row, weighted\n") == 2
    assert f"these {N} weighted rows" in said.stdout
    assert float(done("score", model, data, "--quiet").stdout) == pytest.approx(mean)
    # Every row's own density has no weight.
    written = read_table(tmp_path / "s.csv").values[:, 0]
    np.testing.assert_array_equal(written, flow.score_samples(named(X)))


def test_a_weight_is_a_number_of_copies(model, tmp_path):
    write_table(tmp_path / "copies.csv", np.repeat(X, OMEGA.astype(int), axis=0), NAMES)
    weighted = answer(model, chain(tmp_path / "chain.txt"))
    copies = answer(model, tmp_path / "copies.csv")
    assert (weighted["weighted"], copies["weighted"]) == (True, False)
    assert weighted["effective_size"] == pytest.approx(WORTH)
    assert copies["effective_size"] == OMEGA.sum()
    for name in ("log_likelihood", "gain"):
        assert weighted[name]["mean"] == pytest.approx(copies[name]["mean"])
        # Copies are no independent rows.
        assert weighted[name]["standard_error"] > 1.2 * copies[name]["standard_error"]


def test_a_column_of_weights_or_of_their_logarithms(model, tmp_path):
    columns = np.column_stack([X[:, 1], OMEGA, np.log(OMEGA) + 700, X[:, 0]])
    write_table(tmp_path / "x.csv", columns, ("mass", "w", "log_w", "speed"))
    expected = answer(model, chain(tmp_path / "chain.txt"))
    for option in (("--weights", "w"), ("--log-weights", "log_w")):
        got = answer(model, tmp_path / "x.csv", *option)
        for name in ("log_likelihood", "gain"):
            assert got[name] == pytest.approx(expected[name])
    plain = answer(model, tmp_path / "x.csv")
    assert plain["log_likelihood"]["mean"] == pytest.approx(load(model).score(named(X)))
    both = invoke("score", model, tmp_path / "x.csv", "--weights", "w", "--log-weights", "log_w")
    assert both.exit_code == ExitCode.USAGE
    lost = invoke("score", model, tmp_path / "x.csv", "--weights", "v")
    assert_one_error(lost, "weights 'v'")


def test_rows_of_weight_zero_count_for_nothing(model, tmp_path):
    values, weights = X.copy(), OMEGA.copy()
    # The first has a density of zero, the second not.
    values[3, 1], weights[[3, 5]] = -2.0, 0.0
    got = answer(model, chain(tmp_path / "chain.txt", values, weights))
    assert got["rows_of_density_zero"] == 0
    without = np.delete(X, [3, 5], axis=0), np.delete(OMEGA, [3, 5])
    expected = answer(model, chain(tmp_path / "fewer.txt", *without))
    for name in ("log_likelihood", "gain", "log_likelihood_of_other_rows"):
        assert got[name] == pytest.approx(expected[name])
    weights[3] = 1.0
    got = answer(model, chain(tmp_path / "chain.txt", values, weights))
    assert got["first_of_density_zero"] == ["row 4: mass = -2 is not in (0, inf)"]
    assert got["log_likelihood"]["mean"] is None
    for name in ("log_likelihood", "gain"):
        assert got[f"{name}_of_other_rows"] == pytest.approx(expected[name])


def test_weights_that_are_none_are_refused(model, tmp_path):
    nothing = chain(tmp_path / "zero.txt", weights=np.zeros(N))
    assert_one_error(invoke("score", model, nothing), "a positive weight in", "zero for every row")
    negative = chain(tmp_path / "negative.txt", weights=OMEGA - 2)
    assert_one_error(invoke("score", model, negative), "negative.txt", "negative numbers")


def test_a_variable_of_the_model_is_no_weight(tmp_path):
    data = chain(tmp_path / "chain.txt", weights=np.exp(X[:, 0]))
    chosen = ("--columns", "weight,mass")
    done("fit", data, "-o", tmp_path / "m", *chosen, *SMALL, "--bounds", "weight=0:")
    assert not answer(tmp_path / "m", data)["weighted"]
    values = np.column_stack([np.exp(X[:, 0]), X[:, 1]])
    expected = load(tmp_path / "m").score(named(values, ("weight", "mass")))
    mean = answer(tmp_path / "m", data)["log_likelihood"]["mean"]
    assert mean == pytest.approx(expected)
