"""Tables written piece by piece: the bytes of the whole, and the older file where pieces fail."""

import gzip
import weakref

import numpy as np
import polars as pl
import pytest

from brenier.io import writers
from brenier.io.table import TableError, read_table, write_pieces, write_table

SUFFIXES = [".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npy", ".parquet", ".pq"]
on_all = pytest.mark.parametrize("suffix", SUFFIXES)
N = 100


@pytest.fixture
def X():
    X = np.random.default_rng(0).normal(size=(N, 3))
    X[[3, 70], 1] = np.nan
    X[5, 2] = -np.inf
    return X


@pytest.fixture
def short(monkeypatch):
    """Groups and blocks that are shorter than the table."""
    monkeypatch.setattr(writers, "GROUP_ROWS", 16)
    monkeypatch.setattr(writers, "BLOCK", 64)


@on_all
@pytest.mark.parametrize(
    "ends", [(1,), (16,), (15, 16, 17), (50, 99), range(1, N), range(40, N, 40)]
)
@pytest.mark.usefixtures("short")
def test_bytes_are_those_of_the_whole(X, tmp_path, suffix, ends):
    write_table(tmp_path / f"whole{suffix}", X, ["a", "b", "c"])
    write_pieces(tmp_path / f"pieces{suffix}", iter(np.split(X, ends)), ["a", "b", "c"])
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    assert (tmp_path / f"pieces{suffix}").read_bytes() == whole
    found = read_table(tmp_path / f"pieces{suffix}", allow_missing=True)
    np.testing.assert_array_equal(found.values, X)


def test_files_are_those_of_the_formats_own_libraries(X, tmp_path):
    for suffix in SUFFIXES:
        write_table(tmp_path / f"a{suffix}", X)
    np.save(tmp_path / "b.npy", X)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    text = (tmp_path / "a.csv").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == text
    frame = pl.from_numpy(X, schema=["x0", "x1", "x2"])
    assert text.decode() == frame.write_csv()


@on_all
@pytest.mark.parametrize("error", [ValueError("no row"), KeyboardInterrupt()])
@pytest.mark.usefixtures("short")
def test_a_piece_that_fails_leaves_the_old_file_and_nothing_else(X, tmp_path, suffix, error):
    path = tmp_path / f"a{suffix}"
    write_table(path, X)
    before = path.read_bytes()

    def pieces():
        yield X[:40]
        yield X[40:50]
        raise error

    with pytest.raises(type(error)):
        write_pieces(path, pieces())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@on_all
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    resource = pytest.importorskip("resource")
    path = tmp_path / f"a{suffix}"
    write_table(path, np.zeros((2, 2)))
    before = path.read_bytes()
    pieces = np.random.default_rng(0).normal(size=(4, 30_000, 2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="older file of that name is unchanged"):
            write_pieces(path, iter(pieces))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".npy", ".parquet"])
@pytest.mark.usefixtures("short")
def test_no_piece_is_kept(X, tmp_path, suffix):
    alive = []

    def pieces():
        for _ in range(20):
            piece = X + 1.0
            alive.append(weakref.ref(piece))
            yield piece
            del piece
            # Parquet's thread may have two groups yet: one that it writes, and one that waits.
            assert sum(one() is not None for one in alive) <= 4

    write_pieces(tmp_path / f"a{suffix}", pieces())


def test_standard_output_has_a_line_of_names_once(X, capfdbinary):
    write_pieces("-", iter(np.split(X, [30])), ["a", "b", "c"])
    in_pieces = capfdbinary.readouterr().out
    write_table("-", X, ["a", "b", "c"])
    assert in_pieces == capfdbinary.readouterr().out
    assert in_pieces.count(b"a,b,c") == 1


def test_names_are_refused_before_there_is_a_file(X, tmp_path):
    with pytest.raises(TableError, match="column names"):
        write_pieces(tmp_path / "a.csv", iter([X]), ["a"])
    assert not list(tmp_path.iterdir())
