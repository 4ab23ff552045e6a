"""Archives, compressed files and tables of other programs: one table is found, or what is there."""

import bz2
import gzip
import lzma
import sys
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from table_files import npy, parquet, refusal, save

from brenier.io.columns import Columns
from brenier.io.table import TableError, read_table

ROWS = np.array([[1.0, 2.5], [3.0, -4.0]])
CSV = b"a,b\n1.0,2.5\n3.0,-4.0\n"
COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
# The memory that a refusal may take, and what unfolds to more than is read.
LITTLE, BOMB = 1 << 27, 1 << 27


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("content", [CSV, parquet(pl.from_numpy(ROWS, schema=["a", "b"]))])
def test_compressed_files(tmp_path, suffix, content):
    path = save(tmp_path, COMPRESS[suffix](content), "x.txt")
    np.testing.assert_array_equal(read_table(path).values, ROWS)
    assert "damaged" in refusal(save(tmp_path, COMPRESS[suffix](content)[:-9], "y"))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
def test_compressed_files_of_pandas(tmp_path, suffix):
    path = tmp_path / f"x.csv.{suffix}"
    pd.DataFrame(ROWS, columns=["a", "b"]).to_csv(path, index=False)
    table = read_table(path)
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)


def test_one_table_in_an_archive(tmp_path):
    members = {"deep__x_csv": CSV, "README_md": b"text", "__MACOSX___x_csv": b"\0"}
    table = read_table(zipped(tmp_path / "x.zip", **members))
    np.testing.assert_array_equal(table.values, ROWS)
    nested = zipped(tmp_path / "y.zip", x_csv_gz=gzip.compress(CSV))
    np.testing.assert_array_equal(read_table(nested).values, ROWS)


@pytest.mark.parametrize(
    ("members", "got"),
    [
        ({}, "none: it is empty"),
        ({"a_md": b"x", "b_png": b"y"}, "none: 'a.md', 'b.png'"),
        ({"a_csv": CSV, "b_csv": CSV}, "several: 'a.csv', 'b.csv'"),
        ({"xl__workbook_xml": b"x", "Content_xml": b"y"}, "an Excel workbook"),
    ],
)
def test_archives_without_one_table(tmp_path, members, got):
    assert f"got {got}" in refusal(zipped(tmp_path / "x.zip", **members))


def test_messages_name_the_file_in_the_archive(tmp_path):
    message = refusal(zipped(tmp_path / "x.zip", inside_csv=b"a\nx\n"))
    assert f"inside.csv in {tmp_path / 'x.zip'}" in message


def test_archives_within_archives_end(tmp_path):
    content = CSV
    for _ in range(5):
        content = gzip.compress(content)
    assert "archives within archives" in refusal(save(tmp_path, content))


@pytest.mark.parametrize("suffix", [*COMPRESS, "zip", "npz"])
def test_bombs_are_refused_in_little_memory(tmp_path, suffix):
    bomb = b"0" * BOMB
    if suffix in COMPRESS:
        path = save(tmp_path, COMPRESS[suffix](bomb), f"x.{suffix}")
    else:
        path = zipped(
            tmp_path / f"x.{suffix}", **{f"x_{'csv' if suffix == 'zip' else 'npy'}": bomb}
        )
    del bomb
    tracemalloc.start()
    try:
        message = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()
    assert "no table of numbers gives" in message


# NPZ and structured NPY files.


def test_named_arrays_are_columns(tmp_path):
    np.savez(tmp_path / "x.npz", a=ROWS[:, 0], b=ROWS[:, 1], name=np.array(["x", "y"]))
    table = read_table(tmp_path / "x.npz", columns=Columns(drop=("name",)))
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)
    assert "column 'name' of dtype <U1" in refusal(tmp_path / "x.npz")


