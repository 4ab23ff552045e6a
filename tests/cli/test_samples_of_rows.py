"""Long tables: a command that fits or judges uses a sample of their rows, and says so."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_tables import NAMES, SMALL, named, rows
from terminal import done, invoke

from brenier import load
from brenier.cli.files import Reading
from brenier.cli.inputs import read_inputs
from brenier.cli.kept import Kept
from brenier.cli.weights import WeightsColumn
from brenier.data.row_sample import RowSample
from brenier.io import folder as folders
from brenier.io import pieces, text_pieces
from brenier.io.table import write_table

N, K = 240, 150


@pytest.fixture(scope="module")
def X():
    return rows(N, seed=7)


@pytest.fixture
def parts(X, tmp_path, monkeypatch):
    """The table in three files of a folder, with weights, of which few rows are read at a time."""
    monkeypatch.setattr(folders, "PIECE_BYTES", 8 * 3 * 20)
    return written(tmp_path, "parts", X)


def written(tmp_path, name, X, ends=(11, 130)):
    (tmp_path / name).mkdir()
    for k, part in enumerate(np.split(with_weights(X), ends)):
        write_table(tmp_path / name / f"{k}.parquet", part, (*NAMES, "w"))
    return tmp_path / name


def with_weights(X):
    """Return rows with weights that are made of them."""
    return np.column_stack([X, np.floor(3.0 * X[:, 1])])


def kept_of(X, most=K):
    sample = RowSample(most)
    sample.add(X)
    return sample.kept[0]


def fitted(tmp_path, *arguments):
    """Return what is said of a fit, and some log-densities of its model."""
    result = done("fit", *arguments, "-o", tmp_path / "m", *SMALL)
    return result, densities(tmp_path / "m")


def densities(path):
    return load(path).score_samples(named(rows(20, seed=5))).tolist()


def notes(result):
    return [line for line in result.stderr.splitlines() if line.startswith("Note: ")]


@pytest.mark.parametrize("weights", [("--drop", "w"), ("--weights", "w"), ("--log-weights", "w")])
def test_a_fit_of_a_sample_is_that_of_its_rows(weights, X, parts, tmp_path):
    said, found = fitted(tmp_path, parts, "--max-rows", K, *weights)
    assert f"Fitting {K} of {N} rows" in said.stderr
    assert f"{parts}: {K} of {N} rows are used, which a hash of their contents" in said.stderr
    assert len(notes(said)) == 1
    write_table(tmp_path / "kept.csv", with_weights(kept_of(X)), (*NAMES, "w"))
    said, expected = fitted(tmp_path, tmp_path / "kept.csv", *weights)
    assert found == expected
    assert notes(said) == []


def test_neither_order_nor_files_nor_formats_matter(X, parts, tmp_path):
    options = ("--max-rows", K, "--weights", "w")
    _, found = fitted(tmp_path, parts, *options)
    shuffled = written(tmp_path, "other", np.random.default_rng(0).permutation(X), (70, 71, 200))
    assert fitted(tmp_path, shuffled, *options)[1] == found
    write_table(tmp_path / "x.csv", with_weights(X), (*NAMES, "w"))
    assert fitted(tmp_path, tmp_path / "x.csv", *options)[1] == found


def test_no_more_rows_are_held_than_a_quarter_above_those_kept_and_a_piece(X, parts):
    kept = Kept(WeightsColumn.of("w", None), Reading(most_rows=40))
    kept.read(str(parts))
    assert len(kept.table.values) == len(kept.weights) == 40
    assert kept.sample.n_rows == N
    assert kept.sample.largest_held <= 40 + 40 // 4 + 20


def test_long_text_is_read_in_pieces(X, parts, tmp_path, monkeypatch):
    options = ("--max-rows", K, "--weights", "w")
    _, found = fitted(tmp_path, parts, *options)
    write_table(tmp_path / "x.csv", with_weights(X), (*NAMES, "w"))
    monkeypatch.setattr(text_pieces, "LONG", 0)
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 500)
    monkeypatch.setattr(pieces, "PIECE", 100)
    said, same = fitted(tmp_path, tmp_path / "x.csv", *options)
    assert same == found
    assert f"{K} of {N} rows are used" in said.stderr


@pytest.mark.parametrize("most", [N, N + 1, "all"])
def test_of_no_more_rows_all_are_used(most, parts, tmp_path):
    said, found = fitted(tmp_path, parts, "--drop", "w")
    again, same = fitted(tmp_path, parts, "--drop", "w", "--max-rows", most)
    assert found == same
    assert notes(said) == notes(again) == []


def test_the_cap_is_on_the_rows_of_all_files_together(X, parts, tmp_path):
    files = [parts / f"{k}.parquet" for k in range(3)]
    said, _ = fitted(tmp_path, *files, "--drop", "w", "--max-rows", K, "--json")
    assert f"3 chains of 11 to 119 draws; {K} of {N} rows are used" in notes(said)[0]
    answer = json.loads(said.stdout)
    assert (answer["rows"], answer["rows_read"]) == (K, N)
    model = load(tmp_path / "m")
    assert model.report_.n_train + model.report_.n_heldout <= K


def test_logarithms_of_weights_are_relative_to_the_largest_of_their_file(X, parts):
    files = [str(parts / f"{k}.parquet") for k in range(3)]
    column = WeightsColumn.of(None, "w")
    found, whole = (
        read_inputs(files, None, column, None, Reading(most_rows=most)) for most in (K, None)
    )
    places = [np.flatnonzero((whole.values == row).all(axis=1))[0] for row in found.values]
    np.testing.assert_array_equal(found.weights, whole.weights[places])
    np.testing.assert_array_equal(found.chains, whole.chains[places])


def test_rows_for_validation_are_a_sample_of_their_own(X, parts, tmp_path):
    validation = written(tmp_path, "validation", rows(200, seed=8), (90,))
    options = ("--drop", "w", "--max-rows", K, "--validation")
    said, found = fitted(tmp_path, parts, *options, validation)
    assert f"{validation}: {K} of 200 rows are used" in said.stderr
    write_table(tmp_path / "held.csv", kept_of(rows(200, seed=8)), NAMES)
    assert fitted(tmp_path, parts, *options, tmp_path / "held.csv")[1] == found


def test_rows_with_missing_values_are_counted_in_all_pieces(X, parts, tmp_path):
    table = with_weights(X)
    table[[3, 140, 200], [0, 1, 1]] = np.nan
    for k, part in enumerate(np.split(table, [11, 130])):
        write_table(parts / f"{k}.parquet", part, (*NAMES, "w"))
    refused = invoke("fit", parts, "-o", tmp_path / "m", "--max-rows", K, *SMALL)
    assert "row 4, column 'speed'" in refused.stderr
    options = ("--drop", "w", "--max-rows", K, "--drop-missing")
    said, found = fitted(tmp_path, parts, *options)
    missing = f"3 of {N} rows left out for missing values (row 4, row 141, row 201)"
    assert notes(said) == [
        f"Note: {parts}: {missing}; {K} of {N - 3} rows are used, which a hash of their contents "
        "chooses; --max-rows says how many, or all."
    ]
    write_table(tmp_path / "x.csv", table[~np.isnan(table).any(axis=1)], (*NAMES, "w"))
    assert fitted(tmp_path, tmp_path / "x.csv", *options)[1] == found


def test_what_is_wrong_with_a_weight_is_in_a_row_of_the_whole_table(X, parts, tmp_path):
    table = with_weights(X)
    table[77, 2] = np.inf
    for k, part in enumerate(np.split(table, [11, 130])):
        write_table(parts / f"{k}.parquet", part, (*NAMES, "w"))
    for option in ("--weights", "--log-weights"):
        refused = invoke("fit", parts, "-o", tmp_path / "m", "--max-rows", K, option, "w", *SMALL)
        assert "row 78" in refused.stderr


@pytest.mark.parametrize("command", ["diagnose", "compare"])
def test_what_judges_a_model_says_so_too(command, X, parts, model, tmp_path):
    again = tmp_path / "again.brenier"
    again.write_bytes(Path(model).read_bytes())
    models = [model, again] if command == "compare" else [model]
    said = done(command, *models, parts, "--max-rows", K, "--json")
    assert f"{K} of {N} rows are used" in said.stderr
    write_table(tmp_path / "x.csv", kept_of(X), NAMES)
    plain = done(command, *models, tmp_path / "x.csv", "--json")
    answers = [json.loads(result.stdout) for result in (said, plain)]
    for answer in answers:
        del answer["data"]
    assert answers[0] == answers[1]
