"""Compressed files and archives: what is in them, never more than memory can hold.

A few kilobytes can unfold to many gigabytes. So they are unfolded piece by piece, and refused once
there is more than any table of numbers would give.
"""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from brenier.io.base import TableError, damaged, listed
from brenier.io.source import AbstractSource, BytesSource, of_bytes

# Text of numbers shrinks to a third or so, of few different values to a fiftieth.
MOST_RATIO = 100
# Whatever the ratio, so much is unfolded (bytes).
SMALL = 1 << 26
PIECE = 1 << 20
# A gzip file ends with a checksum and a length, of which one at least is not zero.
TRAILER_BYTES = 8
TABLES = "csv tsv txt dat npy npz parquet pq arrow feather fits fit vot xml gz bz2 xz".split()
# What archives hold beside what was put in.
HIDDEN = ("__MACOSX", ".")

FAILURES = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)


def unzipped_gzip(source: AbstractSource) -> BytesSource:
    """Return what is in a gzip file."""
    if source.is_long and not any(source.last[-TRAILER_BYTES:]):
        raise damaged("a gzip file", source.where, ValueError("its end is all zeros"))
    return _unfolded(source, gzip.open, "a gzip file")


def unzipped_bz2(source: AbstractSource) -> BytesSource:
    """Return what is in a bzip2 file."""
    return _unfolded(source, bz2.open, "a bzip2 file")


def unzipped_xz(source: AbstractSource) -> BytesSource:
    """Return what is in an xz file."""
    return _unfolded(source, lzma.open, "an xz file")


def _unfolded(source: AbstractSource, opener: Callable[[Any], Any], kind: str) -> BytesSource:
    try:
        with opener(io.BytesIO(source.read())) as file:
            content = _bounded(file, source.size, source.where)
    except FAILURES as error:
        if isinstance(error, TableError):
            raise
        raise damaged(kind, source.where, error) from error
    return of_bytes(content, source.where)


def _bounded(file: Any, size: int, where: str) -> bytes:
    """Return all that a file of so many bytes unfolds to."""
    most = max(SMALL, MOST_RATIO * size)
    content = io.BytesIO()
    while piece := file.read(PIECE):
        content.write(piece)
        if content.tell() > most:
            raise TableError(
                f"Expected a compressed table in {where}; got more than {most >> 20} MiB out of "
                f"{size} bytes, which no table of numbers gives. Unpack it yourself if it is one."
            )
    return content.getvalue()


def is_npz(source: AbstractSource) -> bool:
    """Whether a zip archive holds nothing but NPY arrays, as NPZ files do."""
    names = _members(source)
    return bool(names) and all(name.endswith(".npy") for name in names)


def unzipped(source: AbstractSource) -> BytesSource:
    """Return the one table in a zip archive.

    Raises
    ------
    TableError
        If there is none, or several, which are named.
    """
    names = _members(source)
    tables = [name for name in names if _suffix(name) in TABLES] or names[: len(names) == 1]
    if any(name.startswith("xl/") for name in names):
        raise TableError(
            f"Expected a table in {source.where}; got an Excel workbook. Save its sheet as CSV."
        )
    if len(tables) != 1:
        got = f"several: {listed(tables)}" if tables else f"none: {listed(names) or 'it is empty'}"
        remedy = "Unpack the one you want" if tables else "Give a file with a table"
        raise TableError(f"Expected one table in {source.where}; got {got}. {remedy}.")
    return of_bytes(read_member(source, tables[0]), f"{tables[0]} in {source.where}")


def npz_members(source: AbstractSource) -> dict[str, BytesSource]:
    """Return the arrays of an NPZ file by their names, each as an NPY file."""
    return {
        name.removesuffix(".npy"): of_bytes(
            read_member(source, name), f"{name.removesuffix('.npy')} in {source.where}"
        )
        for name in _members(source)
    }


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def _members(source: AbstractSource) -> list[str]:
    """Return the names of the files in a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.read())) as archive:
            names = [member.filename for member in archive.infolist() if not member.is_dir()]
    except (*FAILURES, NotImplementedError) as error:
        raise damaged("a zip archive", source.where, error) from error
    return [
        name
        for name in names
        if not any(part.startswith(HIDDEN) for part in PurePosixPath(name).parts)
    ]


def read_member(source: AbstractSource, name: str) -> bytes:
    """Return what is in one file of a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(source.read())) as archive, archive.open(name) as file:
            return _bounded(file, archive.getinfo(name).compress_size, source.where)
    except TableError:
        raise
    except (*FAILURES, KeyError, RuntimeError) as error:
        # RuntimeError: encrypted, or compressed in a way that Python does not know.
        raise damaged("a zip archive", source.where, error) from error