def test_one_array_of_two_dimensions(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", samples=ROWS)
    assert read_table(tmp_path / "x.npz").columns is None
    np.savez(tmp_path / "x.npz", samples=ROWS, logl=ROWS[:, 0])
    assert "several tables: 'samples' of shape (2, 2); 'logl' of shape (2,)" in refusal(
        tmp_path / "x.npz"
    )
    table = read_table(tmp_path / "x.npz", columns=Columns(("samples",)))
    np.testing.assert_array_equal(table.values, ROWS)


def test_arrays_of_different_lengths(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(3), b=np.ones(2))
    assert "3 rows in 'a'; 2 rows in 'b'" in refusal(tmp_path / "x.npz")


class Bomb:
    """An object whose unpickling fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(2), b=np.array([Bomb(), Bomb()], dtype=object))
    assert "dtype object, which is never read" in refusal(tmp_path / "x.npz")
    assert len(read_table(tmp_path / "x.npz", columns=Columns(("a",))).values) == 2


def test_fields_of_structured_arrays_are_columns(tmp_path):
    for array in (
        np.rec.fromarrays(ROWS.T, names="m,d"),
        np.array([(1, 2)], [("m", "i4"), ("d", "?")]),
    ):
        table = read_table(save(tmp_path, npy(array), "x.npy"))
        assert table.columns == ("m", "d")
        np.testing.assert_array_equal(table.values[:, 0], array["m"])


# Arrow, FITS and VOTable.


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_feather(tmp_path, compression):
    frame = pd.DataFrame(ROWS, columns=["a", "b"])
    frame.to_feather(tmp_path / "x.feather", compression=compression)
    table = read_table(tmp_path / "x.feather")
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.values, ROWS)
    whole = (tmp_path / "x.feather").read_bytes()
    assert "Arrow" in refusal(save(tmp_path, whole[:-20]))


def test_streams_of_arrow(tmp_path):
    table = pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]})
    with pa.OSFile(str(tmp_path / "x"), "wb") as file:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    np.testing.assert_array_equal(read_table(tmp_path / "x").values, ROWS)


def test_fits(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    columns = [
        fits.Column("mass", "D", array=ROWS[:, 0]),
        fits.Column("name", "3A", array=["x", "y"]),
        fits.Column("n", "J", array=[4, -99], null=-99),
    ]
    unit = fits.BinTableHDU.from_columns(columns, name="stars")
    unit.writeto(tmp_path / "x.fits")
    table = read_table(tmp_path / "x.fits", columns=Columns(drop=("name",)), allow_missing=True)
    assert table.columns == ("mass", "n")
    np.testing.assert_array_equal(table.values, [[1, 4], [3, np.nan]])
    assert "column 'name'" in refusal(tmp_path / "x.fits")
    other = fits.BinTableHDU.from_columns(columns[:1], name="more")
    fits.HDUList([fits.PrimaryHDU(), unit, other]).writeto(tmp_path / "y.fits")
    assert "several: 'STARS', 'MORE'" in refusal(tmp_path / "y.fits")
    fits.PrimaryHDU(ROWS).writeto(tmp_path / "z.fits")
    assert "got none" in refusal(tmp_path / "z.fits")
    refusal(save(tmp_path, (tmp_path / "x.fits").read_bytes()[:4000]))


def test_votable(tmp_path):
    tables = pytest.importorskip("astropy.table")
    table = tables.Table({"mass": ROWS[:, 0], "name": ["x", "y"], "d": ROWS[:, 1]})
    table.write(tmp_path / "x.vot", format="votable")
    got = read_table(tmp_path / "x.vot", columns=Columns(("mass", "d")))
    np.testing.assert_array_equal(got.values, ROWS)
    whole = (tmp_path / "x.vot").read_bytes()
    assert "VOTable" in refusal(save(tmp_path, whole[: len(whole) // 2]))


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "astropy", None)
    for content in (b"SIMPLE  =                    T", b'<?xml version="1.0"?><VOTABLE>'):
        assert "pip install" in refusal(save(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x80\x04\x95", "a pickle, which is never opened"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>\n", "a web page (HTML)"),
        (b'[{"a": 1, "b": 2}]\n', "JSON"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"%PDF-1.4", "a PDF document"),
        (b"a.csv".ljust(257, b"\0") + b"ustar", "an archive of tar"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, kind):
    assert f"got {kind}" in refusal(save(tmp_path, content, "x.csv"))
    with pytest.raises(TableError, match="x.csv"):
        read_table(tmp_path / "x.csv")
