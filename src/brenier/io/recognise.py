"""Which format a file has, told by its first bytes: its suffix counts for nothing."""

from collections.abc import Callable

from brenier.io.astronomy import decode_fits, decode_votable
from brenier.io.base import Table, TableError
from brenier.io.columns import Columns
from brenier.io.compressed import is_npz, unzipped, unzipped_bz2, unzipped_gzip, unzipped_xz
from brenier.io.npy import decode_npy
from brenier.io.npz import decode_npz
from brenier.io.parquet import ARROW, PARQUET, decode_arrow, decode_arrow_stream, decode_parquet
from brenier.io.source import AbstractSource
from brenier.io.text import decode_text

# A table in an archive may be compressed itself.
MOST_LAYERS = 3
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
XML = (b"<?xml", b"<VOTABLE")
# How far into a file of XML its first element is looked for.
XML_BYTES = 1 << 12

_LAYERS: tuple[tuple[bytes, Callable[[AbstractSource], AbstractSource]], ...] = (
    (b"\x1f\x8b", unzipped_gzip),
    (b"BZh", unzipped_bz2),
    (b"\xfd7zXZ\x00", unzipped_xz),
    *((mark, unzipped) for mark in ZIP),
)
_FORMATS: tuple[tuple[bytes, Callable[[AbstractSource, Columns], Table]], ...] = (
    (b"\x93NUMPY", decode_npy),
    (PARQUET, decode_parquet),
    (ARROW, decode_arrow),
    (b"\xff\xff\xff\xff", decode_arrow_stream),
    (b"SIMPLE  =", decode_fits),
)
# What people have tables in, and how they get them out.
_FOREIGN = (
    (b"\x80", "a pickle, which is never opened since opening one can run any code"),
    (b"\x89HDF", "an HDF5 file"),
    (b"CDF", "a NetCDF file"),
    (b"FEA1", "a Feather file of version 1"),
    (b"\x28\xb5\x2f\xfd", "a file compressed by zstd"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel"),
    (b"SQLite format 3", "a database of SQLite"),
    (b"%PDF", "a PDF document"),
    (b"RDX", "a file of R's"),
    (b"MATLAB", "a file of MATLAB's"),
    *((mark, "a web page (HTML)") for mark in (b"<!DOCTYPE html", b"<!doctype html", b"<html")),
    *((mark, "JSON") for mark in (b"[{", b"[\n", b'{"', b"{\n")),
)
TAR, TAR_PLACE = b"ustar", 257


def decode(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a source, whatever it is wrapped in.

    Raises
    ------
    TableError
        If there is none.
    """
    for _ in range(MOST_LAYERS):
        unfold = _layer(source)
        if unfold is None:
            return _reader(source)(source, columns)
        source = unfold(source)
    raise TableError(
        f"Expected a table in {source.where}; got archives within archives. Unpack it."
    )


def is_text(source: AbstractSource) -> bool:
    """Whether a source is text, and not compressed."""
    return _layer(source) is None and _reader(source) is decode_text


def _layer(source: AbstractSource) -> Callable[[AbstractSource], AbstractSource] | None:
    """Return what unfolds a source; None if it is not compressed."""
    found = [unfold for mark, unfold in _LAYERS if source.first.startswith(mark)]
    if not found or (source.first.startswith(ZIP) and is_npz(source)):
        return None
    return found[0]


def _reader(source: AbstractSource) -> Callable[[AbstractSource, Columns], Table]:
    """Return what reads a source."""
    first = source.first
    if first.startswith(ZIP):
        return decode_npz
    if first.lstrip().startswith(XML) and b"<VOTABLE" in first[:XML_BYTES]:
        return decode_votable
    for mark, kind in _FOREIGN:
        if first.startswith(mark):
            raise _foreign(kind, source.where)
    if first[TAR_PLACE : TAR_PLACE + len(TAR)] == TAR:
        raise _foreign("an archive of tar", source.where)
    found = [reader for mark, reader in _FORMATS if first.startswith(mark)]
    return found[0] if found else decode_text


def _foreign(kind: str, where: str) -> TableError:
    return TableError(
        f"Expected a table in {where}; got {kind}. Save the table as CSV, Parquet or NPY."
    )
