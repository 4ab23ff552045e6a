"""Folders of Parquet files on the command line: fitted as one table, scored piece by piece."""

import json

import numpy as np
import pytest
from small_tables import NAMES, SMALL, named, rows
from terminal import assert_one_error, done, invoke

from brenier import load
from brenier.io import folder as folders
from brenier.io.table import read_table, write_table

ROWS = 60


@pytest.fixture
def table():
    """Rows, two of density zero among them, and weights."""
    X = rows(ROWS, seed=3)
    X[[7, 41], 1] = -1.0
    return np.column_stack([X, np.random.default_rng(0).integers(0, 4, size=ROWS)])


@pytest.fixture
def parts(table, tmp_path, monkeypatch):
    """The same in three files of a folder, which is read by few rows at a time."""
    monkeypatch.setattr(folders, "PIECE_BYTES", 8 * 3 * 9)
    (tmp_path / "parts").mkdir()
    for k, part in enumerate(np.split(table, [11, 30])):
        write_table(tmp_path / "parts" / f"{k}.parquet", part, (*NAMES, "w"))
    return tmp_path / "parts"


@pytest.mark.parametrize("weights", [(), ("--weights", "w"), ("--log-weights", "w")])
def test_scores_are_those_of_one_file(weights, model, table, parts, tmp_path):
    write_table(tmp_path / "x.csv", table, (*NAMES, "w"))
    answers, scores = [], []
    for data in (parts, tmp_path / "x.csv"):
        shown = done("score", model, data, "-o", tmp_path / "s.npy", "--json", *weights).stdout
        answers.append({key: value for key, value in json.loads(shown).items() if key != "data"})
        scores.append(read_table(tmp_path / "s.npy", allow_missing=True).values[:, 0])
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(scores[0], load(model).score_samples(named(table[:, :2])))
    assert answers[0]["first_of_density_zero"] == answers[1]["first_of_density_zero"]
    inside = [answer["log_likelihood_of_other_rows"] for answer in answers]
    assert inside[0] == pytest.approx(inside[1])
    assert answers[0]["effective_size"] == pytest.approx(answers[1]["effective_size"])
    assert answers[0]["rows"] == ROWS


@pytest.mark.parametrize("logs", [np.arange(ROWS) * 9.0, -np.arange(ROWS) % 50 * 40.0])
def test_logarithms_of_weights_may_become_larger_piece_by_piece(
    logs, model, table, parts, tmp_path
):
    table[:, 2] = logs
    table[:20, 2] = -np.inf
    for k, part in enumerate(np.split(table, [11, 30])):
        write_table(parts / f"{k}.parquet", part, (*NAMES, "w"))
    write_table(tmp_path / "x.csv", table, (*NAMES, "w"))
    many, one = (
        json.loads(done("score", model, data, "--json", "--log-weights", "w").stdout)
        for data in (parts, tmp_path / "x.csv")
    )
    assert many["effective_size"] == pytest.approx(one["effective_size"])
    for key in ("log_likelihood", "log_likelihood_of_other_rows"):
        assert many[key] == pytest.approx(one[key])


def test_logarithms_of_no_weight_at_all(model, table, parts):
    table[:, 2] = -np.inf
    for k, part in enumerate(np.split(table, [11, 30])):
        write_table(parts / f"{k}.parquet", part, (*NAMES, "w"))
    refused = invoke("score", model, parts, "--log-weights", "w")
    assert_one_error(refused, "some rows above minus infinity in the column 'w'")


def test_what_is_wrong_is_in_a_row_of_the_whole_table(model, table, parts, tmp_path):
    table[33, 0] = np.nan
    write_table(parts / "2.parquet", table[30:], (*NAMES, "w"))
    refused = invoke("score", model, parts)
    assert_one_error(refused, "row 34, column 'speed'", "13 rows after row 26")
    answer = json.loads(done("score", model, parts, "--json", "--drop-missing").stdout)
    assert answer["rows"] == ROWS - 1
    table[33, 0], table[50, 2] = 0.0, -1.0
    write_table(parts / "2.parquet", table[30:], (*NAMES, "w"))
    assert_one_error(invoke("score", model, parts, "--weights", "w"), "first: row 51: -1")
    table[:, 2] = 0.0
    for k, part in enumerate(np.split(table, [11, 30])):
        write_table(parts / f"{k}.parquet", part, (*NAMES, "w"))
    assert_one_error(invoke("score", model, parts, "--weights", "w"), "zero for every row")


def test_a_folder_is_fitted_and_names_its_model(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = done("fit", "parts", "--drop", "w", *SMALL)
    assert f"Fitting {ROWS} rows of 2 columns" in shown.stderr
    flow = load("parts.brenier")
    assert flow.feature_names_in_.tolist() == list(NAMES)
    done("fit", "parts/*.parquet", "--drop", "w", "-o", "again.brenier", *SMALL)
    X = named(rows())
    np.testing.assert_array_equal(load("again.brenier").score_samples(X), flow.score_samples(X))
    monkeypatch.chdir(parts)
    done("fit", "[01].parquet", "--drop", "w", *SMALL)
    assert (parts / "parts.brenier").is_file()


def test_files_that_are_read_are_not_written_to(model, parts):
    before = (parts / "1.parquet").read_bytes()
    refused = invoke("score", model, parts, "-o", parts / "1.parquet")
    assert_one_error(refused, "for both")
    assert (parts / "1.parquet").read_bytes() == before
