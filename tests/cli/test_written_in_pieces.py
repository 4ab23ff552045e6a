"""What is written of rows that are read in pieces is what is written of all of them."""

import numpy as np
import pytest
from small_tables import NAMES, SMALL, rows, write
from terminal import assert_one_error, done, invoke

from brenier.io import folder as folders
from brenier.io import writers
from brenier.io.table import read_table, write_table

N = 60
SUFFIXES = (".csv", ".npy", ".parquet", ".csv.gz")


@pytest.fixture
def X():
    """Rows, two without an image among them."""
    X = rows(N, seed=3)
    X[[7, 41], 1] = -1.0
    return X


@pytest.fixture
def parts(X, tmp_path, monkeypatch):
    """The same in three files of a folder, which is read by few rows at a time."""
    monkeypatch.setattr(folders, "PIECE_BYTES", 8 * 2 * 9)
    monkeypatch.setattr(writers, "GROUP_ROWS", 16)
    return folder_of(tmp_path / "parts", X, NAMES)


def folder_of(folder, X, names):
    folder.mkdir()
    for k, part in enumerate(np.split(X, [11, 30])):
        write_table(folder / f"{k}.parquet", part, names)
    return folder


def written(tmp_path, *arguments, suffix=".csv", of="out"):
    """Return what a command writes, and what it says."""
    path = tmp_path / f"{of}{suffix}"
    result = done(*arguments, "-o", path)
    return path.read_bytes(), result.stderr


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("command", ["score", "transform"])
def test_bytes_and_what_is_said_are_those_of_one_file(command, suffix, X, model, parts, tmp_path):
    write_table(tmp_path / "x.csv", X, NAMES)
    found = written(tmp_path, command, model, parts, suffix=suffix)
    assert found == written(tmp_path, command, model, tmp_path / "x.csv", suffix=suffix)
    if command == "transform":
        assert "2 of 60 rows lie on or beyond their column's bounds (first: row 7)" in found[1]
        assert found[1].count("Warning: ") == 1


def test_the_way_back(X, model, parts, tmp_path):
    write_table(tmp_path / "x.csv", np.delete(X, [7, 41], axis=0), NAMES)
    done("transform", model, tmp_path / "x.csv", "-o", tmp_path / "z.csv")
    z = read_table(tmp_path / "z.csv")
    images = folder_of(tmp_path / "z", z.values, z.columns)
    back = written(tmp_path, "inverse", model, images)
    assert back == written(tmp_path, "inverse", model, tmp_path / "z.csv")


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory):
    """A mixture, and one given a column."""
    folder = tmp_path_factory.mktemp("mixtures")
    write_table(folder / "x.csv", rows(300, seed=1), NAMES)
    fast = ("--widths", "4", "--max-iter", "5", "--n-estimators", "1", "--decay", "0.01")
    fit = ("fit", folder / "x.csv", "--kind", "mixture", *fast)
    done(*fit, "-o", folder / "joint")
    done(*fit, "--given", "speed", "-o", folder / "given")
    return folder


@pytest.mark.parametrize("name", ["joint", "given"])
def test_components_are_drawn_as_of_one_table(name, mixtures, parts, X, tmp_path):
    write_table(tmp_path / "x.csv", X, NAMES)
    found, _ = written(tmp_path, "transform", mixtures / name, parts)
    expected, _ = written(tmp_path, "transform", mixtures / name, tmp_path / "x.csv")
    assert found == expected


def test_counted_columns_are_drawn_as_of_one_table(tmp_path, monkeypatch):
    X = rows(N, seed=4)
    X[:, 1] = np.round(4.0 * X[:, 1])
    write_table(tmp_path / "x.csv", X, NAMES)
    monkeypatch.setattr(folders, "PIECE_BYTES", 8 * 2 * 9)
    parts = folder_of(tmp_path / "parts", X, NAMES)
    done("fit", tmp_path / "x.csv", "--discrete", "mass", "-o", tmp_path / "m", *SMALL)
    found, _ = written(tmp_path, "transform", tmp_path / "m", parts)
    assert found == written(tmp_path, "transform", tmp_path / "m", tmp_path / "x.csv")[0]


@pytest.mark.parametrize("command", ["score", "transform"])
def test_what_fails_in_a_later_piece_leaves_the_older_file(command, X, model, parts, tmp_path):
    X[50, 0] = np.nan
    write_table(parts / "2.parquet", X[30:], NAMES)
    old = write(tmp_path / "out.parquet", "old")
    refused = invoke(command, model, parts, "-o", old)
    assert_one_error(refused, "row 51, column 'speed'")
    assert old.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "parts"]
    found = written(tmp_path, command, model, parts, "--drop-missing")
    assert "1 of 60 rows left out for missing values (row 51)" in found[1]
